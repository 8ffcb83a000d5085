//! The main journey: serve → host add → the printed line → deploy → handover → reboot → run again.

use std::time::Duration;

use chatalot_tests::{Journey, Result, Sandbox, phase};

const SOON: Duration = Duration::from_mins(2);

// coverage: real · Debian 13 · caddy · updater on
#[test]
fn a_clean_vps_ends_deployed_survives_a_reboot_and_a_second_run_writes_nothing() -> Result<()> {
    let sandbox = phase("sandbox", Sandbox::up)?;
    let journey = phase("controller, fresh vps, pasted line", || {
        Journey::joined(&sandbox, "clean")
    })?;
    let deployed = phase("deploy", || journey.deploy(&[]))?.ok()?;
    for wanted in [
        "https://clean.example.com",
        "alice",
        "/srv/chatalot/secrets/",
        "Back up",
    ] {
        assert!(
            deployed.stdout.contains(wanted),
            "no `{wanted}` in the handover:\n{}",
            deployed.stdout
        );
    }
    assert!(journey.public_health()?.contains("\"status\":\"ok\""));

    phase("reboot", || journey.vps.reboot())?;
    let verified = "chatalot-agent verify";
    phase("verified after the reboot", || {
        journey.vps.wait_for(verified, SOON)
    })?;

    journey.vps.must("touch /run/second-run")?;
    let before = written(&journey)?;
    let again = phase("second deploy", || journey.deploy(&[]))?.ok()?;
    assert_eq!(
        written(&journey)?,
        before,
        "the second run wrote something:\n{}",
        again.stdout
    );

    phase("policy and audit", || {
        the_host_has_the_last_word_and_the_record(&journey)
    })?;

    journey.vps.must("chatalot-agent leave")?;
    let left = journey.vps.must(
        "ls -d /etc/chatalot-agent /var/lib/chatalot-agent /usr/local/bin/chatalot-agent \
        /etc/systemd/system/chatalot-agent.service /run/chatalot-agent 2>/dev/null || true",
    )?;
    assert_eq!(left, "", "left behind");
    assert!(
        journey.public_health()?.contains("\"status\":\"ok\""),
        "the site goes on without the agent"
    );
    Ok(())
}

/// What was asked is in the audit, whole and without alarm; a policy that forbids it holds at once, and is nobody else's.
fn the_host_has_the_last_word_and_the_record(journey: &Journey) -> Result<()> {
    let audited = journey.vps.must("chatalot-agent audit verify")?;
    assert!(audited.starts_with("4 records, none changed"), "{audited}");
    let shown = journey
        .controller
        .ctl(&["host", "show", &journey.name])?
        .ok()?
        .stdout;
    assert!(!shown.contains("ALARM"), "{shown}");
    let status = journey.controller.ctl(&["status", &journey.name])?.stdout;
    assert!(status.contains("The source may come from: "), "{status}");
    let policy = "/etc/chatalot-agent/policy.toml";
    journey
        .vps
        .must(&format!("cp -p {policy} /root/kept && chmod 666 {policy}"))?;
    let refused = journey.deploy(&[])?;
    assert_eq!(refused.code, 4, "{}{}", refused.stdout, refused.stderr);
    assert!(refused.stdout.contains("POLICY_UNSAFE"), "{}", refused.stdout);
    journey.vps.must(&format!(
        "cp -p /root/kept {policy} && chatalot-agent policy check"
    ))?;
    Ok(())
}

/// Everything outside the agent's own folders that a deployment may have touched, with its time and content.
fn written(journey: &Journey) -> Result<String> {
    journey.vps.must(
        "find /etc /srv /usr -xdev -type f -not -path '/etc/resolv.conf' -newer /run/second-run | sort; \
         find /etc/caddy /srv/chatalot -type f -not -path '*/.git/*' -exec sha256sum {} + | sort; \
         docker ps --format '{{.ID}} {{.Image}}' | sort",
    )
}
