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

/// What is behind a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// The bootstrap script, for everybody.
    Script,
    /// The agent's program for an architecture, for everybody.
    Binary,
    /// Joining, for whoever brings a join token.
    Join,
    /// Renewing, for whoever signs with the key of a certificate.
    Renew,
    /// Asking to join, for a key that a person approves.
    Enrol,
}

impl Behind {
    /// Whether it is opened by what is brought, so that tries are counted.
    pub const fn is_guarded(self) -> bool {
        matches!(self, Self::Join | Self::Renew | Self::Enrol)
    }
}

/// A door of the port that takes no operator's token. There is no other; what begins with `/v1/` besides is the
/// operator's API.
pub struct Door {
    /// `GET` or `POST`.
    pub method: Method,
    /// Its path, or all before the last `/` where the rest is in braces.
    pub path: &'static str,
    /// What is behind it.
    pub behind: Behind,
}

impl Door {
    const fn of(method: Method, path: &'static str, behind: Behind) -> Self {
        Self { method, path, behind }
    }

    /// What stands for the part in braces, where the door is asked for.
    fn asked<'a>(&self, method: &Method, path: &'a str) -> Option<&'a str> {
        let whole = self.path.split('{').next().unwrap_or(self.path);
        let rest = path.strip_prefix(whole).filter(|_| *method == self.method)?;
        (whole.len() < self.path.len() || rest.is_empty()).then_some(rest)
    }
}

/// The doors.
pub const DOORS: &[Door] = &[
    Door::of(Method::GET, "/i", Behind::Script),
    Door::of(Method::GET, "/agent/{architecture}", Behind::Binary),
    Door::of(Method::POST, "/v1/join", Behind::Join),
    Door::of(Method::POST, "/v1/renew", Behind::Renew),
    Door::of(Method::POST, "/v1/enrol", Behind::Enrol),
];

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
        let mut doors = DOORS.iter();
        let found = doors.find_map(|door| Some((door.behind, door.asked(request.method(), &path)?)));
        let Some((behind, asked)) = found else {
            return if path.starts_with("/v1/") {
                self.api.visit(request, from).await
            } else {
                http::nothing_here()
            };
        };
        if behind.is_guarded() && !self.limiter.lets(from) {
            return too_many("too many tries from one address", "at most twenty a minute");
        }
        match behind {
            Behind::Script => self.bootstrap.script().await,
            Behind::Binary => self.bootstrap.binary(asked).await,
            Behind::Join => join::join(&self.centre, request, from).await,
            Behind::Renew => renew::renew(&self.centre, request, from).await,
            Behind::Enrol => enrol::enrol(&self.centre, request, from).await,
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
