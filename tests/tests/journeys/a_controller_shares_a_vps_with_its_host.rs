//! The smallest fleet there is: controller and agent on one VPS, each under its shipped unit. Its hosts are listed in a file.

use std::fs;
use std::time::Duration;

use chatalot_tests::{Failed, Result, Sandbox, Vps, phase, shipped};

const SOON: Duration = Duration::from_secs(30);
const UNIT: &str = include_str!("../../../packaging/chatalotctl.service");
/// Where it is reached, and what it hands out, which is beside it here.
const HERE: &str = "[Service]\nExecStart=\nExecStart=/usr/local/bin/chatalotctl serve --address 127.0.0.1:8443 \
                    --agent-binary /opt/chatalot-agent\n";

#[test]
fn a_controller_and_its_host_live_on_one_vps_and_several_hosts_come_from_a_file() -> Result<()> {
    let sandbox = phase("sandbox", Sandbox::up)?;
    let vps = phase("fresh vps", || Vps::fresh(&sandbox, "both"))?;
    for (program, path) in [
        ("chatalotctl", "/usr/local/bin/chatalotctl"),
        ("chatalot-agent", "/opt/chatalot-agent"),
    ] {
        let bytes = fs::read(shipped(program)).map_err(|source| Failed::File {
            path: program.to_owned(),
            source,
        })?;
        vps.write(path, &bytes, 0o755)?;
    }
    let unit = "/etc/systemd/system/chatalotctl.service";
    vps.write(unit, UNIT.as_bytes(), 0o644)?;
    vps.must(&format!("mkdir {unit}.d"))?;
    vps.write(&format!("{unit}.d/here.conf"), HERE.as_bytes(), 0o644)?;
    vps.must("systemctl daemon-reload && systemctl enable --now chatalotctl")?;
    vps.wait_for("chatalotctl host list", SOON)?;

    vps.write("/root/hosts", b"both both.example.com\nother\n", 0o600)?;
    let printed = vps.must("chatalotctl host add --from /root/hosts")?;
    let lines: Vec<&str> = printed.lines().filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(lines.len(), 2, "{printed}");
    assert!(
        printed.contains("# both\n") && printed.contains("# other\n"),
        "{printed}"
    );
    vps.must(lines[0])?;
    let connected = "chatalotctl --output json host show both | grep -q '\"connected\":true'";
    vps.wait_for(connected, SOON)?;
    phase("reboot", || vps.reboot())?;
    vps.wait_for(connected, SOON)?;
    vps.must("! chatalotctl --output json host show other | grep -q '\"connected\":true'")?;
    Ok(())
}
