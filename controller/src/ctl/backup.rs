//! `chatalotctl backup` and `chatalotctl restore`: on the machine of the controller, for whoever may read its state.

use crate::backup::{self, BackupError};
use crate::clock::minute;
use crate::config::STATE;
use chatalot_console::exit::{Exit, Failure};
use chatalot_console::output::{Format, Output};
use clap::Args;
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};

/// `backup`
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// Where to write it; `-` writes it to standard output, for `age` or `gpg` to encrypt
    file: PathBuf,
    /// The folder of the controller's state
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state: PathBuf,
}

/// `restore`
#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The backup; `-` reads it from standard input
    file: PathBuf,
    /// The folder that is to become the controller's state
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state: PathBuf,
    /// Keep API tokens in force, those that were revoked after the backup among them
    #[arg(long)]
    keep_tokens: bool,
}

/// Copies the controller into one file.
pub(super) fn take(args: &BackupArgs, out: &mut Output) -> Result<Exit, Failure> {
    let bytes = backup::take(&args.state).map_err(failed)?;
    if args.file == Path::new("-") {
        if out.terminal {
            return Err(Failure::Usage(
                "a backup is not for a terminal: name a file, or pipe it on".to_owned(),
            ));
        }
        out.bytes(&bytes)?;
        return Ok(Exit::Done);
    }
    backup::keep(&bytes, &args.file).map_err(failed)?;
    match out.format {
        Format::Json => out.json(&json!({"file": args.file, "bytes": bytes.len()}))?,
        Format::Text => {
            let file = args.file.display();
            out.line(&format!("{file}: {} KiB", bytes.len().div_ceil(1024)))?;
            out.note(
                "Whoever has this file can take over every host: it holds the authority's keys, unencrypted. Keep it \
                 on another machine, encrypted.",
            )?;
        }
    }
    Ok(Exit::Done)
}

/// Makes a controller from one file.
pub(super) fn restore(args: &RestoreArgs, out: &mut Output) -> Result<Exit, Failure> {
    let bytes = if args.file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin()
            .read_to_end(&mut bytes)
            .map_err(Failure::Prompt)?;
        bytes
    } else {
        let read = std::fs::read(&args.file);
        read.map_err(|error| Failure::Usage(format!("`{}`: {error}", args.file.display())))?
    };
    let done = backup::restore(&bytes, &args.state, args.keep_tokens).map_err(failed)?;
    if out.format == Format::Json {
        out.json(&json!({
            "taken_ms": done.taken_ms, "epoch": done.epoch, "hosts": done.hosts,
            "tokens_ended": done.tokens_ended, "jobs_ended": done.jobs_ended,
        }))?;
        return Ok(Exit::Done);
    }
    out.line(&format!(
        "Restored into {}, as it was on {} (UTC): {} hosts, epoch {}.",
        args.state.display(),
        minute(done.taken_ms),
        done.hosts,
        done.epoch
    ))?;
    if done.jobs_ended > 0 {
        out.line(&format!(
            "{} deployments that were waiting are not carried out.",
            done.jobs_ended
        ))?;
    }
    if done.tokens_ended > 0 {
        out.line(&format!(
            "{} API tokens are ended; make new ones.",
            done.tokens_ended
        ))?;
    }
    out.note(
        "Hosts that were revoked after the backup are members again: revoke them before you start it. Never run two \
         controllers from one backup. Then: `chatalotctl serve`, at an address that the hosts know.",
    )?;
    Ok(Exit::Done)
}

#[allow(clippy::needless_pass_by_value, reason = "the way errors are mapped")]
fn failed(error: BackupError) -> Failure {
    match &error {
        BackupError::Store(_) | BackupError::File(_) | BackupError::Io { .. } => {
            Failure::Output(std::io::Error::other(crate::chain(&error)))
        }
        _ => Failure::Usage(crate::chain(&error)),
    }
}
