//! Requests that somebody else has to approve. Their bodies, which may carry secrets, are files of their own.

use super::StoreError;
use super::hosts::{json, word};
use crate::access::Role;
use crate::access::view::{ApprovalState, ApprovalView};
use chatalot_protocol::names::{HostId, HostName};
use chatalot_protocol::plan::PlanHash;
use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

const COLUMNS: &str =
    "id, action, subject, plan, requested_by, needs, state, created_ms, expires_ms, decided_by,
    status, answer, host, path, requester FROM approvals";

/// A request that waits.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Which.
    pub id: Uuid,
    /// The row of the table of endpoints.
    pub action: String,
    /// The path that was asked for.
    pub path: String,
    /// What it is about.
    pub subject: String,
    /// The host that it would change.
    pub host: Option<HostId>,
    /// The plan, where one is to be carried out.
    pub plan: Option<PlanHash>,
    /// The role that whoever approves must have.
    pub needs: Role,
    /// Who asked, for people.
    pub requested_by: String,
    /// Who asked, as [`crate::access::Identity::key`] tells people apart.
    pub requester: String,
    /// When, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it is over.
    pub expires_ms: i64,
}

/// One as it is stored.
#[derive(Debug, Clone)]
pub struct Stored {
    /// What the operator sees.
    pub view: ApprovalView,
    /// The host that it would change.
    pub host: Option<HostId>,
    /// The labels of that host.
    pub labels: Vec<HostName>,
    /// The path that was asked for.
    pub path: String,
    /// Who asked.
    pub requester: String,
}

/// Keeps one.
pub fn keep(connection: &Connection, waiting: &Waiting) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO approvals (id, action, path, subject, host, plan, needs, requested_by, requester, created_ms,
         expires_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        (
            waiting.id.as_bytes(),
            &waiting.action,
            &waiting.path,
            &waiting.subject,
            waiting.host.as_ref().map(|host| host.0.as_bytes()),
            waiting.plan.as_ref().map(ToString::to_string),
            waiting.needs.word(),
            &waiting.requested_by,
            &waiting.requester,
            waiting.created_ms,
            waiting.expires_ms,
        ),
    )?;
    Ok(())
}

/// Ends what nobody has decided in time; which those were.
pub fn expire(connection: &Connection, now_ms: i64) -> Result<Vec<Uuid>, StoreError> {
    let mut statement = connection.prepare_cached(
        "UPDATE approvals SET state = 'expired' WHERE state = 'pending' AND expires_ms <= ?1 RETURNING id",
    )?;
    let rows = statement.query_map([now_ms], |row| row.get(0).map(Uuid::from_bytes))?;
    rows.map(|row| row.map_err(StoreError::Sql)).collect()
}

/// Decides one that is pending; false where somebody else was faster, or its time is over.
pub fn decide(
    connection: &Connection,
    id: Uuid,
    state: &str,
    by: &str,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let decided = connection.execute(
        "UPDATE approvals SET state = ?2, decided_by = ?3 WHERE id = ?1 AND state = 'pending' AND expires_ms > ?4",
        (id.as_bytes(), state, by, now_ms),
    )?;
    Ok(decided == 1)
}

/// Notes how one went that was approved.
pub fn done(connection: &Connection, id: Uuid, status: u16, answer: &str) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE approvals SET state = 'done', status = ?2, answer = ?3 WHERE id = ?1",
        (id.as_bytes(), status, answer),
    )?;
    Ok(())
}

/// The latest, the newest first.
pub fn list(connection: &Connection) -> Result<Vec<Stored>, StoreError> {
    let sql = format!("SELECT {COLUMNS} ORDER BY created_ms DESC, id DESC LIMIT 200");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], stored)?;
    rows.map(|row| with_labels(connection, row?)).collect()
}

/// One of them.
pub fn one(connection: &Connection, id: Uuid) -> Result<Option<Stored>, StoreError> {
    let sql = format!("SELECT {COLUMNS} WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_row([id.as_bytes()], stored).optional()?;
    found.map(|found| with_labels(connection, found)).transpose()
}

/// Those whose request must still be at hand.
pub fn pending(connection: &Connection) -> Result<Vec<Uuid>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id FROM approvals WHERE state = 'pending'")?;
    let rows = statement.query_map([], |row| row.get(0).map(Uuid::from_bytes))?;
    rows.map(|row| row.map_err(StoreError::Sql)).collect()
}

fn with_labels(connection: &Connection, mut stored: Stored) -> Result<Stored, StoreError> {
    if let Some(host) = stored.host {
        stored.labels = super::access::labels(connection, host)?;
    }
    Ok(stored)
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let plan: Option<String> = row.get(3)?;
    let state: ApprovalState = word(row, 6)?;
    Ok(Stored {
        view: ApprovalView {
            id: Uuid::from_bytes(row.get(0)?),
            action: row.get(1)?,
            subject: row.get(2)?,
            plan: plan.and_then(|plan| plan.parse().ok()),
            requested_by: row.get(4)?,
            needs: word(row, 5)?,
            state,
            created_ms: row.get(7)?,
            expires_ms: row.get(8)?,
            decided_by: row.get(9)?,
            status: row.get(10)?,
            answer: json(row, 11)?,
        },
        host: row
            .get::<_, Option<[u8; 16]>>(12)?
            .map(|id| HostId(Uuid::from_bytes(id))),
        labels: Vec::new(),
        path: row.get(13)?,
        requester: row.get(14)?,
    })
}
