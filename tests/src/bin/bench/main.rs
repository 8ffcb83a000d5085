//! What is promised of the agent, measured on what is shipped: `cargo run --release -p chatalot-tests --bin bench [names…]`.
//!
//! Each figure is printed with its target and a verdict. The names are those of the modules; without any, all are
//! measured, in an order that leaves the host idle last.
//!
//! - `--minutes N`: how long the idle agent is looked at, and how long its checks are hurried; 5 and 10 unless said.
//! - `--jobs N`: how many jobs come before that; 1,000 unless said.
//! - `--reference DIR`: a folder with the built reference programs `floor` and `mtls`, which then idle on the same host.
//! - `CHATALOT_SHIPPED` names the folder of the programs; without it, what `packaging/build.sh` has built.
//!
//! Everything but the size is measured in one sandbox VPS after a deployment. That VPS and its controller share this
//! machine, so whatever else runs here is in the figures: the load is printed with them.

mod deployment;
mod floor;
mod growth;
mod idle;
mod output;
mod ping;
mod preflight;
mod session;
mod socket;
mod world;

use chatalot_tests::figures::{self, Bound, Figures, float};
use chatalot_tests::{Result, shipped};
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};
use world::World;

const NAMES: [&str; 8] = [
    "size",
    "session",
    "ping",
    "preflight",
    "deployment",
    "output",
    "growth",
    "idle",
];

/// What was typed.
#[derive(Default)]
struct Asked {
    minutes: Option<u64>,
    jobs: Option<u64>,
    reference: Option<PathBuf>,
    names: Vec<String>,
}

impl Asked {
    fn read(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let mut asked = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--minutes" => asked.minutes = Some(words.next()?.parse().ok()?),
                "--jobs" => asked.jobs = Some(words.next()?.parse().ok()?),
                "--reference" => asked.reference = Some(words.next()?.into()),
                name if NAMES.contains(&name) => asked.names.push(word),
                _ => return None,
            }
        }
        Some(asked)
    }

    fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|each| each == name)
    }
}

fn main() -> ExitCode {
    let Some(asked) = Asked::read(env::args().skip(1)) else {
        figures::say(&format!(
            "bench [--minutes N] [--jobs N] [--reference DIR] [{}]",
            NAMES.join(" | ")
        ));
        return ExitCode::FAILURE;
    };
    match measure(&asked) {
        Ok(missed) => {
            figures::say(&format!("{missed} missed"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            figures::say(&format!("could not measure: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(asked: &Asked) -> Result<usize> {
    let mut figures = Figures::begin();
    if asked.wants("size") {
        size(&mut figures);
    }
    if !NAMES.iter().skip(1).any(|name| asked.wants(name)) {
        return Ok(figures.missed());
    }
    let world = World::deployed()?;
    if asked.wants("session") {
        session::measure(&world, &mut figures)?;
    }
    if asked.wants("ping") {
        ping::measure(&world, &mut figures)?;
    }
    if asked.wants("preflight") {
        preflight::measure(&world, &mut figures)?;
    }
    if asked.wants("deployment") {
        deployment::measure(&world, &mut figures)?;
    }
    if asked.wants("output") {
        output::measure(&world, &mut figures)?;
    }
    if asked.wants("growth") {
        let (jobs, minutes) = (asked.jobs.unwrap_or(1000), asked.minutes.unwrap_or(10));
        growth::measure(&world, jobs, minutes, &mut figures)?;
    }
    if asked.wants("idle") {
        let resident = idle::measure(&world, asked.minutes.unwrap_or(5), &mut figures)?;
        if let Some(programs) = &asked.reference {
            floor::measure(&world, programs, resident, &mut figures)?;
        }
    }
    Ok(figures.missed())
}

/// The agent as it is shipped: static and stripped.
fn size(figures: &mut Figures) {
    let bytes = fs::metadata(shipped("chatalot-agent")).map_or(0, |file| file.len());
    figures.row(
        "agent, size on disk",
        float(bytes) / 1e6,
        "MB",
        Bound::AtMost(8.0),
    );
}
