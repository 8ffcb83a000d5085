//! Orders that wait for their host: with their secrets, so in a 0600 file each and in no database. A file goes as
//! soon as the host's first event shows that it has the order.

use crate::files::{self, FileError};
use chatalot_protocol::message::Job;
use chatalot_protocol::names::DeploymentId;
use std::path::{Path, PathBuf};

/// What went wrong with an order.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Its file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its content.
    #[error("the order of deployment {0} cannot be read")]
    Unreadable(DeploymentId, #[source] serde_json::Error),
}

/// The folder of orders.
#[derive(Debug, Clone)]
pub struct Jobs {
    folder: PathBuf,
}

impl Jobs {
    /// Opens the folder.
    pub fn open(folder: &Path) -> Result<Self, JobError> {
        files::folder(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Keeps an order; it is durable when this returns.
    pub fn keep(&self, job: &Job) -> Result<(), JobError> {
        let bytes = serde_json::to_vec(job).map_err(|error| JobError::Unreadable(job.id, error))?;
        Ok(files::write(&self.path(job.id), &bytes)?)
    }

    /// Reads an order back; `None` where it is gone.
    pub fn read(&self, id: DeploymentId) -> Result<Option<Job>, JobError> {
        files::read(&self.path(id))?
            .map(|bytes| serde_json::from_slice(&bytes).map_err(|error| JobError::Unreadable(id, error)))
            .transpose()
    }

    /// Forgets an order.
    pub fn forget(&self, id: DeploymentId) -> Result<(), JobError> {
        Ok(files::remove(&self.path(id))?)
    }

    /// Forgets every order but these.
    pub fn keep_only(&self, wanted: &[DeploymentId]) {
        files::keep_only(&self.folder, |path| {
            wanted.iter().any(|id| self.path(*id) == *path)
        });
    }

    fn path(&self, id: DeploymentId) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }
}
