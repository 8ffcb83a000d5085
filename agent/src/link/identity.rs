//! Who this host is to its controller: key, certificate and authorities, in one folder that is replaced whole.

use crate::effect::folder::put;
use crate::host::linux::files;
use chatalot_protocol::enrol::JoinReply;
use chatalot_protocol::names::{HostId, HostName};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder};
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
    /// Made at random by joining; with the ledger's own it names the stream of events.
    #[serde(default)]
    pub stream: Uuid,
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

/// Where the identity before is while the new one takes its place, and where the new one is made.
fn aside(state: &Path) -> PathBuf {
    state.join("identity.old")
}

fn fresh(state: &Path) -> PathBuf {
    state.join("identity.new")
}

/// Whether there is something to go on with: an identity in whatever condition, or the key of an attempt to join.
pub fn is_begun(state: &Path) -> bool {
    let begun = [folder(state), aside(state), state.join("joining.key")];
    begun.iter().any(|path| path.exists())
}

/// The identity, if this host has joined a controller. Where storing it was cut off, the new one is whole and counts.
pub fn load(state: &Path) -> Result<Option<Identity>, IdentityError> {
    if folder(state).exists() || !aside(state).exists() {
        return load_from(&folder(state));
    }
    match load_from(&fresh(state)) {
        Ok(Some(identity)) => Ok(Some(identity)),
        _ => load_from(&aside(state)),
    }
}

fn load_from(path: &Path) -> Result<Option<Identity>, IdentityError> {
    let text = |name: &str| {
        fs::read(path.join(name)).map_err(|source| IdentityError::File {
            verb: "read",
            path: path.to_owned(),
            source,
        })
    };
    let membership = match text("membership.json") {
        Err(IdentityError::File { source, .. })
            if source.kind() == io::ErrorKind::NotFound && !path.exists() =>
        {
            return Ok(None);
        }
        other => other?,
    };
    let damaged = |why: String| IdentityError::Damaged {
        path: path.to_owned(),
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

/// Stores what joining has brought; whenever it is cut off, [`load`] finds the identity before or this one.
pub fn store(state: &Path, controller: &str, key_pem: &str, reply: &JoinReply) -> Result<(), IdentityError> {
    let path = folder(state);
    let membership = Membership {
        controller: controller.to_owned(),
        cluster: reply.cluster,
        host: reply.host,
        name: reply.name.clone(),
        stream: Uuid::new_v4(),
    };
    let write = || -> io::Result<()> {
        let (fresh, aside) = (fresh(state), aside(state));
        clear(&fresh)?;
        DirBuilder::new().mode(0o700).create(&fresh)?;
        put(&fresh.join("key.pem"), key_pem.as_bytes())?;
        put(&fresh.join("certificate.pem"), reply.certificate.as_bytes())?;
        put(&fresh.join("authorities.pem"), reply.authorities.as_bytes())?;
        put(&fresh.join("membership.json"), &serde_json::to_vec(&membership)?)?;
        files::sync_folder(state)?;
        if path.exists() {
            clear(&aside)?;
            fs::rename(&path, &aside)?;
        }
        fs::rename(&fresh, &path)?;
        files::sync_folder(state)?;
        clear(&aside)
    };
    write().map_err(|source| IdentityError::File {
        verb: "write",
        path: path.clone(),
        source,
    })
}

fn clear(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stores a real identity for a controller.
    fn joined(state: &Path, controller: &str) {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        let reply = JoinReply {
            host: HostId::fresh(),
            name: "chat-1".parse().unwrap(),
            cluster: Uuid::new_v4(),
            certificate: certificate.pem(),
            authorities: certificate.pem(),
            domains: Vec::new(),
            git_remotes: Vec::new(),
        };
        store(state, controller, &key.serialize_pem(), &reply).unwrap();
    }

    fn controller(state: &Path) -> Option<String> {
        load(state)
            .unwrap()
            .map(|identity| identity.membership.controller)
    }

    #[test]
    fn a_host_that_joins_anew_has_the_new_identity_a_new_stream_and_no_leftovers() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path();
        assert!(load(state).unwrap().is_none() && !is_begun(state));
        joined(state, "one:1");
        let first = load(state).unwrap().unwrap().membership.stream;
        fs::create_dir(state.join("identity.new")).unwrap();
        joined(state, "two:2");
        let second = load(state).unwrap().unwrap().membership;
        assert_eq!(second.controller, "two:2");
        assert!(first != second.stream && !first.is_nil());
        let left: Vec<_> = fs::read_dir(state)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["identity"]);
    }

    #[test]
    fn a_store_that_is_cut_off_anywhere_leaves_an_identity() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path();
        joined(state, "one:1");
        fs::create_dir(state.join("identity.new")).unwrap();
        assert_eq!(controller(state).as_deref(), Some("one:1"), "while it is made");
        fs::rename(state.join("identity"), state.join("identity.old")).unwrap();
        assert_eq!(
            controller(state).as_deref(),
            Some("one:1"),
            "the old one aside, the new one torn"
        );
        joined(state, "two:2");
        fs::rename(state.join("identity"), state.join("identity.new")).unwrap();
        fs::create_dir(state.join("identity.old")).unwrap();
        assert_eq!(
            controller(state).as_deref(),
            Some("two:2"),
            "between the two names"
        );
    }

    #[test]
    fn an_identity_that_lacks_a_file_is_damaged_and_not_absent() {
        for name in ["membership.json", "key.pem", "certificate.pem"] {
            let folder = tempfile::tempdir().unwrap();
            joined(folder.path(), "one:1");
            fs::remove_file(folder.path().join("identity").join(name)).unwrap();
            assert!(load(folder.path()).is_err(), "{name}");
        }
    }

    #[test]
    fn an_identity_of_an_older_agent_is_read() {
        let text = r#"{"controller":"one:1","cluster":"6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            "host":"6ba7b811-9dad-11d1-80b4-00c04fd430c8","name":"chat-1"}"#;
        let membership: Membership = serde_json::from_str(text).unwrap();
        assert!(membership.stream.is_nil());
    }
}
