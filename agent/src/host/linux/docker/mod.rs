//! The Docker Engine, over its own API: no `docker` program is started to read anything.
//!
//! A client lives as long as one question, and agrees on the API version anew: Engine 20.10 speaks at most 1.41,
//! Engine 29 at least 1.44. It is asked by `_ping`, whose head tells both versions at once; `version` would have the
//! Engine ask containerd and runc for theirs, which takes it some 8 ms each time.

pub(super) mod compose;
pub(super) mod containers;
pub(super) mod events;
mod ping;

use super::{chain, files};
use crate::host::{Engine, HostError};
use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};
use hyper::Uri;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// How long the Engine may think about an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the Engine cannot be asked.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("there is no socket at {0}")]
    NoSocket(String),
    #[error("nobody listens on {0}")]
    Nobody(String),
    #[error("{0}")]
    Other(String),
}

impl From<Trouble> for HostError {
    fn from(trouble: Trouble) -> Self {
        Self::Engine(trouble.to_string())
    }
}

/// Whether the Engine is there and answers.
pub(super) async fn engine(socket: &Path) -> Engine {
    match meet(socket).await {
        Ok((_, version, api)) => Engine::Up {
            version: crate::host::plain_line(&version),
            api: api.to_string(),
        },
        // One that was taken away may leave its socket behind.
        Err(Trouble::NoSocket(_) | Trouble::Nobody(_)) if files::program("dockerd").is_none() => {
            Engine::Absent
        }
        Err(trouble) => Engine::Down {
            why: trouble.to_string(),
        },
    }
}

/// A client that speaks the API version that both sides know.
async fn connect(socket: &Path) -> Result<Docker, Trouble> {
    let (docker, _, api) = meet(socket).await?;
    Ok(docker.with_request_modifier(move |mut request| {
        // The client leaves the version out of its paths, and the Engine would speak its newest.
        if let Some(uri) = versioned(request.uri(), &api) {
            *request.uri_mut() = uri;
        }
        request
    }))
}

/// A client, the Engine's version, and the API version that both sides know.
async fn meet(socket: &Path) -> Result<(Docker, String, ClientVersion), Trouble> {
    let path = socket.display().to_string();
    // Asked first: the client's own errors do not tell a socket that refuses from one that forbids.
    let stream = match timeout(PATIENCE, UnixStream::connect(socket)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(e)) => return Err(unreachable(path, &e)),
        Err(_) => return Err(hangs()),
    };
    let docker =
        Docker::connect_with_unix(&path, PATIENCE.as_secs(), API_DEFAULT_VERSION).map_err(|e| spoke(&e))?;
    let greeted = timeout(PATIENCE, ping::ping(stream)).await.map_err(|_| hangs())?;
    let (version, theirs) = if let Some((version, api)) = greeted {
        (version, api_version(&api))
    } else {
        // Not the head that we know: whatever this is, it is to say so at length.
        let told = within(docker.version()).await?;
        let theirs = told.api_version.as_deref().and_then(api_version);
        (told.version.unwrap_or_default(), theirs)
    };
    let theirs = theirs.ok_or_else(|| spoke(&Error::APIVersionParseError {}))?;
    let ours = *API_DEFAULT_VERSION;
    let api = if theirs < ours { theirs } else { ours };
    Ok((docker, version, api))
}

/// `1.45`
fn api_version(text: &str) -> Option<ClientVersion> {
    let (major, minor) = text.split_once('.')?;
    Some(ClientVersion {
        major_version: major.parse().ok()?,
        minor_version: minor.parse().ok()?,
    })
}

fn versioned(uri: &Uri, api: &ClientVersion) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    let path = format!("/v{api}{}", parts.path_and_query.as_ref()?);
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// An answer of the Engine, which must be complete in time.
async fn within<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, Trouble> {
    match timeout(PATIENCE, asked).await {
        Ok(answer) => answer.map_err(|e| spoke(&e)),
        Err(_) => Err(hangs()),
    }
}

fn unreachable(path: String, error: &io::Error) -> Trouble {
    match error.kind() {
        ErrorKind::NotFound => Trouble::NoSocket(path),
        ErrorKind::ConnectionRefused => Trouble::Nobody(path),
        ErrorKind::PermissionDenied => Trouble::Other(format!("no permission to use {path}")),
        _ => Trouble::Other(format!("cannot connect to {path}: {error}")),
    }
}

fn hangs() -> Trouble {
    Trouble::Other(format!("no answer within {} s", PATIENCE.as_secs()))
}

/// What an error of the client means.
fn spoke(error: &Error) -> Trouble {
    match error {
        Error::RequestTimeoutError => hangs(),
        Error::DockerResponseServerError { status_code, message } => Trouble::Other(format!(
            "it answered with status {status_code}: {}",
            crate::host::plain_line(message)
        )),
        Error::JsonDataError { .. } | Error::JsonSerdeError { .. } | Error::APIVersionParseError {} => {
            Trouble::Other(format!(
                "it did not answer in Docker's language: {}",
                chain(error)
            ))
        }
        error => Trouble::Other(chain(error)),
    }
}

#[cfg(test)]
mod tests;
