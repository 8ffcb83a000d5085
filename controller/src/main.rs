//! `chatalotctl`: the controller and the operator's commands, in one binary.

use chatalotctl::ctl::{self, Cli};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    ctl::run(Cli::parse())
}
