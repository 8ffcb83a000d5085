//! Requests that wait for somebody's approval: they may carry secrets, so in a 0600 file each and in no database.

use crate::files::{self, FileError};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The folder of such requests.
#[derive(Debug, Clone)]
pub struct Held {
    folder: PathBuf,
}

impl Held {
    /// Opens the folder.
    pub fn open(folder: &Path) -> Result<Self, FileError> {
        files::folder(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Keeps a request's body; it is durable when this returns.
    pub fn keep(&self, id: Uuid, body: &[u8]) -> Result<(), FileError> {
        files::write(&self.path(id), body)
    }

    /// Reads it back; `None` where it is gone.
    pub fn read(&self, id: Uuid) -> Result<Option<Vec<u8>>, FileError> {
        files::read(&self.path(id))
    }

    /// Forgets it.
    pub fn forget(&self, id: Uuid) -> Result<(), FileError> {
        files::remove(&self.path(id))
    }

    /// Forgets every request but these.
    pub fn keep_only(&self, wanted: &[Uuid]) {
        files::keep_only(&self.folder, |path| {
            wanted.iter().any(|id| self.path(*id) == *path)
        });
    }

    fn path(&self, id: Uuid) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }
}
