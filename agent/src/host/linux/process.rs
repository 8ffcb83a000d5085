//! Child processes: their own group, a small environment, a deadline, and an end.

use super::files;
use crate::host::{Command, HostError, Output};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;
use tokio::time::{Instant, sleep_until};

/// The most that is kept of each stream of a query.
const MOST: usize = 1024 * 1024;
/// How long a query may take to end when it is asked to.
const QUERY_GRACE: Duration = Duration::from_secs(2);
/// How long a grandchild may keep the pipe open once its parent is gone.
const LINGER: Duration = Duration::from_secs(2);

/// Runs a command that only reads.
pub(super) async fn query(command: &Command) -> Result<Output, HostError> {
    let mut child = spawn(command, || Ok((Stdio::piped(), Stdio::piped())))?;
    let mut stdout = Kept::new(child.stdout.take());
    let mut stderr = Kept::new(child.stderr.take());
    let mut watch = Watch::new(child, &command.program, command.deadline, None, QUERY_GRACE);
    loop {
        tokio::select! {
            // Cancel-safe: a read that is dropped has taken nothing; `Watch::next` keeps its state in itself.
            () = stdout.more(), if stdout.open() => {}
            () = stderr.more(), if stderr.open() => {}
            next = watch.next() => if next == Next::Over { break },
        }
        if watch.has_exited() && !stdout.open() && !stderr.open() {
            break;
        }
    }
    Ok(Output {
        code: watch.code()?,
        stdout: stdout.text(),
        stderr: stderr.text(),
    })
}

/// Starts a command in a process group of its own, with nothing on its standard input.
pub(super) fn spawn(
    command: &Command,
    streams: impl FnOnce() -> io::Result<(Stdio, Stdio)>,
) -> Result<Child, HostError> {
    let failed = |source| HostError::Start {
        program: command.program.clone(),
        source,
    };
    let program = match files::program(&command.program) {
        Some(path) => path,
        None if command.program.starts_with('/') => command.program.clone().into(),
        None => return Err(failed(io::ErrorKind::NotFound.into())),
    };
    let (stdout, stderr) = streams().map_err(failed)?;
    let mut child = tokio::process::Command::new(program);
    child
        .args(&command.args)
        .env_clear()
        .env("PATH", files::PATH)
        .env("HOME", "/root")
        .env("LANG", "C.UTF-8")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .process_group(0)
        .kill_on_drop(true);
    if let Some(folder) = &command.folder {
        child.current_dir(folder);
    }
    child.spawn().map_err(failed)
}

/// What a stream said so far.
struct Kept<R> {
    stream: Option<R>,
    content: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Kept<R> {
    const fn new(stream: Option<R>) -> Self {
        Self {
            stream,
            content: Vec::new(),
        }
    }

    const fn open(&self) -> bool {
        self.stream.is_some()
    }

    /// Reads on; beyond the cap only to keep the writer going.
    async fn more(&mut self) {
        let Some(stream) = self.stream.as_mut() else {
            return;
        };
        match stream.read_buf(&mut self.content).await {
            Ok(n) if n > 0 => self.content.truncate(MOST),
            _ => self.stream = None,
        }
    }

    fn text(self) -> String {
        String::from_utf8(self.content).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
    }
}

/// What a [`Watch`] saw.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Something moved on.
    Changed,
    /// There is nothing more to wait for.
    Over,
}

/// Why a child was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Deadline,
    Idle,
}

/// What was done to it so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    Asked,
    Killed,
}

/// Watches over a child's group: ends it when its time is over, and does not wait for what it left behind.
pub(super) struct Watch {
    child: Child,
    group: Group,
    program: String,
    deadline: Duration,
    started: Instant,
    idle: Option<Duration>,
    heard: Instant,
    grace: Duration,
    stage: Stage,
    /// When the current stage after `Running`, or the wait after the exit, is over.
    until: Instant,
    cause: Option<Cause>,
    status: Option<ExitStatus>,
}

impl Watch {
    pub(super) fn new(
        child: Child,
        program: &str,
        deadline: Duration,
        idle: Option<Duration>,
        grace: Duration,
    ) -> Self {
        let now = Instant::now();
        Self {
            group: Group::of(&child),
            child,
            program: program.to_owned(),
            deadline,
            started: now,
            idle,
            heard: now,
            grace,
            stage: Stage::Running,
            until: now,
            cause: None,
            status: None,
        }
    }

    /// Its output moved: it is not idle.
    pub(super) fn hear(&mut self) {
        self.heard = Instant::now();
    }

    pub(super) const fn has_exited(&self) -> bool {
        self.status.is_some()
    }

    /// Waits for the child's exit or for a time limit, and acts on it. Cancel-safe.
    pub(super) async fn next(&mut self) -> Next {
        let (limit, cause) = self.limit();
        tokio::select! {
            status = self.child.wait(), if self.status.is_none() => {
                self.exited(status);
                Next::Changed
            }
            () = sleep_until(limit) => self.escalate(cause),
        }
    }

    /// How it ended, or why it was ended.
    pub(super) fn code(self) -> Result<i32, HostError> {
        let program = self.program.clone();
        match (self.cause, self.status) {
            (Some(Cause::Idle), _) => Err(HostError::Idle {
                program,
                seconds: self.idle.unwrap_or_default().as_secs(),
                said: Vec::new(),
            }),
            (Some(Cause::Deadline), _) | (None, None) => Err(HostError::Deadline {
                program,
                seconds: self.deadline.as_secs(),
                said: Vec::new(),
            }),
            (None, Some(status)) => Ok(status
                .code()
                .or_else(|| status.signal().map(|n| 128 + n))
                .unwrap_or(-1)),
        }
    }

    fn limit(&self) -> (Instant, Cause) {
        if self.status.is_some() || self.stage != Stage::Running {
            return (self.until, Cause::Deadline);
        }
        let deadline = self.started + self.deadline;
        match self.idle.map(|idle| self.heard + idle) {
            Some(idle) if idle < deadline => (idle, Cause::Idle),
            _ => (deadline, Cause::Deadline),
        }
    }

    fn exited(&mut self, status: io::Result<ExitStatus>) {
        self.status = Some(status.unwrap_or_else(|_| ExitStatus::from_raw(-1)));
        self.group.armed = false;
        self.until = Instant::now() + LINGER;
        if self.cause.is_some() {
            self.group.signal(Signal::SIGKILL);
        }
    }

    fn escalate(&mut self, cause: Cause) -> Next {
        if self.status.is_some() {
            return Next::Over;
        }
        let (signal, stage, grace) = match self.stage {
            Stage::Running => {
                self.cause = Some(cause);
                (Signal::SIGTERM, Stage::Asked, self.grace)
            }
            Stage::Asked => (Signal::SIGKILL, Stage::Killed, LINGER),
            Stage::Killed => return Next::Over,
        };
        self.group.signal(signal);
        self.stage = stage;
        self.until = Instant::now() + grace;
        Next::Changed
    }
}

/// A process group, ended when it is dropped before its leader has exited.
struct Group {
    id: Option<Pid>,
    armed: bool,
}

impl Group {
    fn of(child: &Child) -> Self {
        let id = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .map(Pid::from_raw);
        Self { id, armed: true }
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.id {
            // A group that is gone already is what we wanted.
            let _ = killpg(id, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.armed {
            self.signal(Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
