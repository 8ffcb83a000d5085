//! How a generation of the identity takes the place of the one before: planned as single steps, taken in order.

use super::files;
use crate::effect::folder::put;
use chatalot_protocol::enrol::hex;
use ring::digest::{Context, SHA256};
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

/// What agents before wrote: the folder, where it was put aside, and where it was made.
const LEGACY: [&str; 3] = ["identity", "identity.old", "identity.new"];

/// Holds the checksum of the others: a generation with a flipped bit is nobody's identity. Agents before wrote none.
pub(super) const CHECKSUM: &str = "checksum";

/// The checksum of a generation's files, in the order of [`Generation`].
pub(super) fn checksum(files: [&[u8]; 4]) -> String {
    let mut context = Context::new(&SHA256);
    for file in files {
        context.update(&(file.len() as u64).to_be_bytes());
        context.update(file);
    }
    hex(context.finish().as_ref())
}

/// The files of one generation.
pub(super) struct Generation {
    pub(super) key: Vec<u8>,
    pub(super) certificate: Vec<u8>,
    pub(super) authorities: Vec<u8>,
    pub(super) membership: Vec<u8>,
}

/// One step. After each of them, and within each, there is a whole identity if there was one before.
pub(super) enum Step {
    /// Makes a folder that only we may enter; one that is there may stay.
    Folder(PathBuf),
    /// Puts a file in place, synced.
    Put(PathBuf, Vec<u8>),
    /// Makes what is in a folder durable.
    Sync(PathBuf),
    /// Makes a link beside the one that counts.
    Link(PathBuf, PathBuf),
    /// Gives a link its place.
    Flip(PathBuf, PathBuf),
    /// Removes a folder.
    Clear(PathBuf),
}

impl Step {
    /// Takes the step.
    pub(super) fn take(&self) -> io::Result<()> {
        match self {
            Self::Folder(path) => match DirBuilder::new().mode(0o700).create(path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
                _ => Ok(()),
            },
            Self::Put(path, content) => put(path, content),
            Self::Sync(path) => files::sync_folder(path),
            Self::Link(target, path) => {
                gone(fs::remove_file(path))?;
                symlink(target, path)
            }
            Self::Flip(from, to) => fs::rename(from, to),
            Self::Clear(path) => gone(fs::remove_dir_all(path)),
        }
    }
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The steps to a new generation.
pub(super) fn steps(state: &Path, generation: Generation) -> io::Result<Vec<Step>> {
    let id = state.join("id");
    let present = numbers(&id)?;
    let number = present.iter().max().map_or(1, |last| last + 1);
    let folder = id.join(number.to_string());
    let sum = checksum([
        &generation.key,
        &generation.certificate,
        &generation.authorities,
        &generation.membership,
    ]);
    let files = [
        ("key.pem", generation.key),
        ("certificate.pem", generation.certificate),
        ("authorities.pem", generation.authorities),
        ("membership.json", generation.membership),
        (CHECKSUM, sum.into_bytes()),
    ];
    let mut steps = vec![
        Step::Folder(id.clone()),
        Step::Sync(state.to_owned()),
        Step::Folder(folder.clone()),
    ];
    steps.extend(files.map(|(name, content)| Step::Put(folder.join(name), content)));
    steps.extend([
        Step::Sync(id.clone()),
        Step::Link(PathBuf::from(number.to_string()), id.join("next")),
        Step::Flip(id.join("next"), id.join("current")),
        Step::Sync(id.clone()),
    ]);
    steps.extend(present.iter().map(|old| Step::Clear(id.join(old.to_string()))));
    steps.extend(LEGACY.map(|name| Step::Clear(state.join(name))));
    steps.extend([Step::Sync(id), Step::Sync(state.to_owned())]);
    Ok(steps)
}

/// The generations that are there, whole or not.
fn numbers(id: &Path) -> io::Result<Vec<u64>> {
    match fs::read_dir(id) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
        Ok(entries) => Ok(entries
            .collect::<io::Result<Vec<_>>>()?
            .iter()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()),
    }
}

/// The folder of the generation that counts; what an agent before wrote where there is none yet.
pub(super) fn current(state: &Path) -> io::Result<Option<PathBuf>> {
    let id = state.join("id");
    match fs::read_link(id.join("current")) {
        Ok(target) => return Ok(Some(id.join(target.file_name().unwrap_or_default()))),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let [whole, aside, fresh] = LEGACY.map(|name| state.join(name));
    if whole.exists() || !aside.exists() {
        return Ok(whole.exists().then_some(whole));
    }
    // It was cut off between two renames: the new one is whole and counts.
    let is_whole = fresh.join("membership.json").exists() && super::load_from(&fresh).is_ok();
    Ok(Some(if is_whole { fresh } else { aside }))
}
