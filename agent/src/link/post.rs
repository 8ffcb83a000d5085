//! One request to the controller over HTTPS, for whoever has no certificate that the control channel takes.

use super::tls;
use crate::host::linux::LinuxHost;
use chatalot_protocol::advice::Advice;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A request is quick or has failed.
const DEADLINE: Duration = Duration::from_secs(30);
const LONGEST_REPLY: usize = 64 << 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// No TLS connection to the controller that is trusted.
    #[error("cannot reach the controller at {address} that is trusted")]
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
}

impl PostError {
    /// Whether the controller has understood, and does not want.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(advice) if advice.code == "RENEW_REFUSED")
    }
}

/// Where to, and whom to trust there.
pub(super) struct To<'a> {
    pub(super) host: &'a LinuxHost,
    pub(super) address: &'a str,
    pub(super) config: Result<ClientConfig, rustls::Error>,
}

/// Sends one request and reads the answer.
pub(super) async fn post<B: Serialize, R: DeserializeOwned>(
    to: To<'_>,
    path: &'static str,
    body: &B,
) -> Result<R, PostError> {
    tokio::time::timeout(DEADLINE, exchange(to, path, body))
        .await
        .map_err(|_| PostError::Answer(format!("nothing within {} s", DEADLINE.as_secs())))?
}

async fn exchange<B: Serialize, R: DeserializeOwned>(
    to: To<'_>,
    path: &'static str,
    body: &B,
) -> Result<R, PostError> {
    let failed = |source| PostError::Connect {
        address: to.address.to_owned(),
        source,
    };
    let config = to.config.map_err(|error| failed(io::Error::other(error)))?;
    let stream = tls::connect(to.host, to.address, Arc::new(config))
        .await
        .map_err(failed)?;
    let answer = |error: &dyn std::error::Error| PostError::Answer(crate::chain(error));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| answer(&error))?;
    let body = serde_json::to_vec(body).map_err(|error| answer(&error))?;
    let request = Request::post(path)
        .header(header::HOST, to.address)
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
            return Err(PostError::Answer(why));
        }
    };
    let body = body
        .map_err(|error| PostError::Answer(error.to_string()))?
        .to_bytes();
    if status == StatusCode::OK {
        return serde_json::from_slice(&body).map_err(|error| answer(&error));
    }
    let advice: Result<Advice, _> = serde_json::from_slice(&body);
    Err(advice.map_or_else(
        |_| PostError::Answer(status.to_string()),
        |advice| PostError::Refused(Box::new(advice)),
    ))
}
