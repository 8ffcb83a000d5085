//! Until the administrator has registered, the real proxy keeps strangers out; then the agent opens the route itself.

use std::time::Duration;

use super::case::{DOMAIN, Warm};
use chatalot_tests::{Result, run};

const SOON: Duration = Duration::from_mins(1);
/// What is told while the route is limited and cannot be opened by itself.
pub(crate) const TOLD: &[&str] = &["ADMIN_OTHER", "ADMIN_UNTOLD"];

/// Registers by the site's own interface, from the host itself.
fn registers(warm: &Warm, name: &str) -> Result<String> {
    warm.vps.must(&format!(
        "curl -sf -m 10 --json '{{\"username\":\"{name}\"}}' https://{DOMAIN}/api/auth/register"
    ))
}

fn sql(warm: &Warm, text: &str) -> Result<String> {
    warm.vps.must(&format!(
        "docker exec chatalot-db psql -q -U chatalot -c \"{text}\""
    ))
}

/// The status that a visitor from this machine gets, which is none of those that are let in.
fn stranger(warm: &Warm, path: &str) -> Result<String> {
    let to = format!("{DOMAIN}:443:{}", warm.vps.address());
    let url = format!("https://{DOMAIN}{path}");
    let args = [
        "-sk",
        "-m",
        "10",
        "--resolve",
        &to,
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        &url,
    ];
    Ok(run("curl", &args)?.stdout)
}

pub(crate) fn strangers_wait(warm: &Warm) -> Result<()> {
    for path in ["/", "/api/health", "/api/auth/register", "/ws"] {
        assert_eq!(stranger(warm, path)?, "403", "{path}");
    }
    let handover = warm.vps.must("chatalot-agent handover")?;
    assert!(
        handover.contains("nobody has registered yet") && handover.contains("198.51.100.7, 2001:db8::/48"),
        "{handover}"
    );
    warm.vps.must("chatalot-agent verify && chatalot-agent drift")?;
    warm.well();
    // A second deployment finds nothing to do, and nothing to open.
    warm.deploy("")?.ok()?;
    assert_eq!(stranger(warm, "/")?, "403");

    sql(
        warm,
        "INSERT INTO users (username, is_admin, is_owner) VALUES ('mallory', true, true)",
    )?;
    warm.finds("ADMIN_OTHER")?;
    sql(warm, "ALTER TABLE users RENAME TO people")?;
    warm.finds("ADMIN_UNTOLD")?;
    assert_eq!(stranger(warm, "/")?, "403");
    sql(warm, "ALTER TABLE people RENAME TO users; DELETE FROM users")?;

    // Killed while it opens the route, it goes on in its next life.
    let answer = registers(warm, "alice")?;
    assert!(answer.contains("\"is_admin\":true"), "{answer}");
    warm.vps.wait_for(
        "systemctl list-units --all --no-legend 'chatalot-step*' | grep . || \
        ! grep -q outsiders /etc/caddy/conf.d/causes.example.com.caddy",
        SOON,
    )?;
    warm.vps.must("systemctl kill -s KILL chatalot-agent")?;
    warm.vps.wait_for(
        "! grep -q outsiders /etc/caddy/conf.d/causes.example.com.caddy && chatalot-agent status | grep -q 'open to everybody'",
        SOON * 2,
    )?;
    assert_eq!(stranger(warm, "/api/health")?, "200");
    let drift = warm.vps.must("chatalot-agent drift && chatalot-agent handover")?;
    assert!(drift.contains("Somebody has registered"), "{drift}");
    let again = warm.vps.sh("chatalot-agent open --yes")?;
    assert!(again.code != 0 && [again.stdout, again.stderr].concat().contains("ROUTE_OPEN"));
    warm.well();
    Ok(())
}
