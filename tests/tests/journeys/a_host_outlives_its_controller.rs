//! What an operator does with a host over the years, by the real commands: gives it another name, puts it out, lets it
//! come back, and loses the controller. No line is pasted a second time.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use chatalot_tests::{Controller, Journey, Result, Sandbox, Vps, phase, says, wait_until};

const SOON: Duration = Duration::from_secs(30);

#[test]
fn f33_a_host_is_renamed_put_out_let_back_in_and_finds_a_controller_that_was_restored_elsewhere() -> Result<()>
{
    let sandbox = phase("sandbox", Sandbox::up)?;
    let elsewhere = Controller::free_port()?;
    let standby = format!("{}:{elsewhere}", Sandbox::GATEWAY);
    let mut journey = phase("controller, fresh vps, pasted line", || {
        let controller = Controller::start_with("outlives", &["--standby", &standby])?;
        let vps = Vps::fresh(&sandbox, "outlives")?;
        Journey::joined_to(&sandbox, "outlives", vps, controller)
    })?;
    phase("another name", || is_renamed(&mut journey))?;
    phase("out, and in again", || is_put_out_and_let_back_in(&journey))?;
    phase("a disk that may only be read", || f50_reads_only(&journey))?;
    let before = identity(&journey)?;
    phase("restored elsewhere", || {
        journey.controller.restore_elsewhere(elsewhere)
    })?;
    let state = std::fs::metadata(journey.controller.state()).map(|facts| facts.permissions().mode() & 0o777);
    assert_eq!(
        state.ok(),
        Some(0o700),
        "only its owner may look into a controller"
    );
    journey
        .controller
        .wait_for_session(&journey.name, Duration::from_mins(1))?;
    assert_eq!(identity(&journey)?, before, "it has not joined anew");
    let verified = journey.vps.must("chatalot-agent audit verify")?;
    assert!(verified.contains("none changed"), "{verified}");
    journey.controller.ctl(&["audit", "verify"])?.ok()?;
    Ok(())
}

fn is_renamed(journey: &mut Journey) -> Result<()> {
    let before = std::mem::replace(&mut journey.name, "moved".to_owned());
    journey
        .controller
        .ctl(&["host", "rename", &before, &journey.name])?
        .ok()?;
    journey.controller.wait_for_session(&journey.name, SOON)?;
    let gone = journey.controller.ctl(&["host", "show", &before])?;
    assert_ne!(gone.code, 0, "{}", gone.stdout);
    Ok(())
}

fn is_put_out_and_let_back_in(journey: &Journey) -> Result<()> {
    let told = journey.controller.ctl(&["host", "revoke", &journey.name])?.ok()?;
    let back = format!("chatalotctl host readmit {}", journey.name);
    assert!(told.stderr.contains(&back), "{}", told.stderr);
    wait_until("the end of its session", Duration::from_secs(2), || {
        journey
            .controller
            .ctl(&["--output", "json", "host", "show", &journey.name])
            .is_ok_and(|shown| shown.stdout.contains("\"connected\":false"))
    })?;
    let refused = journey.deploy(&[])?;
    assert_ne!(refused.code, 0, "{}", refused.stdout);

    let told = journey
        .controller
        .ctl(&["host", "readmit", &journey.name])?
        .ok()?;
    let at_once = "systemctl restart chatalot-agent";
    assert!(told.stderr.contains(at_once), "{}", told.stderr);
    journey.vps.must(at_once)?;
    journey.controller.wait_for_session(&journey.name, SOON)
}

/// The agent's state on a disk that may only be read, as after an error of the disk: it says so, takes no job, begins anew
/// seldom, and is back by itself.
fn f50_reads_only(journey: &Journey) -> Result<()> {
    let vps = &journey.vps;
    vps.must(
        "systemctl stop chatalot-agent && cp -a /var/lib/chatalot-agent /root/state && \
         mount -t tmpfs -o mode=700,size=64m state /var/lib/chatalot-agent && cp -a /root/state/. /var/lib/chatalot-agent/ && \
         mount -o remount,ro /var/lib/chatalot-agent && systemctl start --no-block chatalot-agent",
    )?;
    let told = "journalctl -u chatalot-agent -o cat | grep -c 'the agent cannot run: .*only'";
    vps.wait_for(told, SOON)?;
    let refused = journey.deploy(&[])?;
    assert_ne!(refused.code, 0, "{}", refused.stdout);
    says(&refused, &["HOST_NOT_CONNECTED"]);
    // It has begun anew, and not often.
    vps.wait_for(&format!("test $({told}) -ge 2"), Duration::from_mins(1))?;
    let restarts = vps.must("systemctl show -p NRestarts --value chatalot-agent")?;
    assert_eq!(restarts.trim(), "1");
    vps.must("mount -o remount,rw /var/lib/chatalot-agent")?;
    journey
        .controller
        .wait_for_session(&journey.name, Duration::from_mins(1))
}

/// What a join would have changed.
fn identity(journey: &Journey) -> Result<String> {
    journey.vps.must("cat /var/lib/chatalot-agent/id/current/*.json")
}
