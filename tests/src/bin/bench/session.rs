//! From `exec` of the agent to the controller's acknowledgement of its session.
//!
//! The agent's own unit, sandboxed as shipped, with one change: its command is a shell that notes the time and then becomes the
//! agent. The end is the time at which the agent wrote its record of the controller's welcome to the journal. What systemd needs
//! to set the unit up is before that and not in it. On the way both sides make something durable (the agent that it has started, the
//! controller that the host has a session): what one small synchronous write takes on each side's disk is printed beside it.

use super::world::World;
use chatalot_tests::figures::{Bound, Figures, float, median};
use chatalot_tests::{Failed, Result};
use std::fs::{File, remove_file};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

const TURNS: usize = 11;
const WRITES: u64 = 50;
/// The same from outside: milliseconds of one synchronous write below the agent's state.
const SYNC: &str = "cd /var/lib/chatalot-agent && s=${EPOCHREALTIME/./} \
    && dd if=/dev/zero of=bench bs=4k count=50 oflag=dsync 2>/dev/null && e=${EPOCHREALTIME/./} && rm bench \
    && awk \"BEGIN{print ($e-$s)/50000}\"";
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
    let there: f64 = vps
        .exec(&["bash", "-c", SYNC])?
        .ok()?
        .stdout
        .trim()
        .parse()
        .unwrap_or(f64::NAN);
    let here = synced(world.journey.controller.state())?;
    figures.row(
        "    a durable write on the agent's disk",
        there,
        "ms",
        Bound::None,
    );
    figures.row(
        "    a durable write on the controller's disk",
        here,
        "ms",
        Bound::None,
    );
    Ok(())
}

/// Milliseconds that one small write takes to be durable in a folder.
fn synced(folder: &Path) -> Result<f64> {
    let path = folder.join("bench");
    let work = || {
        let mut file = File::create(&path)?;
        let began = Instant::now();
        for _ in 0..WRITES {
            file.write_all(&[0; 4096])?;
            file.sync_data()?;
        }
        Ok(began.elapsed().as_secs_f64() * 1e3 / float(WRITES))
    };
    let took = work().map_err(|source| Failed::File {
        path: path.display().to_string(),
        source,
    });
    drop(remove_file(&path));
    took
}
