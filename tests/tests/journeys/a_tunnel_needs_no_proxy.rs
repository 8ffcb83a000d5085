//! A site behind a named tunnel: no proxy, no port, health through the tunnel's name. The edge and what holds the tunnel
//! open are sshd and ssh, for want of a cloudflared; what the edge answers where something is wrong is as Cloudflare's.

use std::path::Path;
use std::time::Duration;

use chatalot_tests::{Output, Result, Sandbox, Vps, advises, least, phase, says, shipped};

const DOMAIN: &str = "tunnel.example.net";
/// One of Cloudflare's addresses, at which this internet's edge answers.
const EDGE: &str = "104.16.0.1";
const TOKEN: &str = "sandbox-tunnel-token";
const KNOBS: &str = "/etc/chatalot-stand-in/knobs";

// coverage: real · Debian 13 · tunnel · updater off, overwrite-env
#[test]
fn a_site_behind_a_tunnel_has_no_proxy_and_an_env_that_is_written_anew_loses_no_secret() -> Result<()> {
    let sandbox = phase("sandbox", Sandbox::up)?;
    let vps = phase("fresh vps, an agent by itself", || installed(&sandbox))?;
    phase("a token that is not the tunnel's", || a_wrong_token_is_told(&vps))?;
    phase("the right one, without being asked to replace .env", || {
        let kept = deploy(&vps, TOKEN, &[])?;
        assert!(!kept.is_ok(), "{}", kept.stdout);
        says(&kept, &["INSTALLER_KEPT_ENV", "--overwrite-env"]);
        Ok(())
    })?;
    let deployed = phase("the right one", || {
        deploy(&vps, TOKEN, &["--overwrite-env"])?.ok()
    })?;
    assert!(health(&vps)?.contains("\"status\":\"ok\""), "{}", deployed.stdout);
    nothing_is_in_front(&vps, &deployed)?;
    phase("what Cloudflare answers", || {
        the_ends_of_the_tunnel_are_told_apart(&sandbox, &vps)
    })?;
    phase("another database password", || {
        an_installer_that_makes_another_password_locks_nobody_out(&vps)
    })
}

fn installed(sandbox: &Sandbox) -> Result<Vps> {
    let vps = Vps::fresh(sandbox, "tunnel")?;
    sandbox.dns(DOMAIN, EDGE.parse().ok(), None)?;
    vps.must(&format!("ip route add {EDGE} via {}", Sandbox::INTERNET))?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/bootstrap.sh");
    vps.push(&script, "/root/bootstrap.sh", 0o644)?;
    vps.push(&shipped("chatalot-agent"), "/root/chatalot-agent", 0o755)?;
    vps.must("sh /root/bootstrap.sh --standalone")?;
    vps.must("mkdir -p /etc/chatalot-agent && printf '[patience]\\nretry_secs = 5\\n' >/etc/chatalot-agent/config.toml")?;
    vps.must("systemctl restart chatalot-agent")?;
    vps.wait_for("chatalot-agent status", Duration::from_secs(30))?;
    Ok(vps)
}

fn deploy(vps: &Vps, token: &str, more: &[&str]) -> Result<Output> {
    vps.write("/root/token", token.as_bytes(), 0o600)?;
    let deploy = ["chatalot-agent", "deploy", "--yes", "--no-updates"];
    let tunnel = ["--cloudflare-token-file", "/root/token"];
    vps.exec(&[&deploy[..], &least(DOMAIN), &tunnel, more].concat())
}

fn health(vps: &Vps) -> Result<String> {
    vps.must(&format!("curl -sf -m 10 https://{DOMAIN}/api/health"))
}

fn finds(vps: &Vps, code: &str) -> Result<()> {
    let told = vps.sh("chatalot-agent diagnose")?;
    advises(&told, told.code, code, "", "");
    Ok(())
}

fn a_wrong_token_is_told(vps: &Vps) -> Result<()> {
    let stopped = deploy(vps, "not-the-token", &[])?;
    assert!(!stopped.is_ok(), "{}", stopped.stdout);
    says(&stopped, &["TUNNEL_NOT_CONNECTED", "530", "7844"]);
    finds(vps, "TUNNEL_NOT_CONNECTED")
}

/// No step about it, and nobody at its ports.
fn nothing_is_in_front(vps: &Vps, deployed: &Output) -> Result<()> {
    for word in ["everse proxy", "HTTPS", "ports 80", "certbot"] {
        assert!(!deployed.stdout.contains(word), "`{word}`:\n{}", deployed.stdout);
    }
    vps.must(
        "! command -v caddy && ! command -v nginx && test -z \"$(ss -Hltn 'sport = :80 or sport = :443')\"",
    )?;
    Ok(())
}

fn the_ends_of_the_tunnel_are_told_apart(sandbox: &Sandbox, vps: &Vps) -> Result<()> {
    for (answer, code) in [("404", "TUNNEL_NO_HOSTNAME"), ("502", "TUNNEL_BAD_SERVICE")] {
        sandbox.internet(&format!("touch /run/tunnels/{answer}"))?.ok()?;
        let found = finds(vps, code);
        sandbox.internet(&format!("rm /run/tunnels/{answer}"))?.ok()?;
        found?;
    }
    for (address, code) in [
        (None, "TUNNEL_NAME_NONE"),
        (Some(vps.address()), "TUNNEL_NAME_ELSEWHERE"),
    ] {
        sandbox.dns(DOMAIN, address, None)?;
        finds(vps, code)?;
    }
    sandbox.dns(DOMAIN, EDGE.parse().ok(), None)?;
    vps.must("chatalot-agent diagnose")?;
    Ok(())
}

/// Which the volume does not know: what was there is copied first, and what data depends on is put back.
fn an_installer_that_makes_another_password_locks_nobody_out(vps: &Vps) -> Result<()> {
    let password = "sed -n s/^DB_PASSWORD=//p /srv/chatalot/.env";
    let secrets = "find /srv/chatalot/secrets -type f -not -name '*.example' -exec sha256sum {} + | sort";
    let before = (vps.must(password)?, vps.must(secrets)?);
    vps.write(KNOBS, b"installer_regenerates_db_password=1\n", 0o644)?;
    deploy(vps, TOKEN, &["--overwrite-env", "--registration", "open"])?.ok()?;
    assert_eq!((vps.must(password)?, vps.must(secrets)?), before);
    assert!(
        vps.must("cat /srv/chatalot/.env")?
            .contains("REGISTRATION_MODE=open")
    );
    assert!(health(vps)?.contains("\"status\":\"ok\""));
    // The copies are for root alone.
    vps.must(
        "test \"$(stat -c %a /srv/chatalot/copies)\" = 700 && grep -rq invite_only /srv/chatalot/copies",
    )?;
    Ok(())
}
