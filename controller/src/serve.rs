//! `chatalotctl serve`: everything wired together, started and stopped.

use crate::api::{self, Api};
use crate::centre::{Centre, CentreError};
use crate::config::Config;
use crate::files;
use crate::listener::Listener;
use crate::rotation;
use crate::web::{Web, bootstrap::Bootstrap};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long the end may take.
const GRACE: Duration = Duration::from_secs(5);
/// How often jobs that nobody came for are looked at.
const SWEEP: Duration = Duration::from_secs(30);

/// Why the controller does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The state.
    #[error(transparent)]
    Centre(#[from] CentreError),
    /// Signals.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    /// The port.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The socket.
    #[error("cannot make the operator's socket `{}`", .0.display())]
    Socket(PathBuf, #[source] io::Error),
}

/// A controller that listens.
pub struct Controller {
    centre: Arc<Centre>,
    listener: Arc<Listener>,
    tcp: TcpListener,
    api: Arc<Api>,
    unix: UnixListener,
    address: SocketAddr,
    reached_at: String,
}

impl Controller {
    /// Opens the state and binds port and socket; serves nothing yet.
    pub async fn start(config: Config) -> Result<Self, ServeError> {
        let (listen, socket) = (config.listen, config.socket());
        files::survive_long_files().map_err(ServeError::Signals)?;
        let centre = Centre::open(config).await?;
        let tcp = TcpListener::bind(listen)
            .await
            .map_err(|error| ServeError::Listen(listen, error))?;
        let address = tcp
            .local_addr()
            .map_err(|error| ServeError::Listen(listen, error))?;
        let reached_at = centre.config.reached_at(address);
        let pinned = Arc::clone(&centre);
        let bootstrap = Arc::new(Bootstrap::new(
            reached_at.clone(),
            move || pinned.authority.now().curl_pins(),
            &centre.config.binaries,
        ));
        let unix = api::bind(&socket).map_err(|error| ServeError::Socket(socket, error))?;
        let api = Api::new(Arc::clone(&centre), Arc::clone(&bootstrap));
        let web = Web::new(Arc::clone(&centre), bootstrap, Arc::clone(&api));
        let listener = Listener::new(Arc::clone(&centre), web);
        Ok(Self {
            centre,
            listener,
            tcp,
            api,
            unix,
            address,
            reached_at,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it shares.
    pub fn centre(&self) -> &Arc<Centre> {
        &self.centre
    }

    /// Serves until `stop` is done, then ends every session and waits for the tasks, for a while.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (tasks, token) = (TaskTracker::new(), CancellationToken::new());
        log::info!(address:% = self.address, reached_at = self.reached_at, cluster:% = self.centre.cluster.id; "the controller is ready");
        tasks.spawn(self.listener.run(self.tcp, tasks.clone(), token.clone()));
        tasks.spawn(self.api.run(self.unix, tasks.clone(), token.clone()));
        tasks.spawn(sweep(Arc::clone(&self.centre), token.clone()));
        tasks.spawn(rotation::drive(Arc::clone(&self.centre), token.clone()));
        stop.await;
        log::info!(sessions = self.centre.fleet.len(); "the controller stops");
        token.cancel();
        self.centre.fleet.close();
        self.centre.waiting.close();
        tasks.close();
        if timeout(GRACE, tasks.wait()).await.is_err() {
            log::warn!(left = tasks.len(); "the time to end is over");
        }
    }
}

async fn sweep(centre: Arc<Centre>, stop: CancellationToken) {
    let mut clock = tokio::time::interval(SWEEP);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = clock.tick() => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = centre.expire().await {
            log::error!(error:% = crate::chain(&error); "waiting jobs cannot be looked at");
        }
        if let Err(error) = centre.forget_old().await {
            log::error!(error:% = crate::chain(&error); "what is old cannot be forgotten");
        }
        if let Err(error) = centre.expire_approvals().await {
            log::error!(error:% = crate::chain(&error); "waiting approvals cannot be looked at");
        }
    }
}
