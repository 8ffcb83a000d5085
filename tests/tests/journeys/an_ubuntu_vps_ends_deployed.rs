//! The main journey on Ubuntu 24.04. Its packages come from its own archive each time, so it is run only where everything
//! is asked for, by `CHATALOT_FULL=1`.

use std::time::Duration;

use chatalot_tests::{Journey, Result, Sandbox, Vps, full, phase};

// coverage: real · Ubuntu 24.04 · caddy · updater on
#[test]
fn an_ubuntu_vps_ends_deployed_and_survives_a_reboot() -> Result<()> {
    if !full() {
        return Ok(());
    }
    let sandbox = Sandbox::up_with_all()?;
    let vps = Vps::fresh_ubuntu(&sandbox, "ubuntu")?;
    let journey = phase("joined", || Journey::joined_by(&sandbox, "ubuntu", vps))?;
    let deployed = phase("deploy", || journey.deploy(&[]))?.ok()?;
    assert!(
        deployed.stdout.contains("Plan for Ubuntu 24.04"),
        "{}",
        deployed.stdout
    );
    assert!(
        deployed.stdout.contains("Deployed: ubuntu.example.com"),
        "{}",
        deployed.stdout
    );
    assert!(journey.public_health()?.contains("\"status\":\"ok\""));
    phase("reboot", || journey.vps.reboot())?;
    journey
        .vps
        .wait_for("chatalot-agent verify", Duration::from_mins(2))?;
    phase("again", || journey.deploy(&[]))?.ok()?;
    Ok(())
}
