//! What must be true when the faults are over, whatever they were.

use crate::centre::{Anything, Seat};
use crate::trace::Trace;
use crate::vps::Vps;
use chatalot_agent::ledger::{deployments as records, outbox};
use chatalot_protocol::event::{Event, What};
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::report::DeploymentState;
use chatalotctl::store::{StoreError, deployments};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// How long an agent that was just started takes to have something to tell.
const BEGIN: Duration = Duration::from_secs(30);
/// How long everything may take to come to rest once the faults are over.
const REST: Duration = Duration::from_mins(20);

/// Where backups were put back, and so what may be lost.
#[derive(Default)]
pub(crate) struct Restored {
    /// How many deployments had been queued before the last one; none where there was none.
    queued: Option<usize>,
    centre: bool,
    hosts: BTreeSet<String>,
}

impl Restored {
    pub(crate) fn centre(&mut self, queued: usize) {
        (self.queued, self.centre) = (Some(queued), true);
    }

    pub(crate) fn host(&mut self, name: &str, queued: usize) {
        self.queued = Some(queued);
        self.hosts.insert(name.to_owned());
    }

    /// Whether the stream of a host may have holes.
    fn tears(&self, host: &str) -> bool {
        self.centre || self.hosts.contains(host)
    }
}

/// Everything that is looked at.
pub(crate) struct World {
    pub(crate) seat: Arc<Seat>,
    pub(crate) hosts: Vec<Arc<Vps>>,
    /// What the operator has queued, and at which host.
    pub(crate) queued: Vec<(DeploymentId, usize)>,
    pub(crate) restored: Restored,
    pub(crate) trace: Trace,
}

/// One stored event.
struct Row {
    epoch: Uuid,
    position: i64,
    event: Event,
}

impl World {
    /// Waits until nothing is under way any more; says what is, if that never happens.
    pub(crate) async fn rest(&self) -> Anything<Vec<String>> {
        let until = Instant::now() + REST;
        tokio::time::sleep(BEGIN).await;
        loop {
            let busy = self.busy().await?;
            if busy.is_empty() || Instant::now() >= until {
                return Ok(busy);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn busy(&self) -> Anything<Vec<String>> {
        let centre = self.seat.centre().ok_or("no controller")?;
        let mut busy = Vec::new();
        for (number, (id, _)) in self.queued.iter().enumerate() {
            let id = *id;
            let standing = centre.store.read(move |c| deployments::standing(c, id)).await?;
            if standing.is_some_and(|standing| !standing.finished) {
                busy.push(format!("deployment {number} is not over"));
            }
        }
        for vps in &self.hosts {
            let service = vps.service().ok_or("no agent")?;
            let (latest, acked, unlogged) = service
                .ledger
                .with(|db| {
                    let unlogged = records::unlogged(db)?.len();
                    Ok((outbox::latest(db)?, outbox::acknowledged(db)?, unlogged))
                })
                .await?;
            if latest != acked {
                busy.push(format!("{}: {acked} of {latest} events are stored", vps.name));
            }
            if unlogged > 0 {
                busy.push(format!("{}: {unlogged} outputs are not passed on", vps.name));
            }
        }
        Ok(busy)
    }

    /// Everything that is wrong.
    pub(crate) async fn wrong(&self) -> Anything<Vec<String>> {
        let mut wrong = self.rest().await?;
        for vps in &self.hosts {
            let rows = self.rows(vps).await?;
            self.events(vps, &rows, &mut wrong);
            Self::effects(vps, &mut wrong);
            self.output(vps, &rows, &mut wrong)?;
        }
        self.outcomes(&mut wrong).await?;
        for line in &wrong {
            self.trace.say(&format!("WRONG {line}"));
        }
        Ok(wrong)
    }

    async fn rows(&self, vps: &Vps) -> Anything<Vec<Row>> {
        let centre = self.seat.centre().ok_or("no controller")?;
        let host = vps.peer.host;
        let rows = centre
            .store
            .read(move |c| {
                let mut statement = c.prepare(
                    "SELECT s.epoch, e.position, e.body FROM events e JOIN streams s ON s.id = e.stream
                     WHERE s.host = ?1 ORDER BY e.position",
                )?;
                let rows = statement.query_map([host.0.as_bytes()], |row| {
                    Ok((row.get::<_, [u8; 16]>(0)?, row.get(1)?, row.get::<_, String>(2)?))
                })?;
                rows.map(|row| {
                    let (epoch, position, body) = row?;
                    Ok(Row {
                        epoch: Uuid::from_bytes(epoch),
                        position,
                        event: serde_json::from_str(&body)?,
                    })
                })
                .collect::<Result<Vec<_>, StoreError>>()
            })
            .await?;
        Ok(rows)
    }

    /// Whether what became of a deployment may be lost: a backup was put back after it was queued.
    fn is_forgiven(&self, deployment: DeploymentId) -> bool {
        let number = self.queued.iter().position(|(id, _)| *id == deployment);
        self.restored.queued > number
    }

    /// Each event is stored once, in order, as it was recorded.
    fn events(&self, vps: &Vps, rows: &[Row], wrong: &mut Vec<String>) {
        let produced = vps.produced.lock().unwrap_or_else(PoisonError::into_inner);
        let torn = self.restored.tears(&vps.name);
        let mut last: BTreeMap<Uuid, (u64, i64)> = BTreeMap::new();
        for row in rows {
            let (name, seq) = (&vps.name, row.event.seq);
            let before = last.insert(row.epoch, (seq, row.position));
            if let Some((before, _)) = before.filter(|(before, _)| *before + 1 != seq) {
                wrong.push(format!("{name}: event {seq} is stored after event {before}"));
            }
            // A host that was restored tells in its new stream what it does not know to be stored.
            let streams = produced.iter().filter(|(epoch, _)| torn || **epoch == row.epoch);
            let mut recorded = streams
                .filter_map(|(_, stream)| stream.get(&seq))
                .flatten()
                .peekable();
            if recorded.peek().is_none() {
                wrong.push(format!("{name}: event {seq} is stored and was never recorded"));
            } else if !recorded.any(|event| *event == row.event) {
                wrong.push(format!("{name}: event {seq} is stored as another one"));
            }
        }
        for (epoch, stream) in produced.iter() {
            let (Some(end), stored) = (stream.keys().last(), last.get(epoch)) else {
                continue;
            };
            let first = rows.iter().find(|row| row.epoch == *epoch);
            let begins = first.is_some_and(|row| row.event.seq == 1);
            // A host that was restored begins a new stream, and what was recorded before that belongs to the old.
            let whole = begins && stored.is_some_and(|(seq, _)| seq == end);
            if !(torn || whole) {
                wrong.push(format!(
                    "{}: of events 1 to {end} the stored ones are {:?} to {:?}",
                    vps.name,
                    first.map(|row| row.event.seq),
                    stored.map(|(seq, _)| seq)
                ));
            }
        }
    }

    /// Each effect of a job has happened at most once.
    fn effects(vps: &Vps, wrong: &mut Vec<String>) {
        let done = vps.units.done.lock().unwrap_or_else(PoisonError::into_inner);
        for ((_, step), times) in &done.effects {
            if *times > 1 {
                wrong.push(format!("{}: {step} was done {times} times", vps.name));
            }
        }
    }

    /// All output is there to the byte, or the hole has a name.
    fn output(&self, vps: &Vps, rows: &[Row], wrong: &mut Vec<String>) -> Anything<()> {
        let centre = self.seat.centre().ok_or("no controller")?;
        let done = vps.units.done.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, ((deployment, stream), output)) in done.output.iter().enumerate() {
            let stored = centre.logs.read((*deployment, *stream), 0, 64 << 20)?;
            if stored == *output {
                continue;
            }
            let named = rows.iter().any(|row| gap(row, *deployment, *stream));
            let begins = output.starts_with(&stored);
            if !(begins && (named || self.is_forgiven(*deployment))) {
                wrong.push(format!(
                    "{}: of output {index} with {} bytes {} are stored, and no gap is named",
                    vps.name,
                    output.len(),
                    stored.len()
                ));
            }
        }
        Ok(())
    }

    /// The controller knows how each deployment ended, and it ended so.
    async fn outcomes(&self, wrong: &mut Vec<String>) -> Anything<()> {
        let centre = self.seat.centre().ok_or("no controller")?;
        for (number, (id, host)) in self.queued.iter().enumerate() {
            let id = *id;
            let standing = centre.store.read(move |c| deployments::standing(c, id)).await?;
            let service = self.hosts[*host].service().ok_or("no agent")?;
            let record = service.ledger.with(move |db| records::find(db, id)).await?;
            let (there, here) = (
                record.map(|record| record.state),
                standing.map(|one| one.view.state),
            );
            // What the host was never given, or refused to keep, ends at the controller alone.
            let untaken = matches!(here, Some(DeploymentState::Cancelled | DeploymentState::Refused));
            let same = there == here && here.is_some() || there.is_none() && untaken;
            if !same && !self.is_forgiven(id) {
                wrong.push(format!(
                    "deployment {number} is {there:?} at its host and {here:?} at the controller"
                ));
            }
        }
        Ok(())
    }
}

fn gap(row: &Row, deployment: DeploymentId, of: u32) -> bool {
    row.event.deployment == Some(deployment)
        && matches!(row.event.what, What::Gap { stream, .. } if stream == of)
}
