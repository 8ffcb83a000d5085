//! What many agents cost the controller: `cargo run --release -p chatalot-fleet -- [names…]`.
//!
//! The controller is the shipped `chatalotctl serve` in a process of its own, whose memory and processor time are read
//! from /proc; the agents are tasks of this process that say what agents say, over mutual TLS on loopback. Each figure
//! is printed with its target and a verdict; what it holds is said at the top of its module.
//!
//! - `--agents N`: how many there are; 10,000 unless said otherwise (more need more file descriptors than are usual).
//! - `--minutes N`: how long they are idle.
//! - `--reference DIR`: a folder with the built reference programs `mtls` and `disk`, which then measure the same on the
//!   same machine at the same time, and the ratio is printed.
//! - `CHATALOT_SHIPPED` names the folder of the programs; without it, what `packaging/build.sh` has built.

mod enrol;
mod events;
mod handshakes;
mod idle;
mod ping;
mod player;
mod reference;
mod returning;
mod served;

use chatalot_tests::figures::{self, Figures};
use enrol::Fleet;
use reference::Reference;
use std::path::PathBuf;
use std::process::ExitCode;

/// Whatever goes wrong ends the bench, with its reason.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const NAMES: [&str; 5] = ["handshakes", "ping", "events", "idle", "returning"];

/// What was typed.
struct Asked {
    agents: usize,
    minutes: u64,
    reference: Option<PathBuf>,
    names: Vec<String>,
}

impl Asked {
    fn read(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let mut asked = Self {
            agents: 10_000,
            minutes: 1,
            reference: None,
            names: Vec::new(),
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--agents" => asked.agents = words.next()?.parse().ok()?,
                "--minutes" => asked.minutes = words.next()?.parse().ok()?,
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

#[tokio::main]
async fn main() -> ExitCode {
    let Some(asked) = Asked::read(std::env::args().skip(1)) else {
        figures::say(&format!(
            "chatalot-fleet [--agents N] [--minutes N] [--reference DIR] [{}]",
            NAMES.join(" | ")
        ));
        return ExitCode::FAILURE;
    };
    match measure(&asked).await {
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

async fn measure(asked: &Asked) -> Result<usize> {
    let mut figures = Figures::begin();
    let reference = asked.reference.clone().map(Reference::in_folder).transpose()?;
    let reference = reference.as_ref();
    let fleet = Fleet::enrolled(asked.agents).await?;
    if asked.wants("handshakes") {
        handshakes::measure(&fleet, reference, &mut figures).await?;
    }
    if asked.wants("ping") {
        ping::measure(&fleet, reference, &mut figures).await?;
    }
    if asked.wants("events") {
        events::measure(&fleet, reference, &mut figures).await?;
    }
    if asked.wants("idle") {
        idle::measure(&fleet, asked.minutes, reference, &mut figures).await?;
    }
    if asked.wants("returning") {
        returning::measure(&fleet, &mut figures).await?;
    }
    Ok(figures.missed())
}
