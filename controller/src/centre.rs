//! What every part of the controller shares.

use crate::ca::{Authority, CaError};
use crate::changes::Changes;
use crate::clock::now_ms;
use crate::config::Config;
use crate::files::{self, FileError};
use crate::fleet::{Command, Fleet};
use crate::hands::Hands;
use crate::jobs::{JobError, Jobs};
use crate::logs::Logs;
use crate::store::deployments::{self, QueueError};
use crate::store::{self, Cluster, Store, StoreError};
use chatalot_protocol::message::Job;
use chatalot_protocol::names::{DeploymentId, HostId};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;

/// Why the controller cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum CentreError {
    /// The state folder.
    #[error(transparent)]
    File(#[from] FileError),
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
    _lock: Flock<File>,
}

impl Centre {
    /// Opens the state folder, or makes it at the first start.
    pub async fn open(config: Config) -> Result<Arc<Self>, CentreError> {
        Self::open_with(config, Hands::default()).await
    }

    /// The same, with somebody else to do what blocks.
    pub async fn open_with(config: Config, hands: Hands) -> Result<Arc<Self>, CentreError> {
        files::folder(&config.state)?;
        let lock = lock(&config)?;
        let store = Store::open_with(&config.state.join("controller.db"), &hands)?;
        let known = store.read(store::cluster).await?;
        // Nobody relies on an authority before the cluster has a name: until then its files may be made.
        let authority = Authority::open(&config.state.join("ca"), known.is_none())?;
        let cluster = match known {
            Some(cluster) => cluster,
            None => name(&store).await?,
        };
        let jobs = Jobs::open(&config.state.join("jobs"))?;
        jobs.keep_only(&store.read(deployments::queued).await?);
        let logs = Logs::new(config.state.join("logs"));
        Ok(Arc::new(Self {
            config,
            store,
            cluster,
            authority,
            fleet: Fleet::default(),
            changes: Changes::default(),
            logs,
            jobs,
            hands,
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

async fn name(store: &Store) -> Result<Cluster, StoreError> {
    let cluster = Cluster {
        id: Uuid::new_v4(),
        epoch: 1,
    };
    store.write(move |c| store::found(c, cluster)).await?;
    Ok(cluster)
}

fn lock(config: &Config) -> Result<Flock<File>, CentreError> {
    let path = config.state.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(CentreError::Lock)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        nix::errno::Errno::EWOULDBLOCK => CentreError::Busy(config.state.clone()),
        other => CentreError::Lock(other.into()),
    })
}
