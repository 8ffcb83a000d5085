//! The daemon: wires the tasks, says that it is ready, and ends within its grace.
//!
//! | task | what |
//! |---|---|
//! | ledger (a thread) | owns the database |
//! | [`crate::deployments`] | the deployment that runs |
//! | [`crate::link::dial`] | the session with the controller |
//! | [`crate::local`] | callers on the local socket |
//! | [`crate::health`] | the ongoing checks |
//! | [`crate::opener`] | a limited route, until its administrator has registered |
//! | [`policy::watch`] | whether the policy can be used |
//! | [`watchdog`] | tells systemd that the others answer |

use crate::config::Config;
use crate::deployments::Deployments;
use crate::effect::systemd::SystemdRunner;
use crate::health::{Health, Watcher};
use crate::host::Look;
use crate::host::linux::{self, LinuxHost};
use crate::ledger::{Ledger, LedgerError, outbox};
use crate::link::identity::{self, IdentityError};
use crate::link::renewal::Keeper;
use crate::opener::Opener;
use crate::outside::{Desk, Way};
use crate::pulse::Pulse;
use crate::runbook::engine::{Engine, Pace};
use crate::service::Service;
use crate::watchdog::{self, Watchdog};
use crate::{link, local, policy, runbook};
use chatalot_protocol::event::What;
use futures_util::StreamExt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long the tasks get to end.
const GRACE: Duration = Duration::from_secs(5);

/// Why the daemon cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// A folder or socket of its own cannot be made.
    #[error("cannot make `{}`", path.display())]
    Make {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Signals.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
}

/// Runs until SIGTERM or SIGINT, or until the ledger has failed.
pub async fn run(config: Config) -> Result<(), DaemonError> {
    let make = |path: &Path, source| DaemonError::Make {
        path: path.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.state)
        .map_err(|error| make(&config.state, error))?;
    survive_long_files()?;
    let ledger = Ledger::open(&config.state.join("ledger.sqlite"))?;
    let identity = identity::load(&config.state)?;
    let desk = Arc::new(Desk::new(identity.is_some()));
    let host = Arc::new(LinuxHost::new(linux::Config {
        outside: Way::Desk(desk.clone()),
        ..config.host()
    }));
    let (watcher, health, hurry) = watcher(&ledger, host.clone());
    let pulse = watcher.pulse.subscribe();
    let controller = identity
        .as_ref()
        .map(|identity| identity.membership.controller.clone());
    let service = Arc::new(service(&config, ledger, host.clone(), health, (controller, desk)).await?);
    let listener = local::bind(&config.socket).map_err(|error| make(&config.socket, error))?;
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    tasks.spawn(local::serve(listener, service.clone(), stop.clone()));
    let (tell, begun) = watch::channel(false);
    if let Some(identity) = identity {
        log::info!(controller = identity.membership.controller; "this host has joined a controller");
        spawn_link(&tasks, &config.state, &service, &host, begun, &stop);
    }
    begin(&service, &*host).await?;
    tell.send_replace(true);
    tasks.spawn(watcher.run(stop.clone()));
    tasks.spawn(listen_to_engine(host.clone(), hurry.clone(), stop.clone()));
    tasks.spawn(policy::watch::keep(
        service.ledger.clone(),
        host.clone(),
        stop.clone(),
    ));
    let opener = Opener {
        ledger: service.ledger.clone(),
        host: host.clone(),
        deployments: service.deployments.clone(),
    };
    tasks.spawn(opener.run(stop.clone()));
    tasks.spawn(listen_to_deployments(service.clone(), hurry, stop.clone()));
    tasks.spawn(
        Watchdog {
            service: service.clone(),
            pulse,
            feed: watchdog::FEED,
            stop: stop.clone(),
        }
        .run(),
    );
    notify(&[sd_notify::NotifyState::Ready]);
    until_told(&service).await?;
    notify(&[sd_notify::NotifyState::Stopping]);
    service.deployments.leave_off();
    stop.cancel();
    tasks.close();
    if tokio::time::timeout(GRACE, tasks.wait()).await.is_err() {
        log::warn!(left = tasks.len(); "some tasks did not end in time");
    }
    Ok(())
}

/// Lets a write beyond the length that a file may have here fail, as one on a full disk does, instead of ending us.
pub fn survive_long_files() -> Result<(), DaemonError> {
    // A signal that is listened for once has no effect of its own any more.
    signal(SignalKind::from_raw(nix::libc::SIGXFSZ))
        .map(drop)
        .map_err(DaemonError::Signals)
}

/// A service that only answers questions, for a command line without a daemon.
pub async fn lone_service(config: &Config) -> Result<Arc<Service>, DaemonError> {
    let ledger = Ledger::open_to_read(&config.state.join("ledger.sqlite"))?;
    let host = Arc::new(LinuxHost::new(config.host()));
    let (_, health, _) = watcher(&ledger, host.clone());
    Ok(Arc::new(
        service(config, ledger, host, health, (None, Arc::new(Desk::new(false)))).await?,
    ))
}

fn watcher(ledger: &Ledger, host: Arc<LinuxHost>) -> (Watcher, watch::Receiver<Health>, Arc<Notify>) {
    let (tell, health) = watch::channel(Health::default());
    let (pulse, _) = watch::channel(Instant::now());
    let hurry = Arc::new(Notify::new());
    (
        Watcher {
            ledger: ledger.clone(),
            host,
            health: tell,
            hurry: hurry.clone(),
            pulse,
        },
        health,
        hurry,
    )
}

async fn service(
    config: &Config,
    ledger: Ledger,
    host: Arc<LinuxHost>,
    health: watch::Receiver<Health>,
    (controller, outside): (Option<String>, Arc<Desk>),
) -> Result<Service, DaemonError> {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from(crate::setup::PROGRAM));
    let pulse = Arc::new(Pulse::default());
    let runner = Arc::new(SystemdRunner::new(
        host.clone(),
        config.state.clone(),
        program,
        pulse.clone(),
    ));
    let steps = runbook::steps().collect();
    let engine = Engine {
        ledger: ledger.clone(),
        host: host.clone(),
        runner,
        steps,
        pace: Pace {
            budget: config.patience.retry,
            ..Pace::default()
        },
        pulse,
    };
    let tag_key = ledger
        .with(|db| outbox::meta(db, "tag_key"))
        .await?
        .unwrap_or_default();
    let deployments = Arc::new(Deployments::new(Arc::new(engine), config.state.clone(), tag_key));
    let (connection, _) = watch::channel(None);
    let (state, started) = (config.state.clone(), std::time::Instant::now());
    Ok(Service {
        ledger,
        host,
        deployments,
        health,
        state,
        controller,
        connection,
        spread_secs: AtomicU64::default(),
        outside,
        started,
    })
}

/// Records the start and goes on with what an earlier life began.
pub async fn begin(service: &Arc<Service>, host: &dyn Look) -> Result<(), LedgerError> {
    let (boot, now) = (
        host.system()
            .await
            .map(|system| system.boot_id)
            .unwrap_or_default(),
        host.now_ms(),
    );
    let before = service.ledger.with(|db| outbox::meta(db, "boot_id")).await?;
    let rebooted = before.is_some_and(|before| before != boot);
    let what = What::AgentStarted {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        rebooted,
    };
    service
        .ledger
        .with(move |db| {
            outbox::set_meta(db, "boot_id", &boot)?;
            outbox::record(db, now, None, &what)
        })
        .await?;
    service
        .deployments
        .resume(if rebooted {
            "the host was rebooted"
        } else {
            "the agent was started again"
        })
        .await
}

fn spawn_link(
    tasks: &TaskTracker,
    state: &Path,
    service: &Arc<Service>,
    host: &Arc<LinuxHost>,
    begun: watch::Receiver<bool>,
    stop: &CancellationToken,
) {
    let keeper = Keeper::new(host.clone(), state.to_owned());
    tasks.spawn(keeper.clone().run(stop.clone()));
    tasks.spawn(link::dial::keep(
        keeper,
        host.clone(),
        service.clone(),
        begun,
        stop.clone(),
    ));
    let (mut seen, host, stop) = (service.connection.subscribe(), host.clone(), stop.clone());
    tasks.spawn(async move {
        loop {
            tokio::select! {
                changed = seen.changed() => if changed.is_err() { return }, // cancel-safe per docs on `changed`
                () = stop.cancelled() => return,                            // cancel-safe: level-triggered
            }
            let address = *seen.borrow_and_update();
            host.set_seen_address(address);
        }
    });
}

/// Container events only hurry the checks.
async fn listen_to_engine(host: Arc<LinuxHost>, hurry: Arc<Notify>, stop: CancellationToken) {
    const AGAIN: Duration = Duration::from_secs(30);
    while !stop.is_cancelled() {
        let mut events = std::pin::pin!(host.container_events());
        loop {
            let event = tokio::select! {
                event = events.next() => event,  // cancel-safe: events only hurry
                () = stop.cancelled() => return, // cancel-safe: level-triggered
            };
            let Some(Ok((container, action))) = event else {
                break;
            };
            log::debug!(container, action; "a container has changed");
            hurry.notify_one();
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {} // cancel-safe: nothing is lost
            () = stop.cancelled() => return,     // cancel-safe: level-triggered
        }
    }
}

/// What a deployment reports hurries the checks too.
async fn listen_to_deployments(service: Arc<Service>, hurry: Arc<Notify>, stop: CancellationToken) {
    let mut latest = service.ledger.latest();
    loop {
        tokio::select! {
            changed = latest.changed() => if changed.is_err() { return }, // cancel-safe per docs on `changed`
            () = stop.cancelled() => return,                              // cancel-safe: level-triggered
        }
        if !service.deployments.is_running() {
            hurry.notify_one();
        }
    }
}

pub(crate) fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!(error = crate::chain(&error); "systemd cannot be told");
    }
}

/// Until a signal, or until the ledger is gone: then only a new start helps.
async fn until_told(service: &Service) -> Result<(), DaemonError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(DaemonError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DaemonError::Signals)?;
    let mut latest = service.ledger.latest();
    let ledger_gone = async { while latest.changed().await.is_ok() {} };
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        () = ledger_gone => Err(LedgerError::Stopped.into()),
    }
}
