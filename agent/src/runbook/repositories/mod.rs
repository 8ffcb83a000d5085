//! Repositories of third parties on this host: what is to be written, whether it is there, and how it comes and goes.
//!
//! | module | what |
//! |---|---|
//! | [`openpgp`] | a key, and its fingerprint |
//! | [`mirrors`] | an operator's own mirror instead |

pub mod mirrors;
pub mod openpgp;

use super::distro::{Manager, Repository, Shape};
use super::{ActCx, Cx, StepError};
use crate::host::{Fetch, FetchError, HostError, Look, plain_line};
use chatalot_protocol::advice::Advice;
use mirrors::{Mirrors, Place};
use openpgp::Key;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The first line of a file of ours.
const MARK: &str =
    "# Written by chatalot-agent, which writes it anew when it deploys and removes it on `uninstall`.";

/// How a repository stands on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Our files are there and say what they should.
    Ours,
    /// Somebody else has set it up; a second source beside it would only quarrel with theirs.
    Theirs {
        /// Where.
        file: String,
    },
    /// It has to be set up.
    Lacking,
}

/// Where our description of it is.
pub fn source_file(repository: &Repository) -> PathBuf {
    PathBuf::from(match repository.shape {
        Shape::Apt { .. } => format!("/etc/apt/sources.list.d/chatalot-{}.sources", repository.name),
        Shape::Rpm => format!("/etc/yum.repos.d/chatalot-{}.repo", repository.name),
    })
}

/// Where its key is.
pub fn key_file(repository: &Repository) -> PathBuf {
    PathBuf::from(match repository.shape {
        Shape::Apt { .. } => format!("/etc/apt/keyrings/chatalot-{}.asc", repository.name),
        Shape::Rpm => format!("/etc/pki/rpm-gpg/RPM-GPG-KEY-chatalot-{}", repository.name),
    })
}

fn source(repository: &Repository, place: &Place) -> String {
    let (name, owner, url) = (repository.name, repository.owner, &place.url);
    let key = key_file(repository);
    let key = key.display();
    match repository.shape {
        Shape::Apt { suite, component } => format!(
            "{MARK}\nTypes: deb\nURIs: {url}\nSuites: {suite}\nComponents: {component}\nSigned-By: {key}\n"
        ),
        Shape::Rpm => format!(
            "{MARK}\n[chatalot-{name}]\nname={owner}\nbaseurl={url}\nenabled=1\ngpgcheck=1\ngpgkey=file://{key}\n"
        ),
    }
}

/// Where a repository is on this host.
pub async fn place(host: &dyn Look, repository: &Repository) -> Result<Place, StepError> {
    Ok(Mirrors::of(host).await?.place(repository))
}

/// How a repository stands.
pub async fn standing(cx: &Cx<'_>, repository: &Repository) -> Result<Standing, StepError> {
    let place = place(cx.host, repository).await?;
    if let Some(file) = theirs(cx, repository, &place).await? {
        return Ok(Standing::Theirs { file });
    }
    let text = cx.host.read(&source_file(repository)).await?;
    let key = cx.host.read(&key_file(repository)).await?;
    let pinned = key.is_some_and(|key| {
        Key::read(&key).is_ok_and(|read| {
            read.fingerprint() == place.fingerprint && read.armoured().as_bytes() == key.as_slice()
        })
    });
    let same = text.is_some_and(|text| text == source(repository, &place).as_bytes());
    Ok(if pinned && same {
        Standing::Ours
    } else {
        Standing::Lacking
    })
}

/// The file in which somebody else has set it up and in force.
async fn theirs(cx: &Cx<'_>, repository: &Repository, place: &Place) -> Result<Option<String>, HostError> {
    let ours = source_file(repository);
    let folder = ours.parent().unwrap_or(Path::new("/"));
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.retain(|_| cx.distro.manager == Manager::Apt);
    let ends: &[&str] = if cx.distro.manager == Manager::Apt {
        &["list", "sources"]
    } else {
        &["repo"]
    };
    // Copies that an editor or an upgrade has left beside them are read by nobody.
    let read = |file: &PathBuf| {
        file.extension()
            .is_some_and(|end| ends.iter().any(|one| end == *one))
    };
    let beside = cx.host.list(folder).await?;
    files.extend(beside.iter().map(|name| folder.join(name)).filter(read));
    for file in files.into_iter().filter(|file| *file != ours) {
        let text = cx.host.read(&file).await?.unwrap_or_default();
        let known = repository.known_by.iter().copied().chain([place.url.as_str()]);
        if in_force(&String::from_utf8_lossy(&text), known) {
            return Ok(Some(plain_line(&file.display().to_string())));
        }
    }
    Ok(None)
}

/// Whether a file of sources has one of these in a part that is not switched off.
fn in_force<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> bool {
    let known: Vec<&str> = known.collect();
    let mut parts = vec![String::new()];
    for line in text.lines().map(str::trim) {
        // A part begins behind an empty line (apt), and with a name in brackets (dnf).
        if line.is_empty() || line.starts_with('[') {
            parts.push(String::new());
        }
        if let (false, Some(part)) = (line.starts_with('#'), parts.last_mut()) {
            part.push_str(line);
            part.push('\n');
        }
    }
    let off = |part: &String| {
        part.lines().any(|line| {
            let plain: String = line.split_whitespace().collect();
            matches!(
                plain.to_lowercase().as_str(),
                "enabled=0" | "enabled=false" | "enabled:no" | "enabled:false" | "enabled:0"
            )
        })
    };
    parts
        .iter()
        .any(|part| !off(part) && known.iter().any(|mark| part.contains(mark)))
}

/// Sets it up: its key first, which has to be the pinned one.
pub async fn set_up(cx: &ActCx<'_>, repository: &Repository) -> Result<(), StepError> {
    let place = place(cx.host, repository).await?;
    let key = pinned_key(cx.host, repository, &place).await?;
    let key_file = key_file(repository);
    cx.host.write(&key_file, key.armoured().as_bytes(), 0o644).await?;
    let source_file = source_file(repository);
    let text = source(repository, &place);
    cx.host.write(&source_file, text.as_bytes(), 0o644).await?;
    Ok(())
}

async fn pinned_key(host: &dyn Look, repository: &Repository, place: &Place) -> Result<Key, StepError> {
    let url = &place.key;
    let away = |saw: String| {
        StepError::passing(Advice::new(
            "REPOSITORY_KEY_UNREACHABLE",
            saw,
            format!("the key of {}'s package repository", repository.owner),
            format!("see that the host reaches {url} (name resolution, firewall, proxy), then deploy again"),
        ))
    };
    let asked = Fetch {
        deadline: Duration::from_secs(30),
        ..Fetch::page(url.as_str())
    };
    let page = host
        .fetch(asked)
        .await
        .map_err(|error: FetchError| away(format!("{url}: {error}")))?;
    if page.status != 200 {
        return Err(away(format!("{url} answers {}", page.status)));
    }
    let wanted = format!("the key {}", place.fingerprint);
    let refused = |saw: String| {
        StepError::last(Advice::new(
            "REPOSITORY_KEY_WRONG",
            saw,
            wanted.clone(),
            format!(
                "do not install from it; compare with what {} publishes, and upgrade the agent if the key has been \
                 exchanged",
                repository.owner
            ),
        ))
    };
    let key = Key::read(&page.body).map_err(|why| refused(format!("what {url} has for a key: {why}")))?;
    if key.fingerprint() != place.fingerprint {
        return Err(refused(format!("{url} has the key {}", key.fingerprint())));
    }
    Ok(key)
}

/// The files of ours that are there.
pub async fn left(cx: &Cx<'_>) -> Result<Vec<PathBuf>, HostError> {
    let mut files = Vec::new();
    for repository in cx.distro.repositories {
        let source = source_file(repository);
        let text = cx.host.read(&source).await?;
        if text.is_some_and(|text| text.starts_with(MARK.as_bytes())) {
            files.push(source);
        }
        let key = key_file(repository);
        if cx.host.read(&key).await?.is_some() {
            files.push(key);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
