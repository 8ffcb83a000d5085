//! The client of a daemon: JSON over HTTP/1.1, on its unix socket or through another door.
//!
//! A path that begins with `/` is taken as it is; any other is below the client's base. One connection a
//! request: connecting costs little, and nothing has to be kept alive.

mod door;
mod error;
mod lines;

pub use door::{Dialling, Door, Wire};
pub use error::ClientError;
pub use lines::{Line, Lines};

use chatalot_protocol::advice::Advice;
use chatalot_protocol::message::{Answer, Ask};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Time enough for a plan whose checks look at the network; a daemon that needs longer is stuck.
const ANSWER_WITHIN: Duration = Duration::from_mins(3);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// Which daemon is behind the door: what a person is told when it does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// `chatalotctl serve`.
    Controller,
    /// `chatalot-agent run`, the daemon on this host.
    Agent,
}

/// A daemon, as seen from a command line.
#[derive(Debug, Clone)]
pub struct Client {
    door: Arc<dyn Door>,
    base: String,
    peer: Peer,
}

impl Client {
    /// A client of the daemon behind a socket; requests about a host go below `base`: `/v1` at an agent,
    /// `/v1/hosts/NAME` at a controller.
    pub fn new(socket: PathBuf, base: impl Into<String>) -> Self {
        Self::through(Arc::new(door::Socket(socket)), base)
    }

    /// The same through any door.
    pub fn through(door: Arc<dyn Door>, base: impl Into<String>) -> Self {
        let base = base.into();
        let peer = if base.starts_with("/v1/hosts") {
            Peer::Controller
        } else {
            Peer::Agent
        };
        Self { door, base, peer }
    }

    /// The same for another daemon than the base tells.
    #[must_use]
    pub fn of(mut self, peer: Peer) -> Self {
        self.peer = peer;
        self
    }

    /// Which daemon it is.
    pub const fn peer(&self) -> Peer {
        self.peer
    }

    /// Reads something.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.exchange(Method::GET, path, Bytes::new()).await
    }

    /// Sends something and reads the answer.
    pub async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(ClientError::Undecodable)?;
        self.exchange(Method::POST, path, body.into()).await
    }

    /// Removes something and reads the answer.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.exchange(Method::DELETE, path, Bytes::new()).await
    }

    /// Asks the host; its refusal is an error.
    pub async fn ask(&self, ask: &Ask) -> Result<Answer, ClientError> {
        match self.post("ask", ask).await? {
            Answer::Refused { advice } => Err(ClientError::Refused(Box::new(advice))),
            answer => Ok(answer),
        }
    }

    /// Reads something that is sent line by line, for as long as it takes.
    pub async fn stream(&self, path: &str) -> Result<Lines, ClientError> {
        let response = self.send(Method::GET, path, Bytes::new());
        let response = timeout(ANSWER_WITHIN, response)
            .await
            .map_err(|_| ClientError::Slow)??;
        Ok(Lines::of(response.into_body()))
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let whole = async {
            let response = self.send(method, path, body).await?;
            read(response).await
        };
        let bytes = timeout(ANSWER_WITHIN, whole)
            .await
            .map_err(|_| ClientError::Slow)??;
        // An answer without a body reads as `null`, which `()` and options are made from.
        let bytes = if bytes.is_empty() { b"null" } else { &bytes[..] };
        serde_json::from_slice(bytes).map_err(ClientError::Undecodable)
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, ClientError> {
        let unreachable = |cause| ClientError::Connect {
            advice: Box::new(self.door.advice(self.peer, &cause)),
            cause,
        };
        let stream = timeout(CONNECT_WITHIN, self.door.dial())
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
            .map_err(unreachable)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the response body, or with the error that the sender reports.
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(self.address(path))
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(ClientError::Request)?;
        if let Some(token) = self.door.token() {
            let mut shown = HeaderValue::try_from(format!("Bearer {}", token.expose()))
                .map_err(|error| ClientError::Request(error.into()))?;
            shown.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, shown);
        }
        let response = sender.send_request(request).await?;
        let status = response.status();
        let is_pending = status == StatusCode::ACCEPTED;
        if is_pending || status.is_client_error() || status.is_server_error() {
            return Err(refusal(status, &read(response).await?));
        }
        Ok(response)
    }

    fn address(&self, path: &str) -> String {
        if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{}/{path}", self.base.trim_end_matches('/'))
        }
    }
}

async fn read(response: Response<Incoming>) -> Result<Bytes, ClientError> {
    let body = Limited::new(response.into_body(), LARGEST_ANSWER);
    let whole = body.collect().await.map_err(ClientError::Cut)?;
    Ok(whole.to_bytes())
}

/// What is meant for a person is refused; what may pass by itself is unavailable; what was taken and not done waits.
fn refusal(status: StatusCode, body: &[u8]) -> ClientError {
    let advice = serde_json::from_slice(body).unwrap_or_else(|_| {
        Advice::new(
            "UNEXPECTED_ANSWER",
            format!("HTTP status {}", status.as_u16()),
            "an answer that this version understands",
            "use the same version on both sides; the daemon's journal says more",
        )
    });
    let advice = Box::new(advice);
    if status == StatusCode::ACCEPTED {
        ClientError::Pending(advice)
    } else if status.is_server_error() {
        ClientError::Unavailable(advice)
    } else {
        ClientError::Refused(advice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_below_the_base_unless_it_is_absolute() {
        let client = Client::new("/run/x.sock".into(), "/v1/hosts/chat-1");
        assert_eq!(client.address("ask"), "/v1/hosts/chat-1/ask");
        assert_eq!(client.address("/v1/deployments/1"), "/v1/deployments/1");
        assert_eq!(client.peer(), Peer::Controller);
        assert_eq!(Client::new("/run/x.sock".into(), "/v1").peer(), Peer::Agent);
    }

    #[tokio::test]
    async fn a_daemon_that_is_not_there_is_named_with_its_socket() {
        let client = Client::new("/nowhere/agent.sock".into(), "/v1");
        let error = client.get::<()>("status").await.unwrap_err();
        let advice = error.advice();
        assert_eq!(advice.code, "AGENT_NOT_RUNNING");
        assert!(advice.saw.contains("/nowhere/agent.sock"), "{advice:?}");
    }

    #[test]
    fn an_answer_that_is_no_advice_is_still_explained() {
        let error = refusal(StatusCode::NOT_FOUND, b"<html>");
        assert_eq!(error.advice().code, "UNEXPECTED_ANSWER");
        let busy = serde_json::to_vec(&Advice::new("HOST_OFFLINE", "a", "b", "c")).unwrap();
        let error = refusal(StatusCode::SERVICE_UNAVAILABLE, &busy);
        assert!(matches!(error, ClientError::Unavailable(advice) if advice.code == "HOST_OFFLINE"));
    }
}
