//! What an agent sent while the previous batch was being stored, and how a batch is stored.

use crate::centre::Centre;
use crate::clock::now_ms;
use crate::logs::{LogError, StreamName};
use crate::store::{StoreError, deployments, events, rotation};
use chatalot_protocol::event::Event;
use chatalot_protocol::frame::LogChunk;
use chatalot_protocol::message::{NOTHING_MORE, ToAgent};
use chatalot_protocol::names::{DeploymentId, HostId};
use rusqlite::ErrorCode;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// How many events a batch takes.
const MOST_EVENTS: usize = 1024;
/// How long a batch that cannot be stored waits before it is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// How much output it takes.
const MOST_OUTPUT: usize = 1 << 20;

/// Why a batch was not stored.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The thread that writes files died.
    #[error("files cannot be written")]
    Files(#[from] tokio::task::JoinError),
}

impl BatchError {
    /// Whether it may be over after a while.
    fn may_pass(&self) -> bool {
        match self {
            Self::Store(StoreError::Sql(error)) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DiskFull | ErrorCode::ReadOnly | ErrorCode::SystemIoFailure)
            ),
            Self::Store(StoreError::NotStored) | Self::Log(LogError::File { .. } | LogError::Folder(_)) => {
                true
            }
            _ => false,
        }
    }
}

/// What the agent is told when a batch is stored.
#[derive(Default)]
pub(super) struct Done {
    pub(super) messages: Vec<ToAgent>,
    pub(super) gap: bool,
}

pub(super) type Work = Pin<Box<dyn Future<Output = Result<Done, BatchError>> + Send>>;

#[derive(Default)]
pub(super) struct Batch {
    events: Vec<Event>,
    opened: Vec<StreamName>,
    chunks: Vec<LogChunk>,
    output: usize,
    jobs: bool,
    trusts: Option<u64>,
}

impl Batch {
    /// The first of a session, in which the jobs are looked for.
    pub(super) fn first() -> Self {
        Self {
            jobs: true,
            ..Self::default()
        }
    }

    pub(super) fn events(&mut self, mut events: Vec<Event>) {
        self.events.append(&mut events);
    }

    pub(super) fn opened(&mut self, stream: StreamName) {
        self.opened.push(stream);
    }

    pub(super) fn chunk(&mut self, chunk: LogChunk) {
        self.output += chunk.output.len();
        self.chunks.push(chunk);
    }

    /// What the host says that it trusts; of several the latest.
    pub(super) fn trusts(&mut self, version: u64) {
        self.trusts = Some(version);
    }

    pub(super) fn look_for_jobs(&mut self) {
        self.jobs = true;
    }

    pub(super) fn has_room(&self) -> bool {
        self.events.len() < MOST_EVENTS
            && self.output < MOST_OUTPUT
            && self.chunks.len() + self.opened.len() < MOST_EVENTS
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.opened.is_empty()
            && self.chunks.is_empty()
            && !self.jobs
            && self.trusts.is_none()
    }

    /// The work of storing what has gathered, if anything has.
    pub(super) fn take_work(&mut self, centre: &Arc<Centre>, host: HostId, stream: i64) -> Option<Work> {
        if self.is_empty() {
            return None;
        }
        let batch = std::mem::take(self);
        let centre = Arc::clone(centre);
        Some(Box::pin(async move {
            batch.store_patiently(&centre, host, stream).await
        }))
    }

    /// A full disk is no reason to hang up: nothing is acknowledged until it is stored, and the host is held back.
    async fn store_patiently(
        self,
        centre: &Arc<Centre>,
        host: HostId,
        stream: i64,
    ) -> Result<Done, BatchError> {
        let mut is_told = false;
        loop {
            match self.store(centre, host, stream).await {
                Err(error) if error.may_pass() => {
                    if !is_told {
                        log::error!(host:% = host, error:% = crate::chain(&error); "what a host sends cannot be kept now");
                    }
                    is_told = true;
                    tokio::time::sleep(PAUSE).await;
                }
                done => return done,
            }
        }
    }

    async fn store(&self, centre: &Arc<Centre>, host: HostId, stream: i64) -> Result<Done, BatchError> {
        let mut done = Done::default();
        if !self.events.is_empty() {
            done.gap = keep_events(centre, host, stream, self.events.clone(), &mut done.messages).await?;
        }
        if !(self.opened.is_empty() && self.chunks.is_empty()) {
            keep_output(
                centre,
                host,
                self.opened.clone(),
                self.chunks.clone(),
                &mut done.messages,
            )
            .await?;
        }
        if let Some(version) = self.trusts {
            let keep = move |c: &rusqlite::Connection| rotation::trusts(c, host, version);
            centre.store.write(keep).await?;
            centre.changes.touch(host.0);
        }
        if self.jobs {
            find_jobs(centre, host, &mut done.messages).await?;
        }
        Ok(done)
    }
}

async fn keep_events(
    centre: &Centre,
    host: HostId,
    stream: i64,
    events: Vec<Event>,
    say: &mut Vec<ToAgent>,
) -> Result<bool, StoreError> {
    let now = now_ms();
    let stored = centre
        .store
        .write(move |c| events::insert(c, host, stream, events, now))
        .await?;
    say.push(ToAgent::Acked { seq: stored.last });
    for deployment in stored.touched {
        // The host has the order now.
        centre.forget_job(deployment);
        centre.changes.touch(deployment.0);
    }
    if stored.level {
        centre.changes.touch(host.0);
    }
    if stored.gap {
        log::warn!(host:% = host, last = stored.last; "events are missing");
    }
    Ok(stored.gap)
}

async fn keep_output(
    centre: &Arc<Centre>,
    host: HostId,
    mut opened: Vec<StreamName>,
    mut chunks: Vec<LogChunk>,
    say: &mut Vec<ToAgent>,
) -> Result<(), BatchError> {
    let mut deployments: Vec<DeploymentId> = opened.iter().map(|(deployment, _)| *deployment).collect();
    deployments.extend(chunks.iter().map(|chunk| chunk.deployment));
    deployments.sort_unstable();
    deployments.dedup();
    let ours = centre
        .store
        .read(move |c| {
            let judged = deployments
                .into_iter()
                .map(|id| deployments::belongs(c, id, host).map(|ours| (id, ours)));
            judged.collect::<Result<Vec<_>, StoreError>>()
        })
        .await?;
    for (id, _) in ours.iter().filter(|(_, ours)| !ours) {
        log::warn!(host:% = host, deployment:% = id; "output of a deployment that is not the host's");
        // A stream is opened after its events were sent: none of it will ever be wanted.
        let unwanted = opened.iter().filter(|(deployment, _)| deployment == id);
        say.extend(unwanted.map(|&(deployment, stream)| ToAgent::LogStored {
            deployment,
            stream,
            offset: NOTHING_MORE,
        }));
        opened.retain(|(deployment, _)| deployment != id);
        chunks.retain(|chunk| chunk.deployment != *id);
    }
    let logs = centre.logs.clone();
    let lengths = centre
        .hands
        .aside(move || logs.append(&opened, &chunks))
        .await??;
    for ((deployment, stream), offset) in lengths {
        centre.changes.touch(deployment.0);
        say.push(ToAgent::LogStored {
            deployment,
            stream,
            offset,
        });
    }
    Ok(())
}

async fn find_jobs(centre: &Arc<Centre>, host: HostId, say: &mut Vec<ToAgent>) -> Result<(), BatchError> {
    let now = now_ms();
    let (send, cancel) = centre
        .store
        .write(move |c| {
            Ok::<_, StoreError>((
                deployments::to_send(c, host, now)?,
                deployments::to_cancel(c, host)?,
            ))
        })
        .await?;
    say.extend(
        cancel
            .into_iter()
            .map(|deployment| ToAgent::Cancel { deployment }),
    );
    if send.is_empty() {
        return Ok(());
    }
    let jobs = centre.jobs.clone();
    let read = move || {
        let orders = send.into_iter().map(|id| (id, jobs.read(id)));
        orders.collect::<Vec<_>>()
    };
    for (id, order) in centre.hands.aside(read).await? {
        match order {
            Ok(Some(job)) => {
                log::info!(host:% = host, deployment:% = id; "a deployment is sent");
                // Before its cancellation, if that has been asked for already.
                say.insert(0, ToAgent::Job(Box::new(job)));
            }
            Ok(None) => lose_order(centre, id, "its file is gone").await?,
            Err(error) => lose_order(centre, id, &crate::chain(&error)).await?,
        }
    }
    Ok(())
}

/// An order that cannot be read back must not keep its host from all others.
async fn lose_order(centre: &Centre, id: DeploymentId, why: &str) -> Result<(), StoreError> {
    log::error!(deployment:% = id, error:% = why; "an order is lost");
    centre
        .store
        .write(move |c| deployments::lose_order(c, id))
        .await?;
    centre.forget_job(id);
    centre.changes.touch(id.0);
    Ok(())
}
