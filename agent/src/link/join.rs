//! A one-time token becomes an identity: the key is made here, and only its public half leaves the host.

use super::identity::{self, IdentityError};
use super::post::{PostError, To, post};
use super::tls;
use crate::effect::folder::put;
use crate::host::linux::LinuxHost;
use chatalot_protocol::enrol::{JoinReply, JoinRequest, JoinToken, hex};
use chatalot_protocol::site::{Domain, GitRemote};
use rcgen::KeyPair;
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind};
use std::path::Path;

/// What the host was added with, beside the identity, for the policy that it begins with.
const GRANTED: &str = "granted.json";

/// What a host was added with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Granted {
    /// The domains that it may serve; empty means any.
    pub domains: Vec<Domain>,
    /// Where the source may come from; empty means chatalot's own repository only.
    pub git_remotes: Vec<GitRemote>,
}

impl Granted {
    fn of(reply: &JoinReply) -> Self {
        Self {
            domains: reply.domains.clone(),
            git_remotes: reply.git_remotes.clone(),
        }
    }

    /// What joining has left in the state folder, if this host has joined.
    pub fn load(state: &Path) -> io::Result<Option<Self>> {
        match std::fs::read(state.join(GRANTED)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Why joining failed.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The controller gave nothing.
    #[error(transparent)]
    Post(#[from] PostError),
    /// No key could be made.
    #[error("cannot make a key")]
    Key(#[source] rcgen::Error),
    /// The identity cannot be stored.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Joins the controller at `host:port` and stores the identity. With the same state folder and token it may be
/// repeated: the key is kept until the reply is stored, so that a lost reply is answered again.
pub async fn join(
    host: &LinuxHost,
    state: &Path,
    address: &str,
    token: &JoinToken,
) -> Result<JoinReply, JoinError> {
    let pending = identity::joining_key(state);
    let key = kept_key(&pending)?;
    let request = JoinRequest {
        token_id: hex(&token.id),
        token_secret: Some(token.secret.clone()),
        csr: csr(&key)?,
    };
    let config = tls::joining(token.pins);
    let to = To {
        host,
        address,
        config,
    };
    let reply = post(to, "/v1/join", &request).await?;
    keep(state, address, &key, &reply)?;
    forget_key(&pending)?;
    Ok(reply)
}

/// Stores what joining has brought: the identity last, for whoever finds one finds what it was granted, too.
fn keep(state: &Path, address: &str, key: &KeyPair, reply: &JoinReply) -> Result<(), JoinError> {
    let path = state.join(GRANTED);
    serde_json::to_vec(&Granted::of(reply))
        .map_err(io::Error::from)
        .and_then(|granted| put(&path, &granted))
        .map_err(|source| failed(&path, source))?;
    Ok(identity::store(state, address, &key.serialize_pem(), reply)?)
}

/// The key of an attempt that goes on: it is on the disk before anybody hears of it.
pub(super) fn kept_key(path: &Path) -> Result<KeyPair, JoinError> {
    let key = match std::fs::read_to_string(path) {
        Ok(pem) => return KeyPair::from_pem(&pem).map_err(JoinError::Key),
        Err(_) => KeyPair::generate().map_err(JoinError::Key)?,
    };
    put(path, key.serialize_pem().as_bytes()).map_err(|source| failed(path, source))?;
    Ok(key)
}

/// The request to certify a key: nothing but the key is in it.
pub(super) fn csr(key: &KeyPair) -> Result<String, JoinError> {
    rcgen::CertificateParams::default()
        .serialize_request(key)
        .and_then(|request| request.pem())
        .map_err(JoinError::Key)
}

/// Ends an attempt: its key is part of an identity now, or is not wanted any more.
pub(super) fn forget_key(path: &Path) -> Result<(), JoinError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(failed(path, source)),
        _ => Ok(()),
    }
}

fn failed(path: &Path, source: io::Error) -> JoinError {
    JoinError::Identity(IdentityError::File {
        verb: "write",
        path: path.to_owned(),
        source,
    })
}
