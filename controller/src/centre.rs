//! What every part of the controller shares.

use crate::authority::Authority;
use crate::ca::CaError;
use crate::changes::Changes;
use crate::clock::now_ms;
use crate::config::Config;
use crate::files::{self, FileError};
use crate::fleet::{Command, Fleet};
use crate::hands::Hands;
use crate::held::Held;
use crate::jobs::{JobError, Jobs};
use crate::limiter::Limiter;
use crate::logs::Logs;
use crate::outside::Outside;
use crate::store::deployments::{self, QueueError};
use crate::store::generations::{self, Verified};
use crate::store::{self, Cluster, DATABASE, Store, StoreError, approvals, audit, hosts, old, rotation};
use crate::waiting::Waiting;
use chatalot_protocol::audit::Entry;
use chatalot_protocol::message::Job;
use chatalot_protocol::names::{DeploymentId, HostId};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;
use uuid::Uuid;

/// Why the controller cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum CentreError {
    /// The state folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is none.
    #[error("there is no controller's state in `{}`", .0.display())]
    NoState(PathBuf),
    /// Another controller has it.
    #[error("another `chatalotctl serve` uses the state folder `{}`", .0.display())]
    Busy(PathBuf),
    /// The lock cannot be taken.
    #[error("cannot lock the state folder")]
    Lock(#[source] io::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The authority.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The orders that wait.
    #[error(transparent)]
    Jobs(#[from] JobError),
}

/// The controller's state.
pub struct Centre {
    /// How it was started.
    pub config: Config,
    /// What survives a restart.
    pub store: Store,
    /// The cluster.
    pub cluster: Cluster,
    /// Who signs.
    pub authority: Authority,
    /// Who is connected.
    pub fleet: Fleet,
    /// Who waits for what.
    pub changes: Changes,
    /// Output of steps.
    pub logs: Logs,
    /// Orders that wait.
    pub jobs: Jobs,
    /// Who does what blocks.
    pub hands: Hands,
    /// Requests that wait for somebody's approval.
    pub held: Held,
    /// Keys that ask to join.
    pub waiting: Waiting,
    /// How much is looked at from outside.
    pub outside: Outside,
    strangers: Limiter,
    /// One step of a rotation at a time.
    pub(crate) turning: Mutex<()>,
    was_restored: bool,
    _lock: Flock<File>,
}

impl Centre {
    /// Opens the state folder, or makes it at the first start.
    pub async fn open(config: Config) -> Result<Arc<Self>, CentreError> {
        Self::open_with(config, Hands::default()).await
    }

    /// The same, with somebody else to do what blocks.
    pub async fn open_with(config: Config, hands: Hands) -> Result<Arc<Self>, CentreError> {
        files::private_folder(&config.state, DATABASE)?;
        let lock = lock(&config.state)?;
        let store = Store::open_with(&config.state.join(DATABASE), &hands)?;
        let known = store.read(store::cluster).await?;
        let cluster = known.unwrap_or_else(Cluster::fresh);
        let authority = authority(&config, &store, cluster, known.is_none()).await?;
        let jobs = Jobs::open(&config.state.join("jobs"))?;
        jobs.keep_only(&store.read(deployments::queued).await?);
        let held = Held::open(&config.state.join("held"))?;
        held.keep_only(&store.read(approvals::pending).await?);
        let was_restored = store.read(generations::was_restored).await?;
        let hosts = usize::try_from(store.read(hosts::active).await?).unwrap_or(usize::MAX);
        let logs = Logs::new(config.state.join("logs"));
        Ok(Arc::new(Self {
            config,
            store,
            cluster,
            authority,
            fleet: Fleet::expecting(hosts),
            changes: Changes::default(),
            logs,
            jobs,
            hands,
            held,
            waiting: Waiting::default(),
            outside: Outside::default(),
            strangers: Limiter::default(),
            turning: Mutex::default(),
            was_restored,
            _lock: lock,
        }))
    }

    /// Forgets an order that its host has, or will never have.
    pub fn forget_job(&self, id: DeploymentId) {
        if let Err(error) = self.jobs.forget(id) {
            log::error!(deployment:% = id, error:% = crate::chain(&error); "an order with its secrets stays on the disk");
        }
    }

    /// Keeps a job for its host and hurries it on. The order comes first: a row without its order could never be sent,
    /// an order without its row is swept away.
    pub async fn queue(&self, host: HostId, job: Job) -> Result<DeploymentId, QueueError> {
        self.expire().await?;
        let (deployment, jobs, job) = (job.id, self.jobs.clone(), Arc::new(job));
        let kept = Arc::clone(&job);
        self.hands.aside(move || jobs.keep(&kept)).await??;
        let queued = self.store.write(move |c| deployments::queue(c, host, &job)).await;
        if let Err(error) = queued {
            self.forget_job(deployment);
            return Err(error);
        }
        log::info!(host:% = host, deployment:% = deployment; "a deployment is queued");
        self.fleet.tell(host, Command::Jobs);
        self.changes.touch(host.0);
        Ok(deployment)
    }

    /// Forgets a request that is decided.
    pub fn let_go(&self, id: Uuid) {
        if let Err(error) = self.held.forget(id) {
            log::error!(approval:% = id, error:% = crate::chain(&error); "a request with its secrets stays on the disk");
        }
    }

    /// Adds to the audit.
    pub async fn remember(&self, entry: Entry) -> Result<(), StoreError> {
        self.store
            .write(move |c| audit::append(c, &entry).map(drop))
            .await
    }

    /// The same about somebody who was not let in. Strangers can be many, and the audit is kept for ever: a few a
    /// minute are in it, all are in the log.
    pub async fn remember_stranger(&self, entry: Entry) {
        if !self.strangers.lets_strangers() {
            return;
        }
        if let Err(error) = self.remember(entry).await {
            log::error!(error:% = crate::chain(&error); "a refusal is not in the audit");
        }
    }

    /// Takes over a certificate that was signed after the backup from which we were restored, if we were.
    pub async fn adopt(&self, host: HostId, shown: Verified) -> Result<(), StoreError> {
        if !self.was_restored {
            return Ok(());
        }
        let now = now_ms();
        self.store
            .write(move |c| generations::adopt(c, host, &shown, now))
            .await
    }

    /// Ends the requests that nobody has approved in time.
    pub async fn expire_approvals(&self) -> Result<(), StoreError> {
        let now = now_ms();
        let expired = self.store.write(move |c| {
            let expired = approvals::expire(c, now)?;
            for id in &expired {
                audit::append(c, &crate::api::expired_approval(*id))?;
            }
            Ok::<_, StoreError>(expired)
        });
        for id in expired.await? {
            self.let_go(id);
        }
        Ok(())
    }

    /// Forgets events and output that are older than what is kept; whether there is more to forget.
    pub async fn forget_old(&self) -> Result<bool, StoreError> {
        let before =
            now_ms().saturating_sub_unsigned(u64::try_from(self.config.keep.as_millis()).unwrap_or(u64::MAX));
        let logs = self.logs.clone();
        let gone = self.store.write(move |c| old::forget_events(c, before)).await?;
        let forgettable = self
            .store
            .read(move |c| old::forgettable(c, &logs.deployments(), before));
        for id in forgettable.await? {
            let logs = self.logs.clone();
            let forgotten = tokio::task::spawn_blocking(move || logs.forget(id)).await;
            if let Ok(Err(error)) = forgotten {
                log::warn!(deployment:% = id, error:% = crate::chain(&error); "old output stays");
            }
        }
        Ok(gone > 0)
    }

    /// Ends the jobs that were never sent and are out of time.
    pub async fn expire(&self) -> Result<(), StoreError> {
        let now = now_ms();
        for id in self.store.write(move |c| deployments::expire(c, now)).await? {
            self.forget_job(id);
            self.changes.touch(id.0);
        }
        Ok(())
    }

    /// Asks for the end of a deployment.
    pub async fn cancel(&self, id: DeploymentId) -> Result<Option<deployments::Standing>, StoreError> {
        let standing = self.store.write(move |c| deployments::cancel(c, id)).await?;
        if let Some(standing) = &standing {
            if standing.finished {
                self.forget_job(id);
            } else {
                self.fleet.tell(standing.host, Command::Cancel(id));
            }
            self.changes.touch(id.0);
        }
        Ok(standing)
    }
}

/// Who signs, as the database says. Nobody relies on an authority before the cluster has a name: until then its files
/// may be made.
async fn authority(
    config: &Config,
    store: &Store,
    cluster: Cluster,
    is_first: bool,
) -> Result<Authority, CentreError> {
    let known = store.read(|c| Ok::<_, StoreError>((rotation::read(c)?, rotation::bundle(c)?)));
    let (at, bundle) = known.await?;
    let authority = Authority::open(
        &config.state.join("ca"),
        at,
        cluster.id,
        bundle.as_ref(),
        is_first,
    )?;
    let standing = authority.now();
    if is_first || bundle.as_ref() != Some(&standing.bundle) {
        let signed = standing.bundle.clone();
        let named = store.write(move |c| {
            rotation::keep(c, &at, &signed)?;
            if is_first {
                store::found(c, cluster)
            } else {
                Ok(())
            }
        });
        named.await?;
    }
    authority.sweep();
    Ok(authority)
}

/// The state folder, for as long as this is kept.
pub(crate) fn lock(state: &Path) -> Result<Flock<File>, CentreError> {
    let path = state.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(CentreError::Lock)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        nix::errno::Errno::EWOULDBLOCK => CentreError::Busy(state.to_owned()),
        other => CentreError::Lock(other.into()),
    })
}
