//! A VPS as the large clouds give them: it has an inner address only, and the world reaches it by one-to-one NAT.

use std::net::Ipv4Addr;

use chatalot_tests::{Controller, Journey, Result, Sandbox, Vps, phase, says};

const IPTABLES: &str = "apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install iptables";

// coverage: real · Debian 13 · caddy · TURN, updater on
#[test]
fn behind_one_to_one_nat_a_site_is_reached_and_a_turn_server_that_cannot_bind_is_told_until_it_can()
-> Result<()> {
    let sandbox = phase("sandbox", Sandbox::up)?;
    let vps = phase("fresh vps", || Vps::fresh(&sandbox, "natted"))?;
    let public = vps.address();
    let inner = phase("behind NAT", || {
        vps.must(IPTABLES)?;
        vps.behind_nat()
    })?;
    let own = vps.must("ip -4 -o address")?;
    assert!(
        own.contains(&inner.to_string()) && !own.contains(&public.to_string()),
        "{own}"
    );
    let resolver = Sandbox::INTERNET.to_string();
    let controller = Controller::start_with("natted", &["--resolver", &resolver])?;
    let journey = phase("joined", || {
        Journey::joined_to(&sandbox, "natted", vps, controller)
    })?;

    // chatalot tells its TURN server to listen at the public address, which is none of the host's.
    let turn = ["--turn-external-ip", &public.to_string()];
    let failed = phase("a TURN server that cannot bind", || journey.deploy(&turn))?;
    says(&failed, &["TURN_BEHIND_NAT", "one-to-one NAT"]);
    assert_ne!(failed.code, 0, "{}", failed.stdout);
    let diagnosed = journey.controller.ctl(&["diagnose", &journey.name])?;
    let fix = format!("--listening-ip={inner}");
    says(&diagnosed, &["TURN_BEHIND_NAT", &fix]);
    phase("and one that can", || listens_inside(&journey, public, inner))?;
    let deployed = phase("deploys", || journey.deploy(&turn))?.ok()?;
    let relays = format!("one-to-one NAT: it listens at {inner}");
    let reached = format!("health, WebSocket, TURN at {public}");
    says(&deployed, &[&relays, &reached]);
    assert!(journey.public_health()?.contains("\"status\":\"ok\""));
    Ok(())
}

/// What the advice says: an override of the TURN server's command, that binds the inner address and tells the public one.
fn listens_inside(journey: &Journey, public: Ipv4Addr, inner: Ipv4Addr) -> Result<()> {
    let command = format!(
        "exec turnserver -n --log-file=stdout --no-cli --fingerprint --realm=chatalot --no-tls --no-dtls --min-port=49152 \
         --max-port=49200 --listening-ip={inner} --external-ip={public}/{inner} --use-auth-secret \
         --static-auth-secret=$$(cat /run/secrets/turn_secret)"
    );
    let text = format!("services:\n  coturn:\n    command: [sh, -c, \"{command}\"]\n");
    let path = "/srv/chatalot/docker-compose.override.yml";
    journey.vps.write(path, text.as_bytes(), 0o644)?;
    journey
        .vps
        .must("cd /srv/chatalot && docker compose up -d -t 1 coturn")?;
    Ok(())
}
