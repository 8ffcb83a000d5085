//! The only door to the operating system.
//!
//! [`Look`] reads and never changes anything: it is all that a check gets, and all that the daemon uses itself.
//! [`Act`] changes the host: only an effect has it, inside its own transient unit (`chatalot-agent run-step`).
//! A new power over the host is a new verb here and in each of `linux/` and `fake`, on purpose: it deserves its
//! own review.

mod facts;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
pub mod linux;

pub use facts::{
    Answers, Container, Engine, Fetch, FetchError, Fetched, PortOwner, Records, Resources, System, TlsFacts,
    Transport, TurnAsk, TurnError, TurnOver, Unit,
};

use crate::stun::dialogue::Relay;
use async_trait::async_trait;
use chatalot_protocol::outside::{self, Door, Told};
use chatalot_protocol::site::Domain;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A program and its arguments; never shell text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The program, looked up in the system's own folders.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// What is added to an otherwise small, fixed environment.
    pub env: Vec<(String, String)>,
    /// The folder that it runs in.
    pub folder: Option<PathBuf>,
    /// When it is ended; of its own, besides the step's.
    pub deadline: Duration,
}

impl Command {
    /// A command with a deadline of one minute.
    pub fn new(program: &str, args: &[&str]) -> Self {
        Self {
            program: program.to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: Vec::new(),
            folder: None,
            deadline: Duration::from_mins(1),
        }
    }

    /// With one argument more.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Run in a folder.
    #[must_use]
    pub fn within(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// With another deadline.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

/// How a command ended, with what it wrote: all of it for a query, the last 64 KiB for an effect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// Its exit code; 128 + n for signal n.
    pub code: i32,
    /// What it wrote to standard output (an effect: both, as they came), at most 1 MiB, invalid UTF-8 replaced.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Output {
    /// Whether it ended well.
    pub const fn ok(&self) -> bool {
        self.code == 0
    }

    /// The last `n` lines that say something, without colours: evidence for an advice.
    pub fn last_lines(&self, n: usize) -> Vec<String> {
        let lines: Vec<String> = self
            .stdout
            .lines()
            .chain(self.stderr.lines())
            .map(plain_line)
            .filter(|line| !line.is_empty())
            .collect();
        lines[lines.len().saturating_sub(n)..].to_vec()
    }
}

/// How much of a line is shown: this many characters of its beginning, and of its end.
const SHOWN: usize = 200;

/// A line without colours, control characters and trailing space, as it was left where it was written over again and
/// again; of a very long one both ends.
pub fn plain_line(line: &str) -> String {
    let plain = unpainted(line);
    let length = plain.chars().count();
    if length <= 2 * SHOWN {
        return plain;
    }
    let beginning: String = plain.chars().take(SHOWN).collect();
    let end: String = plain.chars().skip(length - SHOWN).collect();
    format!("{beginning} … {end}")
}

/// The same, however long it is.
pub fn unpainted(line: &str) -> String {
    let mut plain = String::new();
    let last = line.trim_end().rsplit('\r').next().unwrap_or_default();
    let mut chars = last.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            skip_escape(&mut chars);
        } else if !c.is_control() || c == '\t' {
            plain.push(c);
        }
    }
    plain.truncate(plain.trim_end().len());
    plain
}

/// Skips one ANSI sequence: a CSI up to its final letter, or a single character.
fn skip_escape(chars: &mut std::str::Chars<'_>) {
    if chars.next() == Some('[') {
        let _ = chars.find(|c| ('@'..='~').contains(c));
    }
}

/// Why the host could not be asked or told.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A program could not be started.
    #[error("cannot start `{program}`")]
    Start {
        /// Which one.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A program took longer than its deadline, and was ended.
    #[error("`{program}` did not finish within {seconds} s")]
    Deadline {
        /// Which one.
        program: String,
        /// Its deadline.
        seconds: u64,
        /// The last lines of its output, where that was kept.
        said: Vec<String>,
    },
    /// A program wrote nothing for too long, and was ended.
    #[error("`{program}` wrote nothing for {seconds} s")]
    Idle {
        /// Which one.
        program: String,
        /// How long.
        seconds: u64,
        /// The last lines of its output, where that was kept.
        said: Vec<String>,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {verb} `{}`", path.display())]
    File {
        /// read, write, …
        verb: &'static str,
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The Docker Engine did not answer as it should.
    #[error("the Docker Engine did not answer: {0}")]
    Engine(String),
    /// Something else about the system could not be read.
    #[error("cannot tell {what}: {why}")]
    Unknown {
        /// What was asked.
        what: &'static str,
        /// Why there is no answer.
        why: String,
    },
}

impl HostError {
    /// With every line that a program has said made safe.
    fn masked(mut self, mask: impl Fn(&str) -> String) -> Self {
        if let Self::Deadline { said, .. } | Self::Idle { said, .. } = &mut self {
            for line in said {
                *line = mask(line);
            }
        }
        self
    }

    /// With what the program last said, for one that was ended.
    fn having_said(mut self, lines: Vec<String>) -> Self {
        if let Self::Deadline { said, .. } | Self::Idle { said, .. } = &mut self {
            *said = lines;
        }
        self
    }
}

/// Whose a file or folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The owner's user id.
    pub uid: u32,
    /// The permission bits.
    pub mode: u32,
}

impl Owner {
    /// Whether somebody else than root may write it.
    pub const fn lets_others_write(self) -> bool {
        self.uid != 0 || self.mode & 0o022 != 0
    }
}

/// A file that counts only if nobody but root could have written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strictly {
    /// Its content, at most 1 MiB of it.
    Content(Vec<u8>),
    /// There is none.
    Absent,
    /// There is one, and why it does not count.
    Unsafe(String),
}

impl Owner {
    /// Why a file or folder at a place is not trusted as root's own; `right_kind` is false for a link and the like.
    fn distrusted(self, place: &Path, right_kind: bool) -> Option<String> {
        let place = place.display();
        if !right_kind {
            Some(format!(
                "`{place}` is a link, or something else than it should be"
            ))
        } else if self.uid != 0 {
            Some(format!("`{place}` belongs to user id {}", self.uid))
        } else if self.lets_others_write() {
            Some(format!(
                "`{place}` may be written by others (mode {:04o})",
                self.mode
            ))
        } else {
            None
        }
    }
}

fn ask_for_services(folder: &str) -> Command {
    Command::new("docker", &["compose", "config", "--services"])
        .within(folder)
        .deadline(Duration::from_secs(20))
}

fn services_in(output: &Output) -> Option<Vec<String>> {
    let names = output.stdout.lines().map(plain_line);
    output
        .ok()
        .then(|| names.filter(|name| !name.is_empty()).collect())
}

/// Reads the host. Nothing here has an effect.
#[async_trait]
pub trait Look: Send + Sync {
    /// The operating system.
    async fn system(&self) -> Result<System, HostError>;
    /// Memory, and the disk that a path is (or will be) on.
    async fn resources(&self, path: &Path) -> Result<Resources, HostError>;
    /// The host's clock, in milliseconds since 1970.
    fn now_ms(&self) -> i64;
    /// A file's content, at most 1 MiB of it; `None` if there is none.
    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, HostError>;
    /// A file that counts only as a plain file of root's, in a folder of root's, with nobody else let to write either.
    async fn read_strictly(&self, path: &Path) -> Result<Strictly, HostError>;
    /// The names in a folder, sorted; empty if there is none.
    async fn list(&self, path: &Path) -> Result<Vec<String>, HostError>;
    /// Whose a file or folder is, a link followed; `None` if there is none.
    async fn owner(&self, path: &Path) -> Result<Option<Owner>, HostError>;
    /// Where a program is, in the system's own folders.
    async fn program(&self, name: &str) -> Result<Option<PathBuf>, HostError>;
    /// Runs a command that only reads.
    async fn query(&self, command: Command) -> Result<Output, HostError>;
    /// A systemd unit.
    async fn unit(&self, name: &str) -> Result<Unit, HostError>;
    /// The Docker Engine, with the API version negotiated anew.
    async fn engine(&self) -> Result<Engine, HostError>;
    /// Compose v2's version, kept by the plugin's path, inode and time; `None` if there is none.
    async fn compose(&self) -> Result<Option<String>, HostError>;
    /// The services of a folder's compose files in its active profiles; `None` if compose cannot tell.
    async fn compose_services(&self, folder: &str) -> Result<Option<Vec<String>>, HostError> {
        Ok(services_in(&self.query(ask_for_services(folder)).await?))
    }
    /// The containers of a compose project, by its working folder's label; of all projects for `None`.
    async fn containers(&self, folder: Option<&str>) -> Result<Vec<Container>, HostError>;
    /// The last lines of a container's log, however long; of one that runs since somebody started it, none of before.
    async fn container_log(&self, name: &str, lines: u32) -> Result<Vec<String>, HostError>;
    /// Who listens on a port, if anybody does.
    async fn port_owner(&self, transport: Transport, port: u16) -> Result<Option<PortOwner>, HostError>;
    /// Whether anybody listens on a port, which is told sooner than who.
    async fn port_is_taken(&self, transport: Transport, port: u16) -> Result<bool, HostError> {
        Ok(self.port_owner(transport, port).await?.is_some())
    }
    /// The addresses of the host's own interfaces, loopback left out.
    async fn addresses(&self) -> Result<Vec<IpAddr>, HostError>;
    /// The address that the controller sees this host at, if one is connected.
    fn seen_address(&self) -> Option<IpAddr>;
    /// What several resolvers, asked one by one, say of a name.
    async fn resolve(&self, name: &str) -> Result<Vec<Answers>, HostError>;
    /// Fetches a page, following nothing; at most 64 KiB of body.
    async fn fetch(&self, fetch: Fetch) -> Result<Fetched, FetchError>;
    /// Asks a TURN server for a relay and hands it back, within a few seconds.
    async fn turn(&self, ask: TurnAsk) -> Result<Relay, TurnError>;
    /// Has the controller look at the site from outside; who cannot tell says why.
    async fn outside(&self, look: outside::Look) -> Told;
}

/// Changes the host.
#[async_trait]
pub trait Act: Look {
    /// Runs a command; what it writes goes to the step's output as it comes.
    async fn run(&self, command: Command) -> Result<Output, HostError>;
    /// Puts a file in place whole: written beside it, synced, renamed, its folder synced; makes missing folders.
    async fn write(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), HostError>;
    /// Gives an existing file new content in the same way, its owner and mode kept; a new one is 0644.
    async fn rewrite(&self, path: &Path, content: &[u8]) -> Result<(), HostError>;
    /// Removes a file; it is fine if there is none.
    async fn remove(&self, path: &Path) -> Result<(), HostError>;
    /// Makes a folder and those above it.
    async fn make_folder(&self, path: &Path, mode: u32) -> Result<(), HostError>;
    /// Answers on those of these doors that are free, with a number, while the controller looks for it at a domain, at all
    /// of them. Ends by itself within a minute; which doors were open, and what was seen.
    async fn answer_outside(&self, domain: &Domain, doors: &[Door]) -> Result<(Vec<Door>, Told), HostError>;
    /// Says something in the step's output.
    async fn say(&self, line: &str);
}
