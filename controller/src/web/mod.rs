//! HTTPS on the one port: the bootstrap script, the agent's binary and joining for those who have no certificate yet,
//! and the operator's API for those who show a token.

pub mod bootstrap;
mod enrol;
mod join;
mod renew;

use crate::api::Api;
use crate::centre::Centre;
use crate::http::{self, Reply};
use crate::limiter::Limiter;
use bootstrap::Bootstrap;
use chatalot_protocol::advice::Advice;
use hyper::body::{Body, Bytes};
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long a visit may last, a slow download included.
const VISIT: Duration = Duration::from_mins(15);

/// What visitors are served.
pub struct Web {
    centre: Arc<Centre>,
    bootstrap: Arc<Bootstrap>,
    api: Arc<Api>,
    limiter: Limiter,
}

impl Web {
    /// For a controller.
    pub fn new(centre: Arc<Centre>, bootstrap: Arc<Bootstrap>, api: Arc<Api>) -> Arc<Self> {
        Arc::new(Self {
            centre,
            bootstrap,
            api,
            limiter: Limiter::default(),
        })
    }

    /// Serves one connection.
    pub async fn serve<S>(self: Arc<Self>, stream: S, from: IpAddr, stop: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request| {
            let web = Arc::clone(&self);
            async move { Ok::<_, std::convert::Infallible>(web.answer(request, from).await) }
        });
        let connection = http::builder().serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let visit = async {
            tokio::select! {
                ended = connection.as_mut() => return ended,
                () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            connection.await
        };
        if let Ok(Err(error)) = timeout(VISIT, visit).await {
            log::debug!(address:% = from, error:% = crate::chain(&error); "a visit broke off");
        }
    }

    /// Answers one request.
    pub async fn answer<B>(&self, request: Request<B>, from: IpAddr) -> Reply
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let path = request.uri().path().to_owned();
        match (request.method(), path.as_str()) {
            (&Method::GET, "/i") => self.bootstrap.script().await,
            (&Method::POST, "/v1/join") if self.limiter.lets(from) => {
                join::join(&self.centre, request, from).await
            }
            (&Method::POST, "/v1/renew") if self.limiter.lets(from) => {
                renew::renew(&self.centre, request, from).await
            }
            (&Method::POST, "/v1/enrol") if self.limiter.lets(from) => {
                enrol::enrol(&self.centre, request, from).await
            }
            (&Method::POST, "/v1/join" | "/v1/renew" | "/v1/enrol") => {
                too_many("too many tries from one address", "at most twenty a minute")
            }
            (_, path) if path.starts_with("/v1/") => self.api.visit(request, from).await,
            (&Method::GET, path) => match path.strip_prefix("/agent/") {
                Some(architecture) => self.bootstrap.binary(architecture).await,
                None => http::nothing_here(),
            },
            _ => http::nothing_here(),
        }
    }
}

/// To somebody who asks again later.
fn too_many(seen: &str, want: &str) -> Reply {
    http::refusal(
        StatusCode::TOO_MANY_REQUESTS,
        &Advice::new("TOO_MANY_TRIES", seen, want, "wait a minute, then try again"),
    )
}
