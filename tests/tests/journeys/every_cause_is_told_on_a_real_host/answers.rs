//! What chatalot's port answers, said by a small server on the host that is asked in chatalot's place.

use super::case::Warm;
use chatalot_tests::{Result, phase};

/// The code, and how the server answers.
pub(crate) const ANSWERS: &[(&str, &str)] = &[
    ("HEALTH_STATUS", "status"),
    ("HEALTH_NOT_CHATALOT", "page"),
    ("HEALTH_DEGRADED", "degraded"),
    ("HEALTH_DB_DOWN", "database"),
    ("WEBSOCKET_REFUSED", "upgrade"),
    ("HEALTH_NO_ANSWER", "gone"),
    ("HEALTH_SLOW", "slow"),
];

const SERVER: &str = r#"use IO::Socket::INET; my $how = shift; my @kept;
my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 18080, Listen => 50, ReuseAddr => 1) or die;
while (my $c = $s->accept) {
  my $line = <$c> // ""; while (<$c>) { last if /^\r?\n/ }
  my ($status, $type) = ("200 OK", "application/json");
  my $body = qq({"status":"ok","version":"0.24.0","uptime_secs":1,"db_healthy":true});
  ($status, $body) = ("400 Bad Request", "no") if $line =~ m{ /ws };
  if ($how eq "status") { $status = "500 Internal Server Error" } elsif ($how eq "page") { $type = "text/html" }
  elsif ($how eq "degraded") { $body =~ s/ok/starting/ } elsif ($how eq "database") { $body =~ s/true/false/ }
  elsif ($how eq "gone") { close $c; next } elsif ($how eq "slow") { push @kept, $c; next }
  print $c "HTTP/1.1 $status\r\nContent-Type: $type\r\nContent-Length: ", length $body, "\r\nConnection: close\r\n\r\n$body";
  close $c }"#;

const INSTEAD: &str = "OUTPUT -d 127.0.0.1 -p tcp --dport 8080 -j REDIRECT --to-ports 18080";

pub(crate) fn each_is_judged(warm: &Warm) -> Result<()> {
    let vps = &warm.vps;
    vps.write("/root/answers.pl", SERVER.as_bytes(), 0o644)?;
    vps.must(&format!("iptables -t nat -I {INSTEAD}"))?;
    for (code, how) in ANSWERS {
        phase(code, || {
            vps.must(&format!(
                "systemd-run --quiet --unit=answers perl /root/answers.pl {how}"
            ))?;
            warm.finds(code)?;
            vps.must("systemctl stop answers")
        })?;
    }
    vps.must(&format!("iptables -t nat -D {INSTEAD}"))?;
    warm.well();
    Ok(())
}
