//! A one-time token becomes an identity: the key is made here, and only its public half leaves the host.

use super::identity::{self, IdentityError};
use super::tls;
use crate::host::linux::LinuxHost;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::enrol::{JoinReply, JoinRequest, JoinToken, hex};
use chatalot_protocol::site::{Domain, GitRemote};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Joining is quick or has failed.
const DEADLINE: Duration = Duration::from_secs(30);
const LONGEST_REPLY: usize = 64 << 10;

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
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Why joining failed.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// No TLS connection to the controller that the token names.
    #[error("cannot reach the controller at {address} that the token names")]
    Connect {
        /// Where it was looked for.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The controller did not answer as a controller.
    #[error("the controller did not answer: {0}")]
    Answer(String),
    /// The controller refuses.
    #[error("the controller refuses: {0}")]
    Refused(Box<Advice>),
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
    let pending = state.join("joining.key");
    let key = match std::fs::read_to_string(&pending) {
        Ok(pem) => rcgen::KeyPair::from_pem(&pem).map_err(JoinError::Key)?,
        Err(_) => rcgen::KeyPair::generate().map_err(JoinError::Key)?,
    };
    let key_pem = key.serialize_pem();
    let file = |source| IdentityError::File {
        verb: "write",
        path: pending.clone(),
        source,
    };
    crate::effect::folder::put(&pending, key_pem.as_bytes()).map_err(file)?;
    let csr = rcgen::CertificateParams::default()
        .serialize_request(&key)
        .and_then(|request| request.pem())
        .map_err(JoinError::Key)?;
    let request = JoinRequest {
        token_id: hex(&token.id),
        token_secret: Some(token.secret.clone()),
        csr,
    };
    let asking = ask(host, address, token.pin, &request);
    let reply = tokio::time::timeout(DEADLINE, asking)
        .await
        .map_err(|_| JoinError::Answer(format!("nothing within {} s", DEADLINE.as_secs())))??;
    // Before the identity: whoever finds one finds what it was granted, too.
    let granted =
        serde_json::to_vec(&Granted::of(&reply)).map_err(|error| JoinError::Answer(error.to_string()))?;
    crate::effect::folder::put(&state.join(GRANTED), &granted).map_err(file)?;
    identity::store(state, address, &key_pem, &reply)?;
    std::fs::remove_file(&pending).map_err(file)?;
    Ok(reply)
}

async fn ask(
    host: &LinuxHost,
    address: &str,
    pin: [u8; 32],
    request: &JoinRequest,
) -> Result<JoinReply, JoinError> {
    let failed = |source| JoinError::Connect {
        address: address.to_owned(),
        source,
    };
    let config = tls::joining(pin).map_err(|error| failed(io::Error::other(error)))?;
    let stream = tls::connect(host, address, Arc::new(config))
        .await
        .map_err(failed)?;
    let answer = |error: &dyn std::error::Error| JoinError::Answer(crate::chain(error));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| answer(&error))?;
    let body = serde_json::to_vec(request).map_err(|error| answer(&error))?;
    let request = Request::post("/v1/join")
        .header(header::HOST, address)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| answer(&error))?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        Ok::<_, hyper::Error>((
            status,
            Limited::new(response.into_body(), LONGEST_REPLY).collect().await,
        ))
    };
    let (status, body) = tokio::select! {
        done = exchange => done.map_err(|error| answer(&error))?,
        broken = connection => {
            let why = broken.err().map_or_else(|| "it hung up".to_owned(), |error| crate::chain(&error));
            return Err(JoinError::Answer(why));
        }
    };
    let body = body
        .map_err(|error| JoinError::Answer(error.to_string()))?
        .to_bytes();
    if status == StatusCode::OK {
        serde_json::from_slice(&body).map_err(|error| answer(&error))
    } else {
        let advice: Result<Advice, _> = serde_json::from_slice(&body);
        Err(advice.map_or_else(
            |_| JoinError::Answer(status.to_string()),
            |advice| JoinError::Refused(Box::new(advice)),
        ))
    }
}
