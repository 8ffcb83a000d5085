//! Compose v2, which is a plugin of the `docker` program.
//!
//! Each call of that program takes some 60 ms of a processor, so it is not asked again what nothing has changed about.

use super::super::process;
use crate::host::{Command, HostError, Output, plain_line, services_in};
use serde::Deserialize;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A plugin that was asked for its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::host::linux) struct Seen {
    plugin: Plugin,
    version: String,
}

/// How long a program may think about its version.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer about a folder's files holds although none of them changes: they may refer to others.
const REFERRED: Duration = Duration::from_hours(1);

/// A folder whose services were asked for.
#[derive(Debug, Clone)]
pub(in crate::host::linux) struct SeenServices {
    folder: Folder,
    at: Instant,
    names: Vec<String>,
}

/// The files that decide on a folder's services: those directly in it (`.env` and overrides too), and the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Folder {
    path: String,
    /// Name, inode, size, time.
    files: Vec<(OsString, u64, u64, (i64, i64))>,
    plugin: Option<Plugin>,
}

/// A plugin's file, as it was when it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plugin {
    path: PathBuf,
    inode: u64,
    modified: (i64, i64),
}

/// The version; a plugin that has not been seen yet is asked for it, or `docker` where the plugin does not say.
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
    let version = match introduced(&plugin.path).await {
        Some(version) => version,
        None => told(&docker).await?,
    };
    *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen {
        plugin,
        version: version.clone(),
    });
    Ok(Some(version))
}

/// What a plugin says of itself when it is asked as `docker` asks each of them: one process, where `docker compose
/// version` is that one, the same of every other plugin, and two more.
async fn introduced(plugin: &Path) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Metadata {
        version: String,
    }
    let plugin = plugin.display().to_string();
    let ask = Command::new(&plugin, &["docker-cli-plugin-metadata"]).deadline(PATIENCE);
    let output = process::query(&ask).await.ok().filter(Output::ok)?;
    let metadata: Metadata = serde_json::from_str(&output.stdout).ok()?;
    number(&metadata.version)
}

/// What `docker` tells of it.
async fn told(docker: &Path) -> Result<String, HostError> {
    let docker = docker.display().to_string();
    let ask = Command::new(&docker, &["compose", "version", "--short"]).deadline(PATIENCE);
    let output = process::query(&ask).await?;
    let version = number(&output.stdout).filter(|_| output.ok());
    version.ok_or_else(|| HostError::Unknown {
        what: "compose's version",
        why: output.last_lines(1).concat(),
    })
}

fn number(text: &str) -> Option<String> {
    let version = plain_line(text.trim().trim_start_matches('v'));
    version
        .starts_with(|c: char| c.is_ascii_digit())
        .then_some(version)
}

/// The services of a folder's active profiles; compose is asked only when a file has changed, or after an hour.
pub(in crate::host::linux) async fn services(
    plugins: &[PathBuf],
    folder: &str,
    ask: &Command,
    seen: &Mutex<Option<SeenServices>>,
) -> Result<Option<Vec<String>>, HostError> {
    let now = look(folder, plugins.iter().find_map(|plugins| find(plugins)));
    let known = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let fresh = |known: &SeenServices| Some(&known.folder) == now.as_ref() && known.at.elapsed() < REFERRED;
    if let Some(known) = known.filter(fresh) {
        return Ok(Some(known.names));
    }
    let at = Instant::now();
    let names = services_in(&process::query(ask).await?);
    let answer = now.zip(names.clone());
    *seen.lock().unwrap_or_else(PoisonError::into_inner) =
        answer.map(|(folder, names)| SeenServices { folder, at, names });
    Ok(names)
}

fn look(path: &str, plugin: Option<Plugin>) -> Option<Folder> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).ok()? {
        let entry = entry.ok()?;
        // Links are followed: what they lead to counts, and one that leads nowhere does not.
        let facts = std::fs::metadata(entry.path());
        if let Ok(facts) = facts
            && facts.is_file()
        {
            let modified = (facts.mtime(), facts.mtime_nsec());
            files.push((entry.file_name(), facts.ino(), facts.size(), modified));
        }
    }
    files.sort_unstable();
    Some(Folder {
        path: path.to_owned(),
        files,
        plugin,
    })
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
