//! What issue 1 promises, measured on what is shipped: `cargo run --release -p chatalot-tests --bin bench [names…]`.
//!
//! Each figure is printed with its target and a verdict. The names are those of the modules; without any, all are
//! measured, in an order that leaves the host idle last. `--minutes N` is how long the idle agent is looked at.
//! `CHATALOT_SHIPPED` names the folder of the programs; without it, what `packaging/build.sh` has built.
//!
//! Everything but the size is measured in one sandbox VPS after a deployment. That VPS and its controller share this
//! machine, so whatever else runs here is in the figures: the load is printed with them.

mod deployment;
mod figures;
mod idle;
mod output;
mod ping;
mod preflight;
mod session;
mod socket;
mod world;

use chatalot_tests::{Result, shipped};
use figures::{Bound, Figures, float};
use std::process::ExitCode;
use std::{env, fs};
use world::World;

const NAMES: [&str; 7] = [
    "size",
    "session",
    "ping",
    "preflight",
    "deployment",
    "output",
    "idle",
];
const MINUTES: u64 = 5;

fn main() -> ExitCode {
    let mut minutes = MINUTES;
    let mut names = Vec::new();
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--minutes" {
            minutes = words.next().and_then(|n| n.parse().ok()).unwrap_or(MINUTES);
        } else if NAMES.contains(&word.as_str()) {
            names.push(word);
        } else {
            figures::say(&format!("bench [--minutes N] [{}]", NAMES.join(" | ")));
            return ExitCode::FAILURE;
        }
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|each| each == name);
    match measure(wanted, minutes) {
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

fn measure(wanted: impl Fn(&str) -> bool, minutes: u64) -> Result<usize> {
    let mut figures = Figures::begin();
    if wanted("size") {
        size(&mut figures);
    }
    if !NAMES.iter().skip(1).any(|name| wanted(name)) {
        return Ok(figures.missed());
    }
    let world = World::deployed()?;
    if wanted("session") {
        session::measure(&world, &mut figures)?;
    }
    if wanted("ping") {
        ping::measure(&world, &mut figures)?;
    }
    if wanted("preflight") {
        preflight::measure(&world, &mut figures)?;
    }
    if wanted("deployment") {
        deployment::measure(&world, &mut figures)?;
    }
    if wanted("output") {
        output::measure(&world, &mut figures)?;
    }
    if wanted("idle") {
        idle::measure(&world, minutes, &mut figures)?;
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
