//! A one-time token becomes an identity: the key is made here, and only its public half leaves the host.

use super::identity::{self, IdentityError};
use super::post::{PostError, To, post};
use super::tls;
use crate::effect::folder::put;
use crate::host::linux::LinuxHost;
use chatalot_protocol::enrol::{JoinReply, JoinRequest, JoinToken, hex};
use rcgen::KeyPair;
use std::io::ErrorKind;
use std::path::Path;

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
    let config = tls::joining(token.pin);
    let to = To {
        host,
        address,
        config,
    };
    let reply = post(to, "/v1/join", &request).await?;
    identity::store(state, address, &key.serialize_pem(), &reply)?;
    forget_key(&pending)?;
    Ok(reply)
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

fn failed(path: &Path, source: std::io::Error) -> JoinError {
    JoinError::Identity(IdentityError::File {
        verb: "write",
        path: path.to_owned(),
        source,
    })
}
