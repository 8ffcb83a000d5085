//! Commands with an effect: what they write goes to the step's output as it comes.

use super::process::{Next, Watch, spawn};
use crate::host::{Command, HostError, Output};
use crate::runbook::output::{Sink, Tail};
use std::future::pending;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep_until};

/// How much is read at once: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// How many lines of a command that was ended are evidence.
const SAID: usize = 8;

/// How long a command may take, besides its own deadline.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// What is left of the step's own time.
    pub(super) left: Duration,
    /// Silence on its output.
    pub(super) idle: Duration,
    /// From being asked to end to being ended.
    pub(super) grace: Duration,
}

/// Runs a command; both of its streams go to the sink in the order they were written.
pub(super) async fn run(command: &Command, sink: &Sink, patience: Patience) -> Result<Output, HostError> {
    let (reader, writer) = std::io::pipe().map_err(failed(command))?;
    let child = spawn(command, || {
        Ok((Stdio::from(writer.try_clone()?), Stdio::from(writer)))
    })?;
    let mut reader = Some(pipe::Receiver::from_owned_fd(reader.into()).map_err(failed(command))?);
    let deadline = command.deadline.min(patience.left);
    let mut watch = Watch::new(
        child,
        &command.program,
        deadline,
        Some(patience.idle),
        patience.grace,
    );
    let mut tail = Tail::default();
    let mut chunk = vec![0; CHUNK];
    loop {
        let due = sink.due();
        tokio::select! {
            // Cancel-safe: a read that is dropped has taken nothing; `Watch::next` keeps its state in itself.
            read = more(&mut reader, &mut chunk) => if let Some(n) = read {
                watch.hear();
                sink.write(&chunk[..n], &mut tail);
            },
            () = until(due) => sink.flush(),
            next = watch.next() => if next == Next::Over { break },
        }
        if watch.has_exited() && reader.is_none() {
            break;
        }
    }
    sink.end(&mut tail);
    let mut output = Output {
        stdout: tail.text(),
        ..Output::default()
    };
    output.code = watch
        .code()
        .map_err(|error| error.having_said(output.last_lines(SAID)))?;
    Ok(output)
}

fn failed(command: &Command) -> impl Fn(std::io::Error) -> HostError {
    |source| HostError::Start {
        program: command.program.clone(),
        source,
    }
}

/// How many bytes came; `None`, and no reader any more, once nobody can write.
async fn more(reader: &mut Option<pipe::Receiver>, chunk: &mut [u8]) -> Option<usize> {
    let Some(open) = reader.as_mut() else {
        return pending().await;
    };
    match open.read(chunk).await {
        Ok(n) if n > 0 => Some(n),
        _ => {
            *reader = None;
            None
        }
    }
}

async fn until(due: Option<std::time::Instant>) {
    match due {
        Some(due) => sleep_until(Instant::from_std(due)).await,
        None => pending().await,
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
