//! The main journey on Debian 12, whose own engine is too old: Docker's packages come from an operator's mirror of
//! Docker's repository, whose key the agent checks before anything is installed. Docker's own repository cannot be had
//! here; the mirror's packages are Debian 13's engine under Docker's names. Its images take minutes, so it is run only
//! where everything is asked for, by `CHATALOT_FULL=1`.

use std::time::Duration;

use chatalot_tests::{Journey, Result, Sandbox, Vps, advises, full, phase};

const SOURCE: &str = "/etc/apt/sources.list.d/chatalot-docker.sources";
const KEY: &str = "/etc/apt/keyrings/chatalot-docker.asc";
const MIRROR: &str = "https://docker-mirror.example.net";

// coverage: real · Debian 12 · caddy · updater on
#[test]
fn a_debian_12_vps_ends_deployed_with_dockers_engine_and_survives_a_reboot() -> Result<()> {
    if !full() {
        return Ok(());
    }
    let sandbox = Sandbox::up_with_all()?;
    let vps = Vps::fresh_debian12(&sandbox, "debian12")?;
    let journey = phase("joined", || Journey::joined_by(&sandbox, "debian12", vps))?;
    let vps = &journey.vps;

    // The right key under a wrong fingerprint is no key at all.
    mirror(vps, &"0".repeat(40))?;
    let refused = phase("a key that is not the pinned one", || journey.deploy(&[]))?;
    advises(
        &refused,
        1,
        "REPOSITORY_KEY_WRONG",
        MIRROR,
        "do not install from it",
    );
    vps.must(&format!(
        "test ! -e {SOURCE} && test ! -e {KEY} && ! command -v dockerd"
    ))?;

    let print = sandbox
        .internet("cat /srv/docker-mirror/fingerprint")?
        .ok()?
        .stdout;
    mirror(vps, print.trim())?;
    let deployed = phase("deploy", || journey.deploy(&[]))?.ok()?;
    for wanted in [
        "Plan for Debian 12",
        "9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
        "your mirror",
        print.trim(),
        "Deployed: debian12.example.com",
    ] {
        assert!(
            deployed.stdout.contains(wanted),
            "no `{wanted}`:\n{}",
            deployed.stdout
        );
    }
    assert!(journey.public_health()?.contains("\"status\":\"ok\""));
    vps.must("dpkg-query -W docker-ce docker-compose-plugin && ! dpkg-query -W docker.io")?;

    phase("reboot", || vps.reboot())?;
    vps.wait_for("chatalot-agent verify", Duration::from_mins(2))?;
    vps.must("touch /run/second-run")?;
    let again = phase("again", || journey.deploy(&[]))?.ok()?;
    let written =
        vps.must("find /etc /srv /usr -xdev -type f -not -path '/etc/resolv.conf' -newer /run/second-run")?;
    assert_eq!(written, "", "the second run wrote something:\n{}", again.stdout);

    phase("uninstall", || vps.must("chatalot-agent uninstall --yes"))?;
    vps.must(&format!(
        "test ! -e {SOURCE} && test ! -e {KEY} && dpkg-query -W docker-ce && apt-get -q update"
    ))?;
    Ok(())
}

/// Has root on the host name the mirror.
fn mirror(vps: &Vps, fingerprint: &str) -> Result<()> {
    let config = format!(
        "[repositories.docker]\nurl = \"{MIRROR}\"\nkey = \"{MIRROR}/key.asc\"\nfingerprint = \"{fingerprint}\"\n"
    );
    vps.write("/etc/chatalot-agent/config.toml", config.as_bytes(), 0o644)
}
