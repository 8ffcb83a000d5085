//! Deployments: queued here, taken up and ended by their host.

use super::StoreError;
use super::hosts::{host_id, json, word};
use crate::jobs::JobError;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::api::DeploymentView;
use chatalot_protocol::handover::Handover;
use chatalot_protocol::message::Job;
use chatalot_protocol::names::{DeploymentId, HostId};
use chatalot_protocol::report::DeploymentState;
use chatalot_protocol::work::Work;
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Why a deployment is not queued.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Another one of the host is not over.
    #[error("another deployment is not over")]
    Running(DeploymentId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The order cannot be kept.
    #[error(transparent)]
    Order(#[from] JobError),
    /// The thread that writes files died.
    #[error("files cannot be written")]
    Files(#[from] tokio::task::JoinError),
}

/// Who has asked for a deployment that was started on the host: nobody here has approved it.
pub(super) const HOST_ITSELF: &str = "the host itself";

/// How a deployment ended, beside its state.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// What to do.
    pub advice: Option<Advice>,
    /// What was found behind it.
    #[serde(default)]
    pub diagnosis: Vec<Advice>,
    /// The installer's own lines.
    pub values: BTreeMap<String, String>,
    /// The handover.
    pub handover: Option<Box<Handover>>,
}

/// A deployment as it stands.
#[derive(Debug)]
pub struct Standing {
    /// What the operator sees.
    pub view: DeploymentView,
    /// Its host.
    pub host: HostId,
    /// Whether nothing more will happen, whatever word its state is.
    pub finished: bool,
}

/// Queues a job, unless the host is busy with another.
pub fn queue(connection: &Connection, host: HostId, job: &Job) -> Result<(), QueueError> {
    let busy = connection
        .query_row(
            "SELECT id FROM deployments WHERE host = ?1 AND NOT finished LIMIT 1",
            [host.0.as_bytes()],
            |row| row.get(0),
        )
        .optional()
        .map_err(StoreError::Sql)?;
    if let Some(id) = busy {
        return Err(QueueError::Running(DeploymentId(Uuid::from_bytes(id))));
    }
    connection
        .execute(
            "INSERT INTO deployments (id, host, domain, plan, requested_by, created_ms, not_after_ms, work, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'queued')",
            (
                job.id.0.as_bytes(),
                host.0.as_bytes(),
                job.order.site.domain.as_str(),
                job.plan.to_string(),
                &job.by,
                job.issued_ms,
                job.not_after_ms,
                job.work.word(),
            ),
        )
        .map_err(StoreError::Sql)?;
    Ok(())
}

/// The jobs that a host has not taken up, noted as sent; those whose time is over unsent are refused instead.
pub fn to_send(connection: &Connection, host: HostId, now_ms: i64) -> Result<Vec<DeploymentId>, StoreError> {
    expire(connection, now_ms)?;
    let mut statement = connection.prepare_cached(
        "UPDATE deployments SET sent = 1 WHERE host = ?1 AND NOT taken_up AND NOT finished RETURNING id",
    )?;
    ids(statement.query_map([host.0.as_bytes()], |row| row.get(0))?)
}

const EXPIRE: &str = "UPDATE deployments SET finished = 1, state = 'refused', outcome = ?2
    WHERE NOT sent AND NOT finished AND not_after_ms < ?1 RETURNING id";

/// Ends every job that was never sent and is out of time.
pub fn expire(connection: &Connection, now_ms: i64) -> Result<Vec<DeploymentId>, StoreError> {
    let advice = Advice::new(
        "JOB_EXPIRED",
        "the host was not connected in time",
        "a connected host",
        "see `chatalotctl host show`; when the host is connected, deploy again",
    );
    let mut statement = connection.prepare_cached(EXPIRE)?;
    ids(statement.query_map((now_ms, ended(Some(advice))?), |row| row.get(0))?)
}

/// Ends what a host that is put out has not taken up.
pub fn revoke(connection: &Connection, host: HostId) -> Result<Vec<DeploymentId>, StoreError> {
    let advice = Advice::new(
        "HOST_REVOKED",
        "the host was revoked before it took this up",
        "a host that may work",
        "see `chatalotctl host show`; when the host is back, deploy again",
    );
    let mut statement = connection.prepare_cached(
        "UPDATE deployments SET finished = 1, state = 'cancelled', outcome = ?2
         WHERE host = ?1 AND NOT taken_up AND NOT finished RETURNING id",
    )?;
    ids(statement.query_map((host.0.as_bytes(), ended(Some(advice))?), |row| row.get(0))?)
}

/// Ends what another life of the agent had taken up.
pub fn lose(connection: &Connection, host: HostId) -> Result<Vec<DeploymentId>, StoreError> {
    let advice = Advice::new(
        "AGENT_STATE_LOST",
        "the agent came back with a new state, as after a reinstallation",
        "an agent that goes on with the deployment",
        "deploy again: whatever is in place already is kept",
    );
    let mut statement = connection.prepare_cached(
        "UPDATE deployments SET finished = 1, state = 'failed', outcome = ?2
         WHERE host = ?1 AND taken_up AND NOT finished RETURNING id",
    )?;
    ids(statement.query_map((host.0.as_bytes(), ended(Some(advice))?), |row| row.get(0))?)
}

/// Ends a job whose order cannot be read back.
pub fn lose_order(connection: &Connection, id: DeploymentId) -> Result<(), StoreError> {
    let advice = Advice::new(
        "ORDER_LOST",
        "the controller's copy of the order is gone or damaged",
        "an order that can be sent to the host",
        "deploy again: whatever is in place already is kept",
    );
    connection
        .prepare_cached(
            "UPDATE deployments SET finished = 1, state = 'failed', outcome = ?2
             WHERE id = ?1 AND NOT taken_up AND NOT finished",
        )?
        .execute((id.0.as_bytes(), ended(Some(advice))?))?;
    Ok(())
}

/// The deployments of a host that are to be cancelled and are not over.
pub fn to_cancel(connection: &Connection, host: HostId) -> Result<Vec<DeploymentId>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT id FROM deployments WHERE host = ?1 AND cancel_asked AND NOT finished")?;
    ids(statement.query_map([host.0.as_bytes()], |row| row.get(0))?)
}

/// Asks for the end of a deployment; one that was never sent ends at once.
pub fn cancel(connection: &Connection, id: DeploymentId) -> Result<Option<Standing>, StoreError> {
    connection.execute(
        "UPDATE deployments SET cancel_asked = 1, finished = NOT sent,
         state = CASE WHEN sent THEN state ELSE 'cancelled' END WHERE id = ?1 AND NOT finished",
        [id.0.as_bytes()],
    )?;
    standing(connection, id)
}

/// A deployment as it stands.
pub fn standing(connection: &Connection, id: DeploymentId) -> Result<Option<Standing>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT d.host, h.name, d.domain, d.state, d.outcome, d.finished, d.work
         FROM deployments d JOIN hosts h ON h.id = d.host WHERE d.id = ?1",
    )?;
    let standing = statement.query_row([id.0.as_bytes()], |row| {
        let Outcome {
            advice,
            diagnosis,
            values,
            handover,
        } = json(row, 4)?.unwrap_or_default();
        Ok(Standing {
            view: DeploymentView {
                deployment: id,
                host: row.get(1)?,
                domain: row.get(2)?,
                work: word::<Work>(row, 6)?,
                state: word::<DeploymentState>(row, 3)?,
                advice,
                diagnosis,
                values,
                handover,
            },
            host: host_id(row, 0)?,
            finished: row.get(5)?,
        })
    });
    Ok(standing.optional()?)
}

/// Whether a deployment belongs to a host.
pub fn belongs(connection: &Connection, id: DeploymentId, host: HostId) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM deployments WHERE id = ?1 AND host = ?2")?;
    Ok(statement.exists((id.0.as_bytes(), host.0.as_bytes()))?)
}

/// The jobs whose order must still be at hand.
pub fn queued(connection: &Connection) -> Result<Vec<DeploymentId>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT id FROM deployments WHERE NOT taken_up AND NOT finished")?;
    ids(statement.query_map([], |row| row.get(0))?)
}

/// How a deployment ends that only the controller ends.
pub(super) fn ended(advice: Option<Advice>) -> Result<String, StoreError> {
    Ok(serde_json::to_string(&Outcome {
        advice,
        ..Outcome::default()
    })?)
}

fn ids(rows: impl Iterator<Item = rusqlite::Result<[u8; 16]>>) -> Result<Vec<DeploymentId>, StoreError> {
    rows.map(|id| Ok(DeploymentId(Uuid::from_bytes(id?)))).collect()
}

#[cfg(test)]
mod tests {
    use super::EXPIRE;
    use crate::store::migrate;
    use rusqlite::Connection;

    #[test]
    fn what_is_done_at_each_session_looks_through_what_is_not_ended_and_no_further() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        let plan = format!("EXPLAIN QUERY PLAN {EXPIRE}");
        let how: String = connection.query_row(&plan, (5, ""), |row| row.get(3)).unwrap();
        assert!(how.contains("deployments_unfinished"), "{how}");
    }
}
