//! Who this host is to its controller: key, certificate and authorities, in one folder that is replaced whole.

use crate::effect::folder::put;
use chatalot_protocol::enrol::JoinReply;
use chatalot_protocol::names::{HostId, HostName};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Why there is no usable identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read or written.
    #[error("cannot {verb} the identity in `{}`", path.display())]
    File {
        /// read or write.
        verb: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file holds something else.
    #[error("the identity in `{}` is damaged: {why}", path.display())]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// Where the controller is, and who we are to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// `host:port`.
    pub controller: String,
    /// The controller's cluster.
    pub cluster: Uuid,
    /// This host's id.
    pub host: HostId,
    /// What the operator calls it.
    pub name: HostName,
}

/// A whole identity.
#[derive(Debug)]
pub struct Identity {
    /// Where the controller is.
    pub membership: Membership,
    /// Our certificate chain.
    pub chain: Vec<CertificateDer<'static>>,
    /// Our key.
    pub key: PrivateKeyDer<'static>,
    /// Whom we trust.
    pub authorities: Vec<CertificateDer<'static>>,
}

fn folder(state: &Path) -> PathBuf {
    state.join("identity")
}

/// The identity, if this host has joined a controller.
pub fn load(state: &Path) -> Result<Option<Identity>, IdentityError> {
    let path = folder(state);
    let text = |name: &str| {
        fs::read(path.join(name)).map_err(|source| IdentityError::File {
            verb: "read",
            path: path.clone(),
            source,
        })
    };
    let membership = match text("membership.json") {
        Err(IdentityError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        other => other?,
    };
    let damaged = |why: String| IdentityError::Damaged {
        path: path.clone(),
        why,
    };
    let certificates = |pem: &[u8]| {
        CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| damaged(error.to_string()))
    };
    Ok(Some(Identity {
        membership: serde_json::from_slice(&membership).map_err(|error| damaged(error.to_string()))?,
        chain: certificates(&text("certificate.pem")?)?,
        key: PrivateKeyDer::from_pem_slice(&text("key.pem")?).map_err(|error| damaged(error.to_string()))?,
        authorities: certificates(&text("authorities.pem")?)?,
    }))
}

/// Stores what joining has brought; the folder is whole or absent at any moment.
pub fn store(state: &Path, controller: &str, key_pem: &str, reply: &JoinReply) -> Result<(), IdentityError> {
    let path = folder(state);
    let fresh = state.join(format!("identity.{}", reply.host));
    let membership = Membership {
        controller: controller.to_owned(),
        cluster: reply.cluster,
        host: reply.host,
        name: reply.name.clone(),
    };
    let write = || -> io::Result<()> {
        if fresh.exists() {
            fs::remove_dir_all(&fresh)?;
        }
        DirBuilder::new().mode(0o700).create(&fresh)?;
        put(&fresh.join("key.pem"), key_pem.as_bytes())?;
        put(&fresh.join("certificate.pem"), reply.certificate.as_bytes())?;
        put(&fresh.join("authorities.pem"), reply.authorities.as_bytes())?;
        put(&fresh.join("membership.json"), &serde_json::to_vec(&membership)?)?;
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::rename(&fresh, &path)?;
        File::open(state)?.sync_all()
    };
    write().map_err(|source| IdentityError::File {
        verb: "write",
        path: path.clone(),
        source,
    })
}
