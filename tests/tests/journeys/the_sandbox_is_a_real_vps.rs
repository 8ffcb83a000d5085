//! The runbook by hand, on a fresh VPS: everything a journey stands on really works.

use std::time::Duration;

use chatalot_tests::{Result, Sandbox, Vps, phase, wait_until};

const DOMAIN: &str = "real-vps.example.com";
const SOON: Duration = Duration::from_mins(1);
const LOCAL_HEALTH: &str = "curl -sf http://127.0.0.1:8080/api/health | grep '\"status\":\"ok\"'";
const PUBLIC_HEALTH: &str = "curl -sf https://real-vps.example.com/api/health | grep '\"db_healthy\":true'";
const SITE: &str = "real-vps.example.com {
    tls {
        issuer acme {
            dir https://acme.example.net:14000/dir
        }
    }
    reverse_proxy 127.0.0.1:8080
}
";

#[test]
fn the_runbook_by_hand_leads_to_a_site_that_survives_a_reboot() -> Result<()> {
    let sandbox = phase("sandbox", Sandbox::up)?;
    let vps = phase("fresh vps", || Vps::fresh(&sandbox, "real-vps"))?;
    sandbox.dns(DOMAIN, Some(vps.address()), None)?;
    phase("apt-get update", || vps.must("apt-get -q update"))?;
    phase("apt-get install", || vps.must(PACKAGES))?;
    phase("clone", || {
        vps.must(&format!("git clone -q {} /srv/chatalot", Sandbox::REPOSITORY))
    })?;
    let said = phase("install.sh", || vps.must(INSTALL))?;
    assert!(
        said.contains("\nInstall complete.\npublic_url=https://real-vps.example.com\nadmin_username=alice\n"),
        "{said}"
    );
    assert!(said.contains("\ncompose_profiles=turn updater\n"), "{said}");
    phase("local health", || vps.wait_for(LOCAL_HEALTH, SOON))?;
    the_web_socket_upgrades(&vps)?;
    vps.write("/etc/caddy/Caddyfile", SITE.as_bytes(), 0o644)?;
    phase("certificate and public health", || {
        vps.must("systemctl reload caddy")?;
        vps.wait_for(PUBLIC_HEALTH, SOON)
    })?;
    let before = vps.boot_id()?;
    phase("reboot", || vps.reboot())?;
    assert_ne!(vps.boot_id()?, before);
    phase("public health after the reboot", || {
        vps.wait_for(PUBLIC_HEALTH, SOON)
    })?;
    phase("network cut and back", || {
        a_cut_network_is_silent_and_comes_back(&vps)
    })
}

const PACKAGES: &str = "DEBIAN_FRONTEND=noninteractive apt-get -q -y install docker.io docker-cli docker-compose git openssl caddy";

const INSTALL: &str = "cd /srv/chatalot && scripts/install.sh --non-interactive --domain real-vps.example.com \
    --admin-username alice --registration invite_only --enable-turn --turn-external-ip 203.0.113.42 \
    --enable-updater --registry-user deploy --registry-token sandbox-token --use-prebuilt";

fn the_web_socket_upgrades(vps: &Vps) -> Result<()> {
    let upgrade = "curl -s -m 1 -o /dev/null -w '%{http_code}' --http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' \
        -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' http://127.0.0.1:8080/ws";
    assert_eq!(vps.sh(upgrade)?.stdout, "101");
    assert_eq!(
        vps.must("curl -s http://127.0.0.1:8080/ws")?,
        "Connection header did not include 'upgrade'"
    );
    Ok(())
}

fn a_cut_network_is_silent_and_comes_back(vps: &Vps) -> Result<()> {
    let asked = "curl -s -m 2 -o /dev/null https://registry.example.net/v2/";
    vps.cut_network()?;
    assert!(!vps.sh(asked)?.is_ok());
    vps.restore_network()?;
    wait_until("the network", SOON, || {
        vps.sh(asked).is_ok_and(|output| output.is_ok())
    })
}
