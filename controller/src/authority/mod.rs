//! Who signs, whom the controller trusts and what it shows: all that a phase of a [rotation](crate::rotation) means.
//!
//! The root signs directly. Its key, the controller's key and the *next* controller key are made at the first start:
//! curl's pin matches a leaf's key and nothing else, so the one-liner always publishes current and next; with a new
//! root the next key comes into use.
//!
//! While there are two roots each has given its word for the other, a *bridge*, and the controller shows both roots and
//! the bridge: whoever trusts either of them finds the way. After the rotation the new root is shown with the bridge
//! from the old one, which is shown no more: a host that missed everything finds back, a token that pins the old root
//! is at its end.

mod files;
mod standing;

pub use standing::{Root, Standing};

use crate::ca::{self, Applicant, CaError, Issued};
use crate::rotation::Rotation;
use crate::store::rotation as kept;
use chatalot_protocol::identity::agent_uri;
use chatalot_protocol::names::HostId;
use chatalot_protocol::trust::SignedBundle;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use uuid::Uuid;

/// The authority of a controller.
pub struct Authority {
    folder: PathBuf,
    now: RwLock<Arc<Standing>>,
}

impl Authority {
    /// Reads it from its folder, as far as the database says that a rotation has got; makes what is missing only when
    /// nobody relies on it yet.
    pub fn open(
        folder: &Path,
        at: Rotation,
        cluster: Uuid,
        signed: Option<&SignedBundle>,
        may_make: bool,
    ) -> Result<Self, CaError> {
        crate::files::folder(folder)?;
        let mut standing = Standing::load(folder, at, (may_make, may_make))?;
        standing.bundle = match signed {
            Some(signed) if signed.read()?.version == at.version => signed.clone(),
            _ => standing.sign(cluster, &[])?,
        };
        Ok(Self {
            folder: folder.to_owned(),
            now: RwLock::new(Arc::new(standing)),
        })
    }

    /// How it stands at this moment.
    pub fn now(&self) -> Arc<Standing> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How it is to stand after a step: what that takes is made, and on the disk, before anybody relies on it. What
    /// agents are to trust is signed by every root that they may trust now.
    pub fn prepare(&self, before: &Standing, after: Rotation, cluster: Uuid) -> Result<Standing, CaError> {
        let mut standing = Standing::load(&self.folder, after, (false, true))?;
        standing.bundle = if after.version == before.rotation.version {
            before.bundle.clone()
        } else {
            standing.sign(cluster, &before.roots())?
        };
        Ok(standing)
    }

    /// Stands so from now on.
    pub fn take(&self, standing: Arc<Standing>) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = standing;
    }

    /// Removes the files that are of no use any more, the keys of a dropped root among them.
    pub fn sweep(&self) {
        Self::keep_only(&self.folder, &self.now().rotation);
    }

    /// Removes from a folder what a rotation that has got this far has no use for.
    pub(crate) fn keep_only(folder: &Path, at: &Rotation) {
        let wanted: BTreeSet<PathBuf> = standing::names(at)
            .into_iter()
            .map(|name| folder.join(name))
            .collect();
        crate::files::keep_only(folder, |path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            wanted.contains(path) || !files::is_ours(&name)
        });
    }

    /// Signs a host's certificate, with the root of which the database says at this moment that it signs.
    pub fn issue(
        &self,
        connection: &Connection,
        cluster: Uuid,
        host: HostId,
        (applicant, life): (&Applicant, Duration),
    ) -> Result<Issued, CaError> {
        let number = kept::issuer(connection)?;
        let standing = self.now();
        let root = standing.by_number(number).ok_or(CaError::NoRoot(number))?;
        ca::agent(agent_uri(cluster, host), applicant, life, (number, &root.issuer))
    }
}
