//! What deployments have changed beside chatalot's own things, and what nobody could tell afterwards by looking: a port
//! opened, a login in a group, a timer started. It is written down before it is done, so that even what was cut off
//! is taken back, and only that.

use super::ActCx;
use crate::host::{HostError, Look};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A line for each, sorted: its kind, and what.
const MADE: &str = "/var/lib/chatalot-agent/made";

/// All of it.
pub async fn made(host: &dyn Look) -> Result<BTreeSet<String>, HostError> {
    let text = host.read(Path::new(MADE)).await?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(text.lines().map(str::to_owned).collect())
}

/// The file that it is written down in, as it is.
pub async fn file(host: &dyn Look) -> Result<(PathBuf, Option<Vec<u8>>), HostError> {
    let path = PathBuf::from(MADE);
    let content = host.read(&path).await?;
    Ok((path, content))
}

/// Whether deployments have made this.
pub async fn is_made(host: &dyn Look, what: &str) -> Result<bool, HostError> {
    Ok(made(host).await?.contains(what))
}

/// Notes what is about to be made.
pub async fn note(cx: &ActCx<'_>, what: impl IntoIterator<Item = String>) -> Result<(), HostError> {
    let mut known = made(cx.host).await?;
    let before = known.len();
    known.extend(what);
    if known.len() == before {
        return Ok(());
    }
    keep(cx, &known).await
}

/// Notes that this has been taken away.
pub async fn forget(cx: &ActCx<'_>, what: &str) -> Result<(), HostError> {
    forget_all(cx, [what.to_owned()]).await
}

/// Notes that all of these have been taken away, in one write.
pub async fn forget_all(cx: &ActCx<'_>, what: impl IntoIterator<Item = String>) -> Result<(), HostError> {
    let mut known = made(cx.host).await?;
    let before = known.len();
    for line in what {
        known.remove(&line);
    }
    if known.len() == before {
        return Ok(());
    }
    keep(cx, &known).await
}

async fn keep(cx: &ActCx<'_>, known: &BTreeSet<String>) -> Result<(), HostError> {
    if known.is_empty() {
        return cx.host.remove(Path::new(MADE)).await;
    }
    let lines: Vec<String> = known.iter().map(|line| format!("{line}\n")).collect();
    cx.host
        .write(Path::new(MADE), lines.concat().as_bytes(), 0o600)
        .await
}
