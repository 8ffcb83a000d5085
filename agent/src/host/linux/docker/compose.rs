//! Compose v2, which is a plugin of the `docker` program.

use super::super::process;
use crate::host::{Command, HostError, plain_line};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A plugin that was asked for its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::host::linux) struct Seen {
    plugin: Plugin,
    version: String,
}

/// A plugin's file, as it was when it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plugin {
    path: PathBuf,
    inode: u64,
    modified: (i64, i64),
}

/// The version, as `docker` tells it; it is asked only about a plugin that has not been seen yet.
pub(in crate::host::linux) async fn version(
    folders: &[PathBuf],
    docker: Option<PathBuf>,
    seen: &Mutex<Option<Seen>>,
) -> Result<Option<String>, HostError> {
    let (Some(plugin), Some(docker)) = (folders.iter().find_map(|folder| find(folder)), docker) else {
        return Ok(None);
    };
    let known = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(known) = known.filter(|known| known.plugin == plugin) {
        return Ok(Some(known.version));
    }
    let docker = docker.display().to_string();
    let ask = Command::new(&docker, &["compose", "version", "--short"]).deadline(Duration::from_secs(10));
    let output = process::query(&ask).await?;
    let version = plain_line(output.stdout.trim().trim_start_matches('v'));
    if !output.ok() || !version.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(HostError::Unknown {
            what: "compose's version",
            why: output.last_lines(1).concat(),
        });
    }
    *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen {
        plugin,
        version: version.clone(),
    });
    Ok(Some(version))
}

fn find(folder: &Path) -> Option<Plugin> {
    let path = folder.join("docker-compose");
    let facts = path.metadata().ok()?;
    (facts.is_file() && facts.mode() & 0o111 != 0).then(|| Plugin {
        inode: facts.ino(),
        modified: (facts.mtime(), facts.mtime_nsec()),
        path,
    })
}

#[cfg(test)]
#[path = "compose_tests.rs"]
mod tests;
