//! What is wrong with a host, before and after a deployment: named exactly, nothing left half done, and well again
//! once the advice has been followed.

use std::time::Duration;

use chatalot_tests::{
    Controller, Journey, Output, Result, Sandbox, Vps, advises, phase, shipped, wait_until,
};

const SOON: Duration = Duration::from_mins(1);
const NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups";

/// The inputs of a site with other values for some of its flags.
fn site_with<'a>(site: &'a [String], other: &[(&str, &'a str)]) -> Vec<&'a str> {
    let mut flags: Vec<&str> = site.iter().map(String::as_str).collect();
    for (flag, value) in other {
        let at = flags.iter().position(|each| each == flag);
        if let Some(value_of) = at.and_then(|at| flags.get_mut(at + 1)) {
            *value_of = value;
        }
    }
    flags
}

fn deploy_with(journey: &Journey, other: &[(&str, &str)], more: &[&str]) -> Result<Output> {
    let site = journey.site();
    let flags = site_with(&site, other);
    journey
        .controller
        .ctl(&[&["deploy", &journey.name, "--yes"], &flags[..], more].concat())
}

#[test]
fn f54_f55_f57_a_host_that_is_not_ready_is_left_as_it_was() -> Result<()> {
    let sandbox = Sandbox::up()?;
    let journey = phase("joined", || Journey::joined(&sandbox, "unready"))?;
    let before = packages(&journey.vps)?;
    phase("inputs", || bad_inputs_are_all_named_at_once(&journey))?;
    phase("dns", || {
        f57_a_domain_that_leads_elsewhere_or_nowhere(&sandbox, &journey)
    })?;
    phase("not root", || nobody_is_told_to_be_root(&journey.vps))?;
    phase("unit", || the_unit_is_sound(&journey.vps))?;
    assert_eq!(
        packages(&journey.vps)?,
        before,
        "a refused deployment installed something"
    );
    assert_eq!(journey.vps.must("ls -A /srv")?, "");
    phase("ports", || f55_a_port_of_somebody_else(&journey))
}

#[test]
fn f66_a_daemon_that_stands_still_is_started_again_and_comes_back() -> Result<()> {
    let sandbox = Sandbox::up()?;
    let journey = phase("joined", || Journey::joined(&sandbox, "still"))?;
    let of = |property: &str| format!("systemctl show chatalot-agent --property={property} --value");
    let before = journey.vps.must(&of("NRestarts"))?;
    phase("stands still", || {
        journey.vps.must(&format!("kill -STOP $({})", of("MainPID")))?;
        let again = format!("test $({}) -gt {}", of("NRestarts"), before.trim());
        journey.vps.wait_for(&again, 2 * SOON)
    })?;
    let why = journey
        .vps
        .must("journalctl --unit chatalot-agent --output cat")?;
    assert!(why.to_lowercase().contains("watchdog timeout"), "{why}");
    journey.controller.wait_for_session(&journey.name, SOON)
}

fn packages(vps: &Vps) -> Result<String> {
    vps.must("dpkg-query -W; ls -d /etc/caddy /etc/docker 2>/dev/null || true")
}

fn bad_inputs_are_all_named_at_once(journey: &Journey) -> Result<()> {
    let bad = [
        "--output",
        "json",
        "deploy",
        &journey.name,
        "--domain",
        "http://chat/",
        "--registration",
        "sometimes",
        "--oidc-issuer",
        "https://id.example.com",
        "--turn-external-ip",
        "10.0.0.1",
        "--registry-user",
        "deploy",
    ];
    let refused = journey.controller.ctl(&bad)?;
    assert_eq!(refused.code, 2, "{}{}", refused.stdout, refused.stderr);
    let wanted = [
        "domain",
        "admin_username",
        "registration",
        "oidc_client_id",
        "oidc_client_secret",
        "turn_external_ip",
        "registry_token",
    ];
    for input in wanted {
        let named = format!("\"input\":\"{input}\"");
        assert!(refused.stdout.contains(&named), "no {input}: {}", refused.stdout);
    }
    assert_eq!(refused.stdout.lines().count(), 1, "{}", refused.stdout);
    assert_eq!(
        refused.stdout.matches("\"question\":\"").count(),
        wanted.len(),
        "{}",
        refused.stdout
    );
    Ok(())
}

fn f57_a_domain_that_leads_elsewhere_or_nowhere(sandbox: &Sandbox, journey: &Journey) -> Result<()> {
    let nowhere = deploy_with(journey, &[("--domain", "nowhere-unready.example.com")], &[])?;
    let ours = journey.vps.address().to_string();
    advises(&nowhere, 3, "DNS_NONE", "no A record", &ours);
    let domain = "elsewhere-unready.example.com";
    sandbox.dns(domain, Some(Sandbox::GATEWAY), None)?;
    let elsewhere = deploy_with(journey, &[("--domain", domain)], &[])?;
    advises(&elsewhere, 3, "DNS_WRONG", &Sandbox::GATEWAY.to_string(), &ours);
    sandbox.dns(domain, Some(journey.vps.address()), "2001:db8::1".parse().ok())?;
    let stale = deploy_with(journey, &[("--domain", domain)], &[])?;
    advises(
        &stale,
        3,
        "DNS_STALE_AAAA",
        "2001:db8::1",
        "remove the AAAA record",
    );
    sandbox.dns(domain, None, None)
}

fn nobody_is_told_to_be_root(vps: &Vps) -> Result<()> {
    let status = vps.sh(&format!("{NOBODY} chatalot-agent status"))?;
    advises(&status, 3, "NOT_ROOT", "user id 65534", "as root");
    let deploy = "deploy --yes --domain unready.example.com --admin-username alice";
    let refused = vps.sh(&format!("{NOBODY} chatalot-agent {deploy}"))?;
    advises(&refused, 5, "NOT_ALLOWED", "permission denied", "as root");
    for asked in ["install --standalone", "leave"] {
        let refused = vps.sh(&format!("{NOBODY} chatalot-agent {asked}"))?;
        advises(&refused, 1, "NOT_ROOT", "user id 65534", "as root");
    }
    Ok(())
}

fn the_unit_is_sound(vps: &Vps) -> Result<()> {
    vps.must("systemd-analyze security --offline=true --threshold=25 chatalot-agent.service")?;
    let said = vps
        .sh("systemd-analyze verify chatalot-agent.service 2>&1")?
        .ok()?;
    assert_eq!(said.stdout, "");
    Ok(())
}

fn f55_a_port_of_somebody_else(journey: &Journey) -> Result<()> {
    journey.vps.must("apt-get -q update")?;
    let cases = [
        ("nginx-light", "nginx", "PROXY_ADOPTABLE", "belongs to nginx"),
        ("apache2", "apache2", "PORT_TAKEN", "of the unit apache2.service"),
    ];
    for (package, service, code, saw) in cases {
        journey.vps.must(&format!(
            "DEBIAN_FRONTEND=noninteractive apt-get -qy install {package}"
        ))?;
        let refused = journey.deploy(&[])?;
        let unit = format!("{service}.service");
        advises(&refused, 3, code, saw, &format!("disable --now {unit}"));
        // What the advice says.
        journey.vps.must(&format!("systemctl disable --now {unit}"))?;
    }
    // A loose process has no unit that could be disabled.
    journey.vps.must("systemd-run --scope --quiet --unit=loose perl -e 'use IO::Socket::INET; \
        $s = IO::Socket::INET->new(LocalPort => 443, Listen => 1, ReuseAddr => 1) or die; sleep 600' >/dev/null 2>&1 &")?;
    journey.vps.wait_for("ss -ltn | grep -q ':443 '", SOON)?;
    let refused = journey.deploy(&[])?;
    advises(&refused, 3, "PORT_TAKEN", "port 443 belongs to `perl`", "");
    journey.vps.must("systemctl stop loose.scope")?;
    let free = journey.controller.ctl(
        &[
            &["preflight", &journey.name],
            &site_with(&journey.site(), &[])[..],
        ]
        .concat(),
    )?;
    assert_eq!(free.code, 0, "{}", free.stdout);
    Ok(())
}

#[test]
fn f52_f54_f56_f58_what_breaks_after_a_deployment_is_named_and_heals() -> Result<()> {
    let sandbox = Sandbox::up()?;
    let vps = Vps::fresh(&sandbox, "breaks")?;
    let domain = "breaks.example.com";
    sandbox.dns(domain, Some(vps.address()), None)?;
    phase("standalone", || {
        a_host_without_a_controller_is_served_by_itself(&vps)
    })?;
    let controller = Controller::start("breaks")?;
    let journey = phase("join attaches later", || {
        let mut journey = Journey {
            controller,
            vps,
            domain: domain.to_owned(),
            name: "breaks".to_owned(),
            line: String::new(),
        };
        journey.paste()?;
        Ok::<_, chatalot_tests::Failed>(journey)
    })?;
    phase("engine down", || {
        f52_a_stopped_engine_is_named_and_a_deployment_starts_it(&journey)
    })?;
    phase("database down", || {
        f58_a_database_that_is_down_changes_the_level_and_back(&journey)
    })?;
    phase("proxy down", || {
        f56_a_broken_proxy_is_not_taken_for_chatalot(&journey)
    })?;
    phase("reload", || {
        f56_a_reload_that_hangs_is_given_up_and_taken_back(&journey)
    })?;
    phase("leave", || {
        journey.vps.must("chatalot-agent leave")?;
        assert!(journey.public_health()?.contains("\"status\":\"ok\""));
        Ok(())
    })
}

fn a_host_without_a_controller_is_served_by_itself(vps: &Vps) -> Result<()> {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/bootstrap.sh");
    vps.push(&script, "/root/bootstrap.sh", 0o644)?;
    vps.push(&shipped("chatalot-agent"), "/root/chatalot-agent", 0o755)?;
    vps.must("sh /root/bootstrap.sh --standalone")?;
    let site = format!(
        "--domain breaks.example.com --admin-username alice --repository {} --ref v0.24.0 --acme {} \
         --acme-root /usr/local/share/ca-certificates/sandbox.crt",
        Sandbox::REPOSITORY,
        Sandbox::ACME
    );
    vps.must("systemctl stop chatalot-agent")?;
    // In this very process: the same answers, and nothing written.
    let preflight = vps.must(&format!("chatalot-agent preflight {site}"))?;
    assert!(preflight.contains("The ports are free"), "{preflight}");
    let alone = plan(vps, &site)?;
    let deploy = vps.sh(&format!("chatalot-agent deploy --yes {site}"))?;
    advises(
        &deploy,
        5,
        "AGENT_NOT_RUNNING",
        "agent.sock",
        "systemctl start chatalot-agent",
    );
    vps.must("systemctl start chatalot-agent")?;
    assert_eq!(plan(vps, &site)?, alone, "the daemon plans otherwise");
    assert!(vps.must("chatalot-agent status")?.contains("stands alone"));
    let deployed = vps.must(&format!("chatalot-agent deploy --yes {site}"))?;
    assert!(deployed.contains("Deployed: breaks.example.com"), "{deployed}");
    vps.must("systemctl stop chatalot-agent")?;
    vps.must("chatalot-agent verify && chatalot-agent handover | grep -q 'Back up'")?;
    vps.must("systemctl start chatalot-agent")?;
    Ok(())
}

/// A plan without what changes by itself from one moment to the next.
fn plan(vps: &Vps, site: &str) -> Result<String> {
    vps.must(&format!("chatalot-agent plan {site} | grep -v 'GiB free'"))
}

fn verify(journey: &Journey) -> Result<Output> {
    journey.controller.ctl(&["verify", &journey.name])
}

fn level(journey: &Journey, level: &str) -> Result<()> {
    let wanted = format!("\"level\":\"{level}\"");
    let show = ["--output", "json", "host", "show", &journey.name];
    wait_until(&format!("level {level}"), SOON, || {
        journey
            .controller
            .ctl(&show)
            .is_ok_and(|output| output.stdout.contains(&wanted))
    })
}

fn f52_a_stopped_engine_is_named_and_a_deployment_starts_it(journey: &Journey) -> Result<()> {
    journey.vps.must("systemctl stop docker.service docker.socket")?;
    let seen = verify(journey)?;
    advises(
        &seen,
        3,
        "ENGINE_DOWN",
        "nobody listens on /run/docker.sock",
        "systemctl start docker",
    );
    let again = journey.deploy(&[])?.ok()?;
    assert!(
        again.stdout.contains("Deployed: breaks.example.com"),
        "{}",
        again.stdout
    );
    level(journey, "ok")
}

fn f58_a_database_that_is_down_changes_the_level_and_back(journey: &Journey) -> Result<()> {
    journey.vps.must("docker stop chatalot-db")?;
    let health = journey.vps.must("curl -s http://127.0.0.1:8080/api/health")?;
    assert!(
        health.contains("\"db_healthy\":false"),
        "still with status 200: {health}"
    );
    let seen = verify(journey)?;
    advises(
        &seen,
        3,
        "HEALTH_DB_DOWN",
        "database is down",
        "docker start chatalot-db",
    );
    advises(
        &seen,
        3,
        "CONTAINERS_DOWN",
        "postgres (exited)",
        "docker compose logs",
    );
    level(journey, "down")?;
    let show = ["--output", "json", "host", "show", &journey.name];
    wait_until("the cause behind it is told by itself", SOON, || {
        let shown = journey.controller.ctl(&show);
        shown.is_ok_and(|shown| shown.stdout.contains("\"code\":\"DATABASE_DOWN\""))
    })?;
    let status = journey.controller.ctl(&["status", &journey.name])?;
    advises(
        &Output {
            stdout: status.stdout.replace("  HEALTH_DB_DOWN", "✗ HEALTH_DB_DOWN"),
            ..status.clone()
        },
        status.code,
        "HEALTH_DB_DOWN",
        "database is down",
        "docker start chatalot-db",
    );
    journey.vps.must("docker start chatalot-db")?;
    level(journey, "ok")?;
    verify(journey)?.ok()?;
    Ok(())
}

fn f56_a_broken_proxy_is_not_taken_for_chatalot(journey: &Journey) -> Result<()> {
    journey
        .vps
        .must("cp /etc/caddy/Caddyfile /root/ && echo '{{{' >>/etc/caddy/Caddyfile")?;
    journey.vps.sh("systemctl restart caddy")?;
    let seen = verify(journey)?;
    advises(
        &seen,
        3,
        "PROXY_DOWN",
        "it is the proxy",
        "journalctl -u caddy.service",
    );
    let refused = journey.deploy(&[])?;
    // A Caddy that does not run is to be started, and so its configuration is judged.
    advises(
        &refused,
        1,
        "CADDY_INVALID",
        "Caddy refused its configuration",
        "caddy validate",
    );
    assert!(
        journey
            .vps
            .must("tail -n 1 /etc/caddy/Caddyfile")?
            .contains("{{{"),
        "a person's own line is left alone"
    );
    journey
        .vps
        .must("cp /root/Caddyfile /etc/caddy/Caddyfile && systemctl restart caddy")?;
    journey.deploy(&[])?.ok()?;
    Ok(())
}

fn f56_a_reload_that_hangs_is_given_up_and_taken_back(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    let shut = "INPUT -i lo -p tcp --dport 2019 -j DROP";
    // systemd gives a reload a minute and a half, unless a person has said otherwise.
    vps.must(
        "mkdir /etc/systemd/system/caddy.service.d && cd /etc/systemd/system/caddy.service.d && \
        printf '[Service]\\nTimeoutStartSec=8\\n' >patience.conf && systemctl daemon-reload",
    )?;
    vps.must("cd /usr/local/share/ca-certificates && cp sandbox.crt other.crt")?;
    vps.must("sha256sum /etc/caddy/Caddyfile /etc/caddy/conf.d/* >/root/before")?;
    vps.must(&format!("iptables -I {shut}"))?;
    let other = [("--acme-root", "/usr/local/share/ca-certificates/other.crt")];
    let failed = deploy_with(journey, &other, &[])?;
    let said = "systemctl reload caddy.service";
    advises(
        &failed,
        1,
        "CADDY_RELOAD_FAILED",
        said,
        "our part was taken out again",
    );
    vps.must("sha256sum -c --quiet /root/before && systemctl is-active caddy")?;
    assert!(journey.public_health()?.contains("\"status\":\"ok\""));
    vps.must(&format!("iptables -D {shut}"))?;
    deploy_with(journey, &other, &[])?.ok()?;
    vps.must("grep -q other.crt /etc/caddy/conf.d/breaks.example.com.caddy")?;
    Ok(())
}
