//! What only the controller can tell of a host: what a firewall before it shuts, and what is open that must not be.

use chatalot_tests::{Journey, Output, Result, Sandbox, phase, says};
use std::net::Ipv6Addr;

/// The firewalls of the two kinds of addresses.
const V4: &str = "iptables";
const V6: &str = "ip6tables";
const OVERRIDE: &str = "/srv/chatalot/docker-compose.override.yml";

/// What nobody should do: a database published by an override, at another port too, and an engine that listens.
const OPENED: &str = "cd /srv/chatalot && printf '%s\\n' 'services:' '  postgres:' '    ports: [\"5432:5432\", \"9000:5432\"]' \
    >docker-compose.override.yml && docker compose up -d -t 1 postgres && until docker exec chatalot-db pg_isready -q; do sleep 0.2; done; \
    systemd-run -q --unit=open-engine --socket-property=ListenStream=2375 /usr/lib/systemd/systemd-socket-proxyd /run/docker.sock";
const SHUT_AGAIN: &str = "systemctl stop open-engine.socket open-engine.service; cd /srv/chatalot && rm docker-compose.override.yml && \
    docker compose up -d -t 1 postgres && until docker exec chatalot-db pg_isready -q; do sleep 0.2; done";

/// Somebody else, on the ports that the world's visitors are led to.
const OTHERS: &str = "cd /root && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=other \
    -keyout other.key -out other.crt 2>/dev/null; systemd-run -q --unit=other openssl s_server -quiet -www -accept 18443 \
    -cert /root/other.crt -key /root/other.key; systemd-run -q --unit=page perl -e 'use IO::Socket::INET; \
    my $s = IO::Socket::INET->new(LocalPort => 18080, Listen => 9, ReuseAddr => 1) or die; while (my $c = $s->accept) { \
    sysread $c, my $asked, 4096; print $c qq(HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n); close $c }'; \
    until ss -Hltn | grep -q :18443 && ss -Hltn | grep -q :18080; do sleep 0.1; done";

// coverage: real · Debian 13 · caddy · TURN, updater on, loopback-only
// coverage: real · Debian 13 · own proxy · TURN, updater on
#[test]
fn the_controller_tells_what_the_world_reaches_and_what_it_must_not() -> Result<()> {
    let sandbox = phase("sandbox", Sandbox::up)?;
    let journey = phase("joined", || Journey::looked_at(&sandbox, "outside"))?;
    let vps = &journey.vps;
    let install = "apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install iptables openssl";
    phase("iptables", || vps.must(install))?;
    vps.must(OTHERS)?;
    let address = vps.address().to_string();
    let turn = ["--turn-external-ip", address.as_str()];

    let six = vps.with_ipv6()?;
    before_the_install(&sandbox, &journey, &turn, six)?;
    let deployed = phase("deploy", || journey.deploy(&turn))?.ok()?;
    let reached = format!("health, WebSocket, TURN at {address}");
    says(&deployed, &[&reached, "PORT_8080_PUBLIC", "--loopback-only"]);

    after_the_install(&sandbox, &journey, six)?;
    phase("a proxy of the operator's own", || {
        an_own_proxy_is_looked_at_too(&journey, &turn)
    })?;
    phase("8080 is shut where that is asked for", || {
        the_own_port_is_shut(&journey, &turn)
    })?;
    phase("without the controller", || nobody_can_tell(journey))
}

fn before_the_install(sandbox: &Sandbox, journey: &Journey, turn: &[&str], six: Ipv6Addr) -> Result<()> {
    let (vps, address) = (&journey.vps, journey.vps.address());
    phase("80 is shut before somebody else's proxy", || {
        vps.must("DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install nginx-light")?;
        let beside = [turn, &["--proxy", "nginx"]].concat();
        let failed = shut(journey, V4, "tcp --dport 80", || journey.deploy(&beside))?;
        let saw = format!("TCP 80 at {address} is not reached from outside");
        says(&failed, &["OUTSIDE_PORT_SHUT", &saw]);
        vps.must("test -z \"$(ls -A /srv)\" && apt-get -q -y purge 'nginx*'")
    })?;
    phase("443 is shut", || {
        let failed = shut(journey, V4, "tcp --dport 443", || journey.deploy(turn))?;
        let saw = format!("TCP 443 at {address} is not reached from outside");
        says(&failed, &["OUTSIDE_PORT_SHUT", &saw]);
        assert_eq!(failed.code, 1, "{}", failed.stdout);
        assert_eq!(vps.must("ls -A /srv")?, "", "something was installed");
        Ok(())
    })?;
    phase("443 is shut over IPv6", || {
        sandbox.dns(&journey.domain, Some(vps.address()), Some(six))?;
        let failed = shut(journey, V6, "tcp --dport 443", || journey.deploy(turn))?;
        let saw = format!("TCP 443 at {six} is not reached from outside");
        says(&failed, &["OUTSIDE_PORT_SHUT", &saw]);
        sandbox.dns(&journey.domain, Some(vps.address()), None)
    })?;
    phase("80 is shut", || {
        let failed = shut(journey, V4, "tcp --dport 80", || journey.deploy(turn))?;
        let saw = format!("TCP 80 at {address} is not reached from outside");
        says(&failed, &["OUTSIDE_PORT_SHUT", &saw]);
        Ok(())
    })?;
    phase("somebody else is at the address", || {
        let failed = led_past(journey, "80", "18080", || journey.deploy(turn))?;
        says(&failed, &["OUTSIDE_ELSEWHERE", "TCP 80"]);
        assert_eq!(failed.code, 1, "{}", failed.stdout);
        Ok(())
    })?;
    phase("the relays' ports are shut", || {
        let failed = shut(journey, V4, "udp --dport 49152:49200", || journey.deploy(turn))?;
        says(&failed, &["OUTSIDE_TURN_SHUT", "49152"]);
        Ok(())
    })?;
    phase("3478 is shut", || {
        let failed = shut(journey, V4, "udp --dport 3478", || journey.deploy(turn))?;
        let saw = format!("UDP 3478 at {address} is not reached from outside");
        says(&failed, &["OUTSIDE_TURN_SHUT", &saw]);
        Ok(())
    })
}

fn after_the_install(sandbox: &Sandbox, journey: &Journey, six: Ipv6Addr) -> Result<()> {
    let address = journey.vps.address();
    phase("3478 is shut to the site", || {
        let verified = shut(journey, V4, "udp --dport 3478", || {
            journey.controller.ctl(&["verify", &journey.name])
        })?;
        says(&verified, &["OUTSIDE_TURN_SHUT"]);
        assert_eq!(verified.code, 3, "{}", verified.stdout);
        let diagnosed = shut(journey, V4, "udp --dport 3478", || {
            journey.controller.ctl(&["diagnose", &journey.name])
        })?;
        says(&diagnosed, &["✗ OUTSIDE_TURN_SHUT"]);
        Ok(())
    })?;
    phase("the world gets another page", || {
        for command in ["verify", "diagnose"] {
            let told = led_past(journey, "443", "18443", || {
                journey.controller.ctl(&[command, &journey.name])
            })?;
            says(&told, &["OUTSIDE_WRONG_ANSWER", "/api/health"]);
        }
        Ok(())
    })?;
    phase("the database and the engine are open", || {
        journey.vps.must(OPENED)?;
        let verify = || journey.controller.ctl(&["verify", &journey.name]);
        let told = [
            "PORT_PUBLIC",
            ": TCP 5432, 2375 and 9000",
            "the container `chatalot-db` publishes 9000",
        ];
        says(&verify()?, &told);
        journey.vps.must(SHUT_AGAIN)?;
        let verified = verify()?.ok()?;
        assert!(!verified.stdout.contains("TCP 5432"), "{}", verified.stdout);
        Ok(())
    })?;
    phase("the site over IPv6", || {
        sandbox.dns(&journey.domain, Some(address), Some(six))?;
        let verify = || journey.controller.ctl(&["verify", &journey.name]);
        says(&verify()?, &[&format!("health, WebSocket at {six}")]);
        let failed = shut(journey, V6, "tcp --dport 443", verify)?;
        says(&failed, &[&six.to_string()]);
        assert_eq!(failed.code, 3, "{}", failed.stdout);
        sandbox.dns(&journey.domain, Some(address), None)
    })
}

/// A Caddy that its operator has set up by hand, with a site that has no mark of ours.
fn an_own_proxy_is_looked_at_too(journey: &Journey, turn: &[&str]) -> Result<()> {
    let (vps, domain) = (&journey.vps, &journey.domain);
    let (ours, theirs) = (
        format!("/etc/caddy/conf.d/{domain}.caddy"),
        "/etc/caddy/conf.d/own.caddy",
    );
    vps.must(&format!(
        "sed 1d {ours} >/root/own && rm {ours} && mv /root/own {theirs} && systemctl reload caddy"
    ))?;
    let own = [turn, &["--proxy", "none"]].concat();
    let deployed = journey.deploy(&own)?.ok()?;
    let address = vps.address();
    says(
        &deployed,
        &[
            &format!("health, WebSocket, TURN at {address}"),
            "PORT_8080_PUBLIC",
        ],
    );
    vps.must(&format!("test ! -e {ours}"))?;
    let failed = shut(journey, V4, "tcp --dport 443", || {
        journey.controller.ctl(&["verify", &journey.name])
    })?;
    says(&failed, &["OUTSIDE_PORT_SHUT"]);
    vps.must(&format!("rm {theirs} && systemctl reload caddy"))?;
    Ok(())
}

fn the_own_port_is_shut(journey: &Journey, turn: &[&str]) -> Result<()> {
    let vps = &journey.vps;
    let theirs = "# mine\nservices:\n  postgres:\n    labels:\n      - keep=this\n";
    vps.write(OVERRIDE, theirs.as_bytes(), 0o644)?;
    // The controller is a stranger to a site that is not open yet, and has reached it all the same.
    let also = ["--loopback-only", "--limit-until-admin", "198.51.100.7"];
    let deployed = journey.deploy(&[turn, &also].concat())?.ok()?;
    says(&deployed, &["/api/health kept from strangers, as asked"]);
    assert!(
        !deployed.stdout.contains("PORT_8080_PUBLIC"),
        "{}",
        deployed.stdout
    );
    let merged = vps.must(&format!("cat {OVERRIDE}"))?;
    assert!(merged.starts_with(theirs), "{merged}");
    let published = vps.must("docker port chatalot-server 8080")?;
    assert_eq!(published.trim(), "127.0.0.1:8080");
    let verified = journey
        .controller
        .ctl(&["--output", "json", "verify", &journey.name])?
        .ok()?;
    says(&verified, &["verify.outside", "seen from outside"]);
    assert!(
        !verified.stdout.contains("PORT_8080_PUBLIC"),
        "{}",
        verified.stdout
    );
    let handover = journey
        .controller
        .ctl(&["--output", "json", "handover", &journey.name])?
        .ok()?;
    let firewall = handover.stdout.split("Firewall").nth(1).unwrap_or_default();
    assert!(
        firewall.starts_with("\",\"standing\":\"in_place\""),
        "{}",
        handover.stdout
    );
    Ok(())
}

/// The agent says that nobody can tell, and what to type; that is no failure.
fn nobody_can_tell(journey: Journey) -> Result<()> {
    let Journey { controller, vps, .. } = journey;
    drop(controller);
    vps.wait_for(
        "chatalot-agent verify | grep -q OUTSIDE_NOT_CONNECTED && chatalot-agent verify | grep -q 'chatalotctl verify'",
        std::time::Duration::from_mins(1),
    )?;
    vps.must("chatalot-agent verify")?;
    Ok(())
}

/// While a firewall drops what comes from outside.
fn shut(
    journey: &Journey,
    firewall: &str,
    what: &str,
    then: impl FnOnce() -> Result<Output>,
) -> Result<Output> {
    let rule = format!("INPUT -i eth0 -p {what} -j DROP");
    under(journey, firewall, &rule, then)
}

/// While who comes from outside to a port is led to another one.
fn led_past(
    journey: &Journey,
    port: &str,
    other: &str,
    then: impl FnOnce() -> Result<Output>,
) -> Result<Output> {
    let rule = format!("PREROUTING -i eth0 -p tcp --dport {port} -j REDIRECT --to-ports {other}");
    under(journey, "iptables -t nat", &rule, then)
}

fn under(
    journey: &Journey,
    firewall: &str,
    rule: &str,
    then: impl FnOnce() -> Result<Output>,
) -> Result<Output> {
    journey.vps.must(&format!("{firewall} -I {rule}"))?;
    let done = then();
    journey.vps.must(&format!("{firewall} -D {rule}"))?;
    done
}
