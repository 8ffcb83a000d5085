//! What a host can lack or have too much of, with real parts: each is named with its fix, leaves nothing half done, and
//! is well again once the advice has been followed. One VPS for all of it, in the order in which a host is filled.

use std::time::Duration;

use chatalot_tests::{Journey, Output, Result, Sandbox, Vps, advises, full, phase, wait_until};

const SOON: Duration = Duration::from_mins(1);
/// Less patience than usual, so that what hangs is not waited for in vain for long.
const PATIENCE: &str = "printf '[patience]\\nretry_secs = 8\\nsilence_secs = 15\\n' >/etc/chatalot-agent/config.toml; \
    sed -i 's|^git_remotes = .*|git_remotes = [\"*\"]|' /etc/chatalot-agent/policy.toml";
/// A name that leads to a machine on which nobody answers.
const NOBODY: &str = "https://nobody-lacking.example.com:9/chatalot.git";
/// No release of Debian that is still served has an Engine this old: a socket that answers as one did.
const OLD_ENGINE: &str = r#"use IO::Socket::UNIX; unlink "/run/docker.sock";
my $s = IO::Socket::UNIX->new(Local => "/run/docker.sock", Listen => 5) or die;
while (my $c = $s->accept) { while (<$c>) { last if /^\r?\n/ }
print $c "HTTP/1.1 200 OK\r\nApi-Version: 1.40\r\nServer: Docker/19.03.15 (linux)\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"; close $c }"#;
/// Debian's own engine under the name of another vendor's, without its compose; and a compose of the first version.
const FOREIGN_ENGINE: &str = "set -e; cd /root; apt-get -q update; apt-get -qy install --no-install-recommends docker.io docker-cli; \
    apt-get -q download docker.io; dpkg-deb -R docker.io_*.deb engine; \
    sed -i 's/^Package: .*/Package: docker-ce/; s/^Conflicts: .*//; s/^Replaces: .*/Replaces: docker.io/; s/^Breaks: .*/Conflicts: docker.io/' engine/DEBIAN/control; \
    sed -i '/^$/d' engine/DEBIAN/control; grep -q ^Conflicts engine/DEBIAN/control || echo 'Conflicts: docker.io' >>engine/DEBIAN/control; \
    dpkg-deb -Znone -b engine docker-ce.deb; dpkg --force-conflicts -r docker.io; dpkg -i docker-ce.deb; systemctl start docker; \
    printf '#!/bin/sh\\necho docker-compose version 1.29.2, build 5becea4c\\n' >/usr/local/bin/docker-compose; \
    chmod 755 /usr/local/bin/docker-compose";

#[test]
fn f42_f43_f46_f52_f54_a_host_that_cannot_work_is_told_why_and_left_alone() -> Result<()> {
    let sandbox = Sandbox::up()?;
    let journey = phase("joined", || Journey::joined(&sandbox, "lacking"))?;
    sandbox.dns("nobody-lacking.example.com", Some(Sandbox::GATEWAY), None)?;
    journey.vps.must(PATIENCE)?;
    phase("disk", || {
        f46_a_full_disk_is_found_before_anything_is_done(&journey)
    })?;
    phase("old engine", || f52_an_engine_of_long_ago_is_not_used(&journey))?;
    phase("compose v1", || {
        f52_a_compose_of_the_first_version_does_not_count(&journey)
    })?;
    phase("unreachable", || {
        a_repository_out_of_reach_is_tried_for_a_while(&journey)
    })?;
    phase("masked", || f52_an_engine_that_may_not_start_is_named(&journey))?;
    phase("container", || f54_a_port_of_a_container_is_named(&journey))?;
    phase("silence", || f43_a_silent_installer_is_ended(&journey))?;
    journey.vps.stand_in_knobs(&[])?;
    if full() {
        phase("acme", || {
            f56_an_authority_that_cannot_reach_us_is_named(&journey)
        })?;
    }
    sandbox.dns("nobody-lacking.example.com", None, None)
}

/// A deployment, with another repository where one is named.
fn deploy(journey: &Journey, repository: &str) -> Result<Output> {
    let site = journey.site();
    let site: Vec<&str> = site
        .iter()
        .map(|word| {
            if word == Sandbox::REPOSITORY {
                repository
            } else {
                word
            }
        })
        .collect();
    journey
        .controller
        .ctl(&[&["deploy", &journey.name, "--yes"], &site[..]].concat())
}

/// The agent anew, and its session.
fn restart(vps: &Vps) -> Result<()> {
    vps.must("systemctl restart chatalot-agent")?;
    vps.wait_for("chatalot-agent status | grep -q ', connected'", SOON)
}

/// Neither chatalot nor a proxy nor a step's unit is there.
fn untouched(vps: &Vps) -> Result<()> {
    vps.must("test ! -e /srv/chatalot && test ! -e /etc/caddy && ! docker ps -aq 2>/dev/null | grep .")?;
    vps.wait_for(
        "! systemctl list-units --all --no-legend 'chatalot-step*' | grep .",
        SOON,
    )
}

fn f46_a_full_disk_is_found_before_anything_is_done(journey: &Journey) -> Result<()> {
    // A container's mounts do not travel: the agent sees the disks that are there when it starts.
    journey.vps.must("mount -t tmpfs -o size=1g tmpfs /srv")?;
    restart(&journey.vps)?;
    let refused = journey.deploy(&[])?;
    advises(
        &refused,
        3,
        "DISK_FULL",
        "1.0 GiB free under /srv/chatalot",
        "enlarge the disk",
    );
    untouched(&journey.vps)?;
    journey.vps.must("! command -v dockerd && umount /srv")?;
    restart(&journey.vps)
}

fn f52_an_engine_of_long_ago_is_not_used(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    vps.write("/root/engine.pl", OLD_ENGINE.as_bytes(), 0o644)?;
    vps.must("systemd-run --quiet --unit=old-engine perl /root/engine.pl")?;
    vps.wait_for("test -S /run/docker.sock", SOON)?;
    let refused = journey.deploy(&[])?;
    advises(
        &refused,
        3,
        "ENGINE_TOO_OLD",
        "Docker Engine 19.03.15",
        "`apt-get install docker-ce`",
    );
    vps.must("! command -v dockerd && test ! -e /srv/chatalot")?;
    vps.must("systemctl stop old-engine && rm /run/docker.sock")?;
    Ok(())
}

fn f52_a_compose_of_the_first_version_does_not_count(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    vps.must(FOREIGN_ENGINE)?;
    vps.must("docker info >/dev/null && docker-compose --version | grep -q 1.29.2")?;
    let refused = journey.deploy(&[])?;
    advises(
        &refused,
        3,
        "COMPOSE_MISSING",
        "without compose v2",
        "docker-compose-plugin",
    );
    untouched(vps)?;
    vps.must("dpkg -l docker-ce | grep -q ^ii && ! dpkg -l docker.io docker-compose 2>/dev/null | grep ^ii")?;
    // Whoever has no use for the other engine gets the distribution's, and its compose.
    vps.must("dpkg -P docker-ce && rm /usr/local/bin/docker-compose")?;
    Ok(())
}

fn a_repository_out_of_reach_is_tried_for_a_while(journey: &Journey) -> Result<()> {
    let failed = deploy(journey, NOBODY)?;
    advises(&failed, 1, "REPOSITORY_UNREACHABLE", NOBODY, "git ls-remote");
    let text = [failed.stdout.as_str(), &failed.stderr].concat();
    let tried = text
        .lines()
        .find(|line| line.contains("times within"))
        .unwrap_or_default();
    let times: u32 = tried
        .split_whitespace()
        .skip_while(|word| *word != "tried")
        .nth(1)
        .and_then(|times| times.parse().ok())
        .unwrap_or_default();
    assert!(times > 2, "it was not tried again: {text}");
    journey
        .vps
        .must("docker compose version && test ! -e /srv/chatalot/scripts")?;
    Ok(())
}

fn f52_an_engine_that_may_not_start_is_named(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    vps.must("systemctl stop docker.service docker.socket && systemctl mask docker.service")?;
    let failed = journey.deploy(&[])?;
    advises(
        &failed,
        1,
        "ENGINE_DOWN",
        "systemctl enable --now docker.service",
        "journalctl -u docker",
    );
    assert!(
        failed.stdout.contains("masked"),
        "the reason is not shown: {}",
        failed.stdout
    );
    vps.must("systemctl unmask docker.service && systemctl start docker.socket docker.service")?;
    Ok(())
}

fn f54_a_port_of_a_container_is_named(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    vps.must("docker run -d --name somebody -p 80:80 --entrypoint sleep registry.example.net/chatalot/postgres:17 3600")?;
    let refused = journey.deploy(&[])?;
    advises(
        &refused,
        3,
        "PORT_TAKEN",
        "port 80 belongs to the container `somebody`",
        "docker stop somebody",
    );
    vps.must("test \"$(docker inspect -f '{{.State.Running}}' somebody)\" = true")?;
    vps.must("test ! -e /srv/chatalot/.env && test ! -e /etc/caddy")?;
    // What the advice says.
    vps.must("docker stop -t 0 somebody && docker rm somebody")?;
    Ok(())
}

fn f43_a_silent_installer_is_ended(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    vps.stand_in_knobs(&[("installer_hang", "1"), ("installer_forks_daemon", "1")])?;
    let failed = journey.deploy(&[])?;
    advises(
        &failed,
        1,
        "INSTALLER_HUNG",
        "wrote nothing for 15 s",
        "what the lines below wait for",
    );
    assert!(
        failed.stdout.contains("left a daemon behind"),
        "{}",
        failed.stdout
    );
    vps.wait_for("! pgrep -f scripts/[i]nstall.sh && ! pgrep -x sleep", SOON)?;
    vps.must("test ! -e /srv/chatalot/.env && test ! -e /etc/caddy && test -z \"$(docker ps -aq)\"")?;
    Ok(())
}

/// The provider's firewall is shut to the authority. Caddy tries again a minute later, which is waited for: minutes.
fn f56_an_authority_that_cannot_reach_us_is_named(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    let rule = format!(
        "INPUT -s {} -p tcp -m multiport --dports 80,443 -j REJECT",
        Sandbox::INTERNET
    );
    vps.must(&format!("iptables -I {rule}"))?;
    let refused = journey.deploy(&[])?;
    advises(
        &refused,
        3,
        "ACME_FAILED",
        "did not sign a certificate for lacking.example.com",
        "open both in the provider's firewall",
    );
    vps.must("curl -sf http://127.0.0.1:8080/api/health && systemctl is-active caddy")?;
    vps.must(&format!("iptables -D {rule}"))?;
    // For some seconds the refusal is still the answer to what was asked last.
    wait_until("a deployment once the way is open", 2 * SOON, || {
        journey.deploy(&[]).is_ok_and(|output| output.is_ok())
    })?;
    assert!(journey.public_health()?.contains("\"status\":\"ok\""));
    Ok(())
}
