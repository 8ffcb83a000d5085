//! Installing and upgrading.

use super::{
    CONFIG_TEXT, PROGRAM, SetupError, UNIT, UNIT_NAME, UNIT_TEXT, judge_host, leave, state, systemctl,
};
use crate::config;
use crate::effect::folder::put_with_mode;
use crate::host::linux::LinuxHost;
use crate::link::{identity, join};
use chatalot_protocol::enrol::JoinToken;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// What is to be installed.
#[derive(Debug, Clone)]
pub struct Install {
    /// The controller to join, as `host:port`; none to stand alone.
    pub controller: Option<String>,
    /// The token to join it with; not needed where the host has joined already.
    pub token: Option<JoinToken>,
}

/// Installs this very program, or upgrades to it; `say` is told each thing done.
pub async fn install(host: &LinuxHost, order: &Install, say: &mut dyn FnMut(&str)) -> Result<(), SetupError> {
    judge_host()?;
    let before = fs::read(PROGRAM).ok();
    let first = before.is_none();
    let done = steps(host, order, say).await;
    if let Err(error) = done {
        say("it failed; taking back what was done");
        let taken_back = match before {
            Some(old) => put_back(host, &old).await,
            None => leave(host, &mut |_| {}).await,
        };
        if let Err(second) = taken_back {
            log::error!(error = crate::chain(&second); "not everything could be taken back");
        }
        return Err(error);
    }
    say(if first {
        "the agent is installed and runs"
    } else {
        "the agent is upgraded and runs"
    });
    Ok(())
}

async fn steps(host: &LinuxHost, order: &Install, say: &mut dyn FnMut(&str)) -> Result<(), SetupError> {
    let myself = fs::read("/proc/self/exe").map_err(|error| file("read", "/proc/self/exe", error))?;
    put_with_mode(Path::new(PROGRAM), &myself, 0o755).map_err(|error| file("write", PROGRAM, error))?;
    say(&format!("installed {PROGRAM}"));
    make_folder(state(), 0o700)?;
    let folder = Path::new(config::PATH).parent().unwrap_or(Path::new("/etc"));
    make_folder(folder, 0o755)?;
    if !Path::new(config::PATH).exists() {
        put_with_mode(Path::new(config::PATH), CONFIG_TEXT.as_bytes(), 0o644)
            .map_err(|error| file("write", config::PATH, error))?;
    }
    if let Some(controller) = &order.controller {
        join_once(host, controller, order.token.as_ref(), say).await?;
    }
    put_with_mode(Path::new(UNIT), UNIT_TEXT.as_bytes(), 0o644)
        .map_err(|error| file("write", UNIT, error))?;
    systemctl(host, &["daemon-reload"]).await?;
    systemctl(host, &["enable", "--quiet", UNIT_NAME]).await?;
    systemctl(host, &["restart", UNIT_NAME]).await?;
    say(&format!("started {UNIT_NAME}"));
    Ok(())
}

/// Joins unless this host is a member of that controller already.
async fn join_once(
    host: &LinuxHost,
    controller: &str,
    token: Option<&JoinToken>,
    say: &mut dyn FnMut(&str),
) -> Result<(), SetupError> {
    let present = identity::load(state()).map_err(join::JoinError::from)?;
    match (present, token) {
        (Some(identity), _) if identity.membership.controller == controller => {
            say(&format!("keeps its identity as {}", identity.membership.name));
            Ok(())
        }
        (_, Some(token)) => {
            let reply = join::join(host, state(), controller, token).await?;
            say(&format!("joined {controller} as {}", reply.name));
            Ok(())
        }
        (_, None) => Err(SetupError::advice(
            "TOKEN_MISSING",
            "no join token in the environment",
            "a token from `chatalotctl host add NAME`",
            "run the whole printed line, which starts with CHATALOT_JOIN=…",
        )),
    }
}

/// An upgrade that failed: the old binary again, under its old unit.
async fn put_back(host: &LinuxHost, old: &[u8]) -> Result<(), SetupError> {
    put_with_mode(Path::new(PROGRAM), old, 0o755).map_err(|error| file("write", PROGRAM, error))?;
    systemctl(host, &["restart", UNIT_NAME]).await
}

fn make_folder(path: &Path, mode: u32) -> Result<(), SetupError> {
    let created = DirBuilder::new().recursive(true).mode(mode).create(path);
    created.map_err(|source| SetupError::File {
        verb: "make",
        path: path.to_owned(),
        source,
    })
}

fn file(verb: &'static str, path: &str, source: io::Error) -> SetupError {
    SetupError::File {
        verb,
        path: PathBuf::from(path),
        source,
    }
}
