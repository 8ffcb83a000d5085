//! Lines from a running step to the operator's pipe, counted as if each had 100 bytes.
//!
//! The stand-in's installer prints as many as the agent passes on whole (48 MiB of head), as fast as `yes` can; measured is from the
//! first to the last of them at the reading end of `chatalotctl deploy -v`'s standard output. On the way: the step's pipe, the scrubber,
//! its file, the mutual TLS session, the controller's file, its socket as JSON, the command line. All of it shares this machine's cores.

use super::world::World;
use chatalot_tests::figures::{Bound, Figures, float, median};
use chatalot_tests::{Failed, Result};
use std::io::Read;
use std::process::Stdio;
use std::time::Instant;

const LINES: u64 = 700_000;
const BYTES_A_LINE: f64 = 100.0;
const TURNS: usize = 3;
/// How a line of the flood begins.
const MARK: &[u8] = b"a line of the flood";
const READ: usize = 256 << 10;

pub(crate) fn measure(world: &World, figures: &mut Figures) -> Result<()> {
    let (mut rates, mut resident) = (Vec::new(), 0.0_f64);
    for _ in 0..TURNS {
        world.uninstall()?;
        let lines = LINES.to_string();
        world
            .journey
            .vps
            .stand_in_knobs(&[("installer_flood_lines", lines.as_str())])?;
        rates.push(flood(world)?);
        world.journey.vps.stand_in_knobs(&[])?;
        let peak = format!("awk '/^VmHWM/{{print $2}}' /proc/{}/status", world.agent()?);
        resident = resident.max(world.journey.vps.must(&peak)?.trim().parse().unwrap_or(0.0));
    }
    let rate = median(&mut rates);
    figures.row(
        "step output to the operator's pipe",
        rate / 1e6,
        "M lines/s",
        Bound::AtLeast(1.0),
    );
    figures.row(
        "    the agent's largest resident memory so far",
        resident / 1024.0,
        "MiB",
        Bound::None,
    );
    Ok(())
}

fn flood(world: &World) -> Result<f64> {
    let failed = |source| Failed::Run {
        command: "chatalotctl deploy -v".to_owned(),
        source,
    };
    let mut command = world.journey.controller.command();
    let mut deploy = command
        .args(["deploy", &world.journey.name, "--yes", "-v"])
        .args(world.journey.site())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let mut pipe = deploy
        .stdout
        .take()
        .ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
    let mut flood = Flood::default();
    let mut chunk = vec![0; READ];
    loop {
        let got = pipe.read(&mut chunk).map_err(failed)?;
        if got == 0 {
            break;
        }
        flood.take(&chunk[..got]);
    }
    let ended = deploy.wait().map_err(failed)?;
    match (flood.first, flood.last) {
        (Some(first), Some(last)) if flood.lines >= LINES && ended.success() => {
            Ok(float(flood.bytes) / BYTES_A_LINE / (last - first).as_secs_f64())
        }
        _ => Err(Failed::Late(
            format!("{LINES} lines of the flood ({} came; {ended})", flood.lines),
            0,
        )),
    }
}

/// Counts the flood's lines as they come.
#[derive(Default)]
struct Flood {
    rest: Vec<u8>,
    lines: u64,
    /// Of lines that came in one piece; the few others are left out.
    bytes: u64,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Flood {
    fn take(&mut self, bytes: &[u8]) {
        let before = self.lines;
        let mut bytes = bytes;
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end + 1);
            let ours = if self.rest.is_empty() {
                is_ours(line)
            } else {
                self.rest.extend_from_slice(line);
                is_ours(&self.rest)
            };
            self.rest.clear();
            self.lines += u64::from(ours);
            self.bytes += if ours { line.len() as u64 } else { 0 };
            bytes = rest;
        }
        self.rest.extend_from_slice(bytes);
        if self.lines > before {
            let now = Instant::now();
            self.first.get_or_insert(now);
            self.last = Some(now);
        }
    }
}

fn is_ours(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(MARK)
}
