//! `chatalot-agent`. Decides nothing.
#![forbid(unsafe_code)]

use chatalot_agent::cli::{self, Cli};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
