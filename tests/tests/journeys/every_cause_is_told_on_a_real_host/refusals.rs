//! What a registry may refuse, said by a small server on the host itself to the real Engine.

use super::case::Warm;
use chatalot_tests::{Result, phase};

/// The code, and what the server answers to whoever asks for a manifest.
pub(crate) const REFUSALS: &[(&str, &str)] = &[
    ("REGISTRY_DENIED", "401 Unauthorized"),
    ("REGISTRY_RATE_LIMITED", "429 Too Many Requests"),
    ("IMAGE_UNKNOWN", "404 Not Found"),
    // It has the image, and hands out something else.
    ("IMAGE_DAMAGED", "200 OK"),
    // Nobody is there at all.
    ("IMAGES_UNREACHABLE", ""),
];

const SERVER: &str = r#"use IO::Socket::INET; my $status = shift or exit;
my %said = (401 => "UNAUTHORIZED", 429 => "TOOMANYREQUESTS", 404 => "MANIFEST_UNKNOWN");
my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 5001, Listen => 20, ReuseAddr => 1) or die;
while (my $c = $s->accept) {
  my $line = <$c> // ""; while (<$c>) { last if /^\r?\n/ }
  my ($code) = $status =~ /^(\d+)/;
  my $is = $line =~ m{ /v2/ } && $code != 401 ? "200 OK" : $status;
  my ($type, $of) = ("application/json", "application/vnd.docker");
  my $body = $is eq "200 OK" ? "{}" : qq({"errors":[{"code":"$said{$code}","message":"refused"}]});
  if ($code == 200 && $line =~ m{/manifests/}) {
    my ($one, $two) = map { "sha256:" . $_ x 64 } "a", "b"; $type = "$of.distribution.manifest.v2+json";
    $body = qq({"schemaVersion":2,"mediaType":"$type","config":{"mediaType":"$of.container.image.v1+json","size":2,"digest":"$one"},)
      . qq("layers":[{"mediaType":"$of.image.rootfs.diff.tar.gzip","size":2,"digest":"$two"}]}) }
  print $c "HTTP/1.1 $is\r\nContent-Type: $type\r\nDocker-Distribution-Api-Version: registry/2.0\r\n",
    "WWW-Authenticate: Basic realm=\"registry\"\r\nContent-Length: ", length $body, "\r\nConnection: close\r\n\r\n$body";
  close $c }"#;

pub(crate) fn each_is_told(warm: &Warm) -> Result<()> {
    let vps = &warm.vps;
    vps.write("/root/registry.pl", SERVER.as_bytes(), 0o644)?;
    vps.must("sed -i 's|^CHATALOT_REGISTRY=.*|CHATALOT_REGISTRY=127.0.0.1:5001|' /srv/chatalot/.env")?;
    for (code, answer) in REFUSALS {
        phase(code, || {
            vps.must(&format!(
                "systemd-run --quiet --unit=registry perl /root/registry.pl '{answer}'"
            ))?;
            let refused = warm.deploy("--registration open")?;
            let text = [refused.stdout.as_str(), &refused.stderr].concat();
            assert!(!refused.is_ok() && text.contains(code), "no {code}:\n{text}");
            warm.finds(code)?;
            vps.must("systemctl stop registry || true")
        })?;
    }
    vps.must("cp -a /root/env /srv/chatalot/.env")?;
    warm.deploy("")?.ok()?;
    warm.well();
    Ok(())
}
