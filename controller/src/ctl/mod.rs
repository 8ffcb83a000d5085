//! The command line: one file a command.

mod serve;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Enrols hosts, deploys chatalot to them, and watches over them.
#[derive(Debug, Parser)]
#[command(name = "chatalotctl", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the controller
    Serve(crate::config::ServeArgs),
}

/// Runs a command to its end.
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Verb::Serve(args) => serve::run(args.into()),
    }
}
