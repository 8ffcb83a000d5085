//! A stand-in for the chatalot server: the same health answers, WebSocket manners and failures, and nothing else.
//!
//! `serve` (also without an argument) is the server, `healthcheck` asks it, `turn` answers STUN,
//! `idle` stands for the containers that only have to be there.

mod database;
mod health;
mod http;
mod serve;
mod turn;
mod web_socket;

use std::{
    io::{Write, stderr, stdout},
    process::ExitCode,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let verb = std::env::args().nth(1).unwrap_or_else(|| "serve".to_owned());
    let outcome = match verb.as_str() {
        "serve" => serve::run().await,
        "healthcheck" => health::ask().await,
        "turn" => turn::run().await,
        "idle" => serve::until_told().await.map_err(Into::into),
        other => Err(format!("unknown subcommand {other}").into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // As anyhow in `main` prints it: no level, no colour.
            drop(writeln!(stderr(), "Error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// A log line as chatalot writes it: coloured, terminal or not.
fn info(message: &str) {
    drop(writeln!(
        stdout(),
        "\u{1b}[32m INFO\u{1b}[0m \u{1b}[2mchatalot_server\u{1b}[0m: {message}"
    ));
}

type Failure = Box<dyn std::error::Error>;
