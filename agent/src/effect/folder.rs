//! Where an effect's files are: `jobs/<deployment>/<stream>/{job.json,output,result.json}`, all 0600.

use super::{EffectJob, Ended};
use crate::host::linux::files;
use chatalot_protocol::names::DeploymentId;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// One effect's folder.
#[derive(Debug, Clone)]
pub struct JobFolder(PathBuf);

impl JobFolder {
    /// The folder of an effect below the agent's state folder.
    pub fn of(state: &Path, deployment: DeploymentId, stream: u32) -> Self {
        Self(
            state
                .join("jobs")
                .join(deployment.to_string())
                .join(stream.to_string()),
        )
    }

    /// The job file.
    pub fn job(&self) -> PathBuf {
        self.0.join("job.json")
    }

    /// What the step wrote, scrubbed.
    pub fn output(&self) -> PathBuf {
        self.0.join("output")
    }

    /// How it ended.
    pub fn result(&self) -> PathBuf {
        self.0.join("result.json")
    }

    /// Makes the folder and puts the job file into it, durably.
    pub fn prepare(&self, job: &EffectJob) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        put(&self.job(), &serde_json::to_vec(job)?)
    }

    /// Reads the job file.
    pub fn read_job(&self) -> io::Result<EffectJob> {
        Ok(serde_json::from_slice(&fs::read(self.job())?)?)
    }

    /// Writes the result down, durably, and lets go of the job file with its secrets.
    pub fn finish(&self, ended: &Ended) -> io::Result<()> {
        put(&self.result(), &serde_json::to_vec(ended)?)?;
        self.forget_job()
    }

    /// Removes the job file with its secrets.
    pub fn forget_job(&self) -> io::Result<()> {
        match fs::remove_file(self.job()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// What a life that was cut off has left of the job file before it was in its place, secrets and all.
    pub fn torn_jobs(&self) -> Vec<PathBuf> {
        files::torn(&self.0, "job.json.")
    }

    /// The result, once there is one.
    pub fn read_result(&self) -> io::Result<Option<Ended>> {
        match fs::read(self.result()) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How long the output is so far.
    pub fn output_bytes(&self) -> u64 {
        fs::metadata(self.output()).map_or(0, |meta| meta.len())
    }
}

/// Puts a 0600 file in place whole: written beside it, synced, renamed, its folder synced.
pub fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    files::replace(path, content, 0o600)
}
