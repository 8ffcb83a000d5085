//! From `exec` of the agent to the controller's acknowledgement of its session.
//!
//! The agent's own unit, sandboxed as shipped, with one change: its command is a shell that notes the time and then becomes the
//! agent. The end is the time at which the agent wrote its record of the controller's welcome to the journal. What systemd needs
//! to set the unit up is before that and not in it.

use super::figures::{Bound, Figures, median};
use super::world::World;
use chatalot_tests::Result;

const TURNS: usize = 11;
const FOLDER: &str = "/run/systemd/system/chatalot-agent.service.d";
const SHELL: &str = "[Service]\nExecStart=\nExecStart=/bin/bash -c 'echo \"$$EPOCHREALTIME\" >/run/chatalot-agent/exec; \
    exec /usr/local/bin/chatalot-agent run'\n";
/// The notes and the journal's own time of the welcome, both in microseconds.
const TIMES: &str = "tr -d .\\\\n </run/chatalot-agent/exec; echo; \
    journalctl -b -o json --output-fields=MESSAGE,_SOURCE_REALTIME_TIMESTAMP \
    _PID=$(systemctl show -p MainPID --value chatalot-agent) | grep welcomed \
    | sed 's/.*_SOURCE_REALTIME_TIMESTAMP\":\"\\([0-9]*\\).*/\\1/' | head -n 1";

pub(crate) fn measure(world: &World, figures: &mut Figures) -> Result<()> {
    let vps = &world.journey.vps;
    vps.write(&format!("{FOLDER}/bench.conf"), SHELL.as_bytes(), 0o644)?;
    vps.must("systemctl daemon-reload")?;
    let mut took = Vec::new();
    for _ in 0..TURNS {
        world.restart_agent()?;
        let times = vps.must(TIMES)?;
        let times: Vec<f64> = times.lines().filter_map(|line| line.parse().ok()).collect();
        if let [exec, welcomed] = times[..] {
            took.push((welcomed - exec) / 1e3);
        }
    }
    vps.must(&format!("rm -r {FOLDER} && systemctl daemon-reload"))?;
    world.restart_agent()?;
    figures.row(
        "exec to session acknowledged",
        median(&mut took),
        "ms",
        Bound::AtMost(10.0),
    );
    Ok(())
}
