//! The one port: TLS is accepted within limits, and handed on by application protocol.

use crate::centre::Centre;
use crate::peer::{self, Peer, PeerError};
use crate::session::{self, Guest, SessionError};
use crate::visitors::Visitors;
use crate::web::Web;
use rustls::server::Acceptor;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::{LazyConfigAcceptor, StartHandshake, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How many connections may be between their first byte and the end of their greeting: the handshake of whoever visits, the
/// hello of an agent.
const HALF_OPEN: usize = 64;
/// How long each half of the handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How long each may take in peace; after that it is put out when a newcomer needs the room.
const PEACE: Duration = Duration::from_secs(2);
/// How long nothing is accepted after it has failed.
const PAUSE: Duration = Duration::from_millis(250);

/// Why a connection came to nothing. None of it is worth more than a debug line: anybody can cause it.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("no handshake in time")]
    Slow,
    #[error("no handshake")]
    Handshake(#[source] io::Error),
    #[error("too many visitors")]
    Crowded,
    #[error(transparent)]
    Stranger(#[from] PeerError),
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// Accepts connections until the end.
pub struct Listener {
    centre: Arc<Centre>,
    web: Arc<Web>,
    visitors: Arc<Visitors>,
}

impl Listener {
    /// A listener for a controller.
    pub fn new(centre: Arc<Centre>, web: Arc<Web>) -> Arc<Self> {
        Arc::new(Self {
            centre,
            web,
            visitors: Arc::default(),
        })
    }

    /// Accepts until `stop`; the connections are in `tasks`.
    pub async fn run(self: Arc<Self>, tcp: TcpListener, tasks: TaskTracker, stop: CancellationToken) {
        let half_open = Arc::new(Semaphore::new(HALF_OPEN));
        let mut begun = VecDeque::new();
        loop {
            let accepted = tokio::select! {
                accepted = tcp.accept() => accepted,
                () = stop.cancelled() => return,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    log::warn!(error:% = error; "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let Some(half) = room(&half_open, &mut begun).await else {
                return;
            };
            begun.push_back((Instant::now(), Arc::downgrade(&half)));
            let listener = Arc::clone(&self);
            let (stop, onward) = (stop.clone(), tasks.clone());
            tasks.spawn(async move {
                let out = half.out.clone();
                let met = tokio::select! {
                    met = listener.greet(stream, address, half, &onward, stop) => met,
                    () = out.cancelled() => Err(ConnectionError::Crowded),
                };
                if let Err(error) = met {
                    log::debug!(address:% = address, error:% = crate::chain(&error); "a connection came to nothing");
                }
            });
        }
    }

    /// The handshake; what follows it is a task of its own, smaller than this one.
    async fn greet(
        self: Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        half: Arc<HalfOpen>,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<(), ConnectionError> {
        stream.set_nodelay(true).map_err(ConnectionError::Handshake)?;
        let hello = LazyConfigAcceptor::new(Acceptor::default(), stream);
        let start = within(HANDSHAKE_TIME, hello).await?;
        let (config, is_agent) = self.choose(&start);
        let stream = within(HANDSHAKE_TIME, start.into_stream(config)).await?;
        if is_agent {
            self.agent(stream, address.ip().to_canonical(), half, tasks)
        } else {
            let from = address.ip().to_canonical();
            let visit = self.visitors.enter(from).ok_or(ConnectionError::Crowded)?;
            let web = Arc::clone(&self.web);
            tasks.spawn(async move {
                web.serve(stream, from, stop).await;
                drop(visit);
            });
            Ok(())
        }
    }

    fn choose(&self, start: &StartHandshake<TcpStream>) -> (Arc<rustls::ServerConfig>, bool) {
        let standing = self.centre.authority.now();
        standing
            .tls
            .choose(start.client_hello().alpn().into_iter().flatten())
    }

    fn agent(
        &self,
        stream: TlsStream<TcpStream>,
        address: IpAddr,
        half: Arc<HalfOpen>,
        tasks: &TaskTracker,
    ) -> Result<(), ConnectionError> {
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = certificate.ok_or(PeerError::Unreadable)?;
        let peer = Peer::of(certificate, self.centre.cluster.id, address)?;
        let shown = peer::verified(certificate, &self.centre.authority.now())?;
        let centre = Arc::clone(&self.centre);
        // A future keeps room for everything that is moved into it; an idle session is to be small.
        let stream = Box::new(stream);
        tasks.spawn(async move {
            if let Err(error) = centre.adopt(peer.host, shown).await {
                log::error!(host:% = peer.host, error:% = crate::chain(&error); "a certificate cannot be looked up");
            }
            match session::run(centre, stream, peer, half).await {
                Ok(ended) => log::info!(host:% = peer.host, how:? = ended; "a session has ended"),
                Err(error) => {
                    log::info!(host:% = peer.host, error:% = crate::chain(&error); "a session has failed");
                }
            }
        });
        Ok(())
    }
}

/// A connection that is not yet greeted; it has its place until this is dropped.
struct HalfOpen {
    _place: OwnedSemaphorePermit,
    out: CancellationToken,
}

impl Guest for Arc<HalfOpen> {
    async fn shown_out(&self) {
        self.out.cancelled().await;
    }
}

/// Connections that are not yet greeted, the oldest first.
type Begun = VecDeque<(Instant, Weak<HalfOpen>)>;

/// Room for one more, if need be at the cost of whoever has been half open the longest.
async fn room(half_open: &Arc<Semaphore>, begun: &mut Begun) -> Option<Arc<HalfOpen>> {
    loop {
        begun.retain(|(_, half)| half.strong_count() > 0);
        let peace_ends = begun.front().map_or_else(Instant::now, |(since, _)| *since) + PEACE;
        match timeout_at(peace_ends, Arc::clone(half_open).acquire_owned()).await {
            Ok(place) => {
                return Some(Arc::new(HalfOpen {
                    _place: place.ok()?,
                    out: CancellationToken::new(),
                }));
            }
            Err(_) => {
                if let Some(slowest) = begun.pop_front().and_then(|(_, half)| half.upgrade()) {
                    slowest.out.cancel();
                }
            }
        }
    }
}

async fn within<T>(time: Duration, step: impl Future<Output = io::Result<T>>) -> Result<T, ConnectionError> {
    timeout(time, step)
        .await
        .map_err(|_| ConnectionError::Slow)?
        .map_err(ConnectionError::Handshake)
}
