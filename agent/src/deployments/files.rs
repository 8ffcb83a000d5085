//! The files beside the ledger: a deployment's secrets while it runs, and the output of the latest ones.

use super::{Deployments, KEPT};
use crate::effect::folder::{JobFolder, put};
use crate::host::linux::files;
use crate::ledger::LedgerError;
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::site::Secrets;
use std::path::PathBuf;

impl Deployments {
    fn secrets_path(&self, id: DeploymentId) -> PathBuf {
        self.state.join(format!("secrets-{id}.json"))
    }

    pub(super) fn keep_secrets(&self, id: DeploymentId, secrets: &Secrets) -> Result<(), LedgerError> {
        let text = serde_json::to_vec(secrets)?;
        put(&self.secrets_path(id), &text).map_err(|error| LedgerError::Unreadable(error.to_string()))
    }

    pub(super) fn kept_secrets(&self, id: DeploymentId) -> std::io::Result<Secrets> {
        Ok(serde_json::from_slice(&std::fs::read(self.secrets_path(id))?)?)
    }

    /// Removes the secrets that a life which was cut off between two files has left behind.
    pub(super) fn forget_orphans(&self, running: Option<DeploymentId>) {
        self.forget_torn();
        let files = std::fs::read_dir(&self.state).into_iter().flatten().flatten();
        let ids = files.filter_map(|file| {
            let name = file.file_name();
            name.to_str()?
                .strip_prefix("secrets-")?
                .strip_suffix(".json")?
                .parse()
                .ok()
        });
        for id in ids.filter(|id| Some(*id) != running) {
            self.forget_secrets(id);
        }
    }

    /// Removes what a life has left of files with secrets that was cut off while it wrote them: nobody else writes them.
    fn forget_torn(&self) {
        let mut torn = files::torn(&self.state, "secrets-");
        for (id, stream) in self.streams() {
            torn.extend(JobFolder::of(&self.state, id, stream).torn_jobs());
        }
        for path in torn {
            if let Err(error) = std::fs::remove_file(&path) {
                log::warn!(path:% = path.display(), error = crate::chain(&error); "what was half written stays");
            }
        }
    }

    /// Every effect that has a folder.
    fn streams(&self) -> Vec<(DeploymentId, u32)> {
        let jobs = self.state.join("jobs");
        let below = |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten();
        let ids =
            below(jobs).filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())));
        ids.flat_map(|(id, folder)| {
            below(folder).filter_map(move |entry| Some((id, entry.file_name().to_str()?.parse().ok()?)))
        })
        .collect()
    }

    /// Removes the output of all but the latest deployments; what the controller lacks of it, it is told as a gap.
    pub(super) fn forget_old_output(&self) {
        let jobs = self.state.join("jobs");
        let folders = std::fs::read_dir(&jobs).into_iter().flatten().flatten();
        let mut ids: Vec<DeploymentId> = folders
            .filter_map(|folder| folder.file_name().to_str()?.parse().ok())
            .collect();
        // An id begins with its time.
        ids.sort_unstable();
        ids.truncate(ids.len().saturating_sub(KEPT));
        for id in ids {
            if let Err(error) = std::fs::remove_dir_all(jobs.join(id.to_string())) {
                log::warn!(deployment:% = id, error = crate::chain(&error); "old output cannot be removed");
            }
        }
    }

    /// Removes what a finished deployment no longer needs: its secrets, and job files that were never begun.
    pub(super) fn forget_secrets(&self, id: DeploymentId) {
        let mut gone = vec![std::fs::remove_file(self.secrets_path(id))];
        let jobs = self.state.join("jobs").join(id.to_string());
        let streams = std::fs::read_dir(jobs).into_iter().flatten().flatten();
        let streams = streams.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        gone.extend(streams.map(|stream| JobFolder::of(&self.state, id, stream).forget_job()));
        for error in gone.into_iter().filter_map(Result::err) {
            if error.kind() != std::io::ErrorKind::NotFound {
                log::warn!(deployment:% = id, error = crate::chain(&error); "a secret's file cannot be removed");
            }
        }
    }
}
