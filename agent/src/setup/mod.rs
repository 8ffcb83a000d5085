//! How the agent comes onto a host and leaves it again: binary, unit, configuration, state, and nothing else.
//!
//! Runs in the process of whoever called `chatalot-agent install`, as root, before there is a daemon. Every file is
//! put in place whole; a first installation that fails takes back what it made, an upgrade that fails puts the old
//! binary back.

mod install;
mod leave;
mod rules;

pub use install::{Install, install};
pub use leave::leave;
pub use rules::begin as begin_policy;

use crate::config;
use crate::host::linux::LinuxHost;
use crate::host::{Command, HostError, Look};
use crate::link::join::JoinError;
use crate::link::post::PostError;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::approve::Invitation;
use chatalot_protocol::enrol::TokenError;
use nix::unistd::geteuid;
use std::path::{Path, PathBuf};

/// Where the binary is installed.
pub const PROGRAM: &str = "/usr/local/bin/chatalot-agent";
const UNIT: &str = "/etc/systemd/system/chatalot-agent.service";
const UNIT_NAME: &str = "chatalot-agent.service";
const UNIT_TEXT: &str = include_str!("../../../packaging/chatalot-agent.service");
const CONFIG_TEXT: &str = include_str!("../../../packaging/config.toml");
/// The variable that carries the join token, or the pin where the operator approves the key: a command line is
/// world-readable, an environment is not.
pub const TOKEN_VARIABLE: &str = "CHATALOT_JOIN";

/// Why setting up failed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Something about the host stands in the way.
    #[error("{}", .0.code)]
    Advice(Box<Advice>),
    /// A file or folder.
    #[error("cannot {verb} `{}`", path.display())]
    File {
        /// write, remove, …
        verb: &'static str,
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// systemd could not be asked.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The token is none.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The controller could not be joined.
    #[error("cannot join the controller")]
    Join(#[from] JoinError),
}

impl SetupError {
    fn advice(code: &'static str, saw: impl Into<String>, wanted: &str, fix: &str) -> Self {
        Self::Advice(Box::new(Advice::new(code, saw, wanted, fix)))
    }

    /// What the operator is told.
    pub fn told(&self) -> Advice {
        match self {
            Self::Advice(advice) | Self::Join(JoinError::Post(PostError::Refused(advice))) => {
                (**advice).clone()
            }
            Self::Token(error) => Advice::new(
                "TOKEN_UNREADABLE",
                error.to_string(),
                "a whole token",
                "make a new line with `chatalotctl host add NAME` and paste all of it",
            ),
            Self::Join(error @ JoinError::Unapproved(_)) => Advice::new(
                "NOT_APPROVED",
                error.to_string(),
                "the operator's approval of the words that were shown",
                "run the line again; while it waits, at the controller: `chatalotctl host approve NAME`",
            ),
            Self::Join(error) => Advice::new(
                "JOIN_FAILED",
                crate::chain(error),
                "a controller that answers and holds the key that the token names",
                "check that its address and port can be reached from here, then run the line again",
            ),
            Self::File { .. } | Self::Host(_) => Advice::new(
                "SETUP_FAILED",
                crate::chain(self),
                "a host that can be written",
                "mend what it names, then run this again",
            ),
        }
    }
}

/// Refuses what cannot work: not root, no systemd.
fn judge_host() -> Result<(), SetupError> {
    if !geteuid().is_root() {
        return Err(SetupError::advice(
            "NOT_ROOT",
            format!("user id {}", geteuid()),
            "root",
            "run this as root: `su -` first, or `sudo -i` where there is sudo",
        ));
    }
    if !Path::new("/run/systemd/system").is_dir() {
        return Err(SetupError::advice(
            "NO_SYSTEMD",
            "a host whose first process is not systemd",
            "systemd",
            "use a host with systemd, for example Debian 13",
        ));
    }
    Ok(())
}

async fn systemctl(host: &LinuxHost, args: &[&str]) -> Result<(), SetupError> {
    let output = host.query(Command::new("systemctl", args)).await?;
    if output.ok() {
        return Ok(());
    }
    let journal = Command::new(
        "journalctl",
        &["-u", UNIT_NAME, "-n", "8", "-o", "cat", "--no-pager", "-q"],
    );
    let said = host
        .query(journal)
        .await
        .map(|journal| journal.last_lines(8))
        .unwrap_or_default();
    let advice = Advice::new(
        "SYSTEMCTL_FAILED",
        format!("`systemctl {}` ended with {}", args.join(" "), output.code),
        "a unit that starts",
        "mend what the lines below name, then run the line again",
    );
    Err(SetupError::Advice(Box::new(
        advice.with_evidence(output.last_lines(5)).with_evidence(said),
    )))
}

/// The invitation from the environment or, for `-`, from standard input.
pub fn invitation_from(
    environment: Option<String>,
    stdin: impl std::io::Read,
) -> Result<Option<Invitation>, SetupError> {
    let text = match environment {
        Some(text) if text.trim() == "-" => {
            let mut text = String::new();
            let mut limited = std::io::Read::take(stdin, 4096);
            std::io::Read::read_to_string(&mut limited, &mut text).map_err(|source| SetupError::File {
                verb: "read",
                path: PathBuf::from("standard input"),
                source,
            })?;
            text
        }
        Some(text) => text,
        None => return Ok(None),
    };
    Ok(Some(text.parse()?))
}

fn state() -> &'static Path {
    Path::new(config::STATE)
}
