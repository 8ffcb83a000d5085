//! Hosts, and who of them may have a session.

use super::StoreError;
use super::alarms::{self, Astray};
use crate::model::{HostView, Latest, Membership};
use chatalot_protocol::event::{Event, What};
use chatalot_protocol::message::Hello;
use chatalot_protocol::names::{DeploymentId, HostId, HostName};
use chatalot_protocol::site::{Domain, GitRemote};
use rusqlite::{Connection, OptionalExtension, Row};
use serde::de::DeserializeOwned;
use uuid::Uuid;

const COLUMNS: &str = "h.id, h.name,
    CASE WHEN h.state = 'active' AND h.locked_ms IS NOT NULL THEN 'locked' ELSE h.state END,
    h.level, h.cause, h.domains, h.joined_ms, h.seen_ms, h.address, h.agent, h.hostname, h.system, h.architecture, d.id, d.state, d.domain,
    (SELECT max(not_after_ms) FROM certificates WHERE host = h.id AND state IN ('current', 'pending')),
    (SELECT json_group_array(json(advice)) FROM alarms WHERE host = h.id),
    (SELECT json_group_array(label) FROM labels WHERE host = h.id),
    h.readmit_until_ms
    FROM hosts h LEFT JOIN deployments d ON d.id =
        (SELECT id FROM deployments WHERE host = h.id ORDER BY created_ms DESC, id DESC LIMIT 1)";

/// Why a host cannot be invited.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// It is not to come back.
    #[error("the host is revoked")]
    Revoked,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A host that may join.
#[derive(Debug, Clone, Copy)]
pub struct Invited {
    /// Its id.
    pub host: HostId,
    /// Whether it has joined before.
    pub again: bool,
}

/// How many hosts may come in.
pub fn active(connection: &Connection) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached("SELECT count(*) FROM hosts WHERE state = 'active'")?;
    let count: i64 = statement.query_row([], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

/// Notes that a host may join. One that has joined goes on as it is until somebody joins anew in its name; the
/// domains that it may serve stay as they are where none is named.
pub fn invite(
    connection: &Connection,
    name: &HostName,
    domains: &[Domain],
    now_ms: i64,
) -> Result<Invited, InviteError> {
    let text = serde_json::to_string(domains).map_err(StoreError::Value)?;
    let known = connection
        .query_row(
            "SELECT id, state FROM hosts WHERE name = ?1",
            [name.as_str()],
            |row| Ok((host_id(row, 0)?, row.get::<_, String>(1)?)),
        )
        .optional()
        .map_err(StoreError::Sql)?;
    let (host, again) = match known {
        Some((_, state)) if state == "revoked" => return Err(InviteError::Revoked),
        Some((host, state)) => (host, state == "active"),
        None => (HostId::fresh(), false),
    };
    if again && domains.is_empty() {
        return Ok(Invited { host, again });
    }
    connection
        .execute(
            "INSERT INTO hosts (id, name, state, domains, created_ms) VALUES (?1, ?2, 'invited', ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET domains = excluded.domains",
            (host.0.as_bytes(), name.as_str(), text, now_ms),
        )
        .map_err(StoreError::Sql)?;
    Ok(Invited { host, again })
}

/// Notes where a host's source may come from, for when it next joins.
pub fn grant(connection: &Connection, host: HostId, remotes: &[GitRemote]) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE hosts SET git_remotes = ?2 WHERE id = ?1",
        (host.0.as_bytes(), serde_json::to_string(remotes)?),
    )?;
    Ok(())
}

/// Whether a host may have a domain looked at from outside: it was added with it, or a plan that was approved here names
/// it. What a host has started by itself says nothing.
pub fn may_be_looked_at(connection: &Connection, host: HostId, domain: &Domain) -> Result<bool, StoreError> {
    let may = "SELECT EXISTS (SELECT 1 FROM hosts h, json_each(h.domains) d WHERE h.id = ?1 AND d.value = ?2)
        OR EXISTS (SELECT 1 FROM deployments WHERE host = ?1 AND domain = ?2 AND requested_by <> ?3
            AND work = 'deploy' AND state <> 'refused')";
    let mut statement = connection.prepare_cached(may)?;
    let named = (
        host.0.as_bytes(),
        domain.as_str(),
        super::deployments::HOST_ITSELF,
    );
    Ok(statement.query_row(named, |row| row.get(0))?)
}

/// All hosts, by name. Whether they are connected is not known here.
pub fn list(connection: &Connection) -> Result<Vec<HostView>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} ORDER BY h.name"))?;
    let rows = statement.query_map([], view)?;
    rows.map(|row| row.map_err(StoreError::Sql)).collect()
}

/// One host.
pub fn by_name(connection: &Connection, name: &str) -> Result<Option<HostView>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} WHERE h.name = ?1"))?;
    Ok(statement.query_row([name], view).optional()?)
}

/// How the store welcomes a session.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The stream of events, in the store's own numbering.
    pub stream: i64,
    /// The last event of it that is stored.
    pub acked: u64,
    /// When that happened, by the host's clock.
    pub acked_at_ms: Option<i64>,
    /// Whether the agent's state is another one than before: what it had taken up is lost.
    pub another_life: bool,
    /// The version of what it trusts.
    pub trusts: u64,
}

/// Notes a new session.
pub fn enter(
    connection: &Connection,
    host: HostId,
    hello: &Hello,
    address: &str,
    now_ms: i64,
) -> Result<Entry, StoreError> {
    let (id, epoch) = (host.0.as_bytes(), hello.stream_epoch.as_bytes());
    let before: Option<Vec<u8>> = connection
        .prepare_cached("SELECT epoch FROM hosts WHERE id = ?1")?
        .query_row([id], |row| row.get(0))?;
    notice_two_machines(connection, host, &hello.boot_id, address, now_ms)?;
    connection
        .prepare_cached(
            "UPDATE hosts SET seen_ms = ?2, address = ?3, agent = ?4, hostname = ?5, system = ?6,
             architecture = ?7, boot_id = ?8, epoch = ?9, trusts = ?10 WHERE id = ?1",
        )?
        .execute((
            id,
            now_ms,
            address,
            &hello.agent,
            &hello.hostname,
            &hello.system,
            &hello.architecture,
            &hello.boot_id,
            epoch,
            hello.trusts.cast_signed(),
        ))?;
    connection
        .prepare_cached("INSERT INTO streams (host, epoch) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute((id, epoch))?;
    let (stream, acked) = connection
        .prepare_cached("SELECT id, last_seq FROM streams WHERE host = ?1 AND epoch = ?2")?
        .query_row((id, epoch), |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?;
    let last: Option<String> = connection
        .prepare_cached("SELECT body FROM events WHERE stream = ?1 AND seq = ?2")?
        .query_row((stream, acked), |row| row.get(0))
        .optional()?;
    let last = last
        .map(|body| serde_json::from_str::<Event>(&body))
        .transpose()?;
    Ok(Entry {
        stream,
        acked: acked.cast_unsigned(),
        // What stands for an event that was let go of has no time of its own.
        acked_at_ms: last
            .filter(|last| last.what != What::Unknown)
            .map(|last| last.at_ms),
        another_life: before.is_some_and(|before| before != epoch.as_slice()),
        trusts: hello.trusts,
    })
}

/// A machine never comes back to a boot that it has left: whoever does is another one with the same identity.
fn notice_two_machines(
    connection: &Connection,
    host: HostId,
    boot_id: &str,
    address: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let (id, boot) = (host.0.as_bytes(), boot_id);
    let came_back: Option<bool> = connection
        .prepare_cached("SELECT boot_id != ?2 AND boot_before = ?2 AND ?2 != '' FROM hosts WHERE id = ?1")?
        .query_row((id, boot), |row| row.get(0))?;
    if came_back == Some(true) {
        alarms::raise_astray(connection, host, Astray::TwoMachines, address, now_ms)?;
    }
    connection
        .prepare_cached("UPDATE hosts SET boot_before = boot_id WHERE id = ?1 AND boot_id != ?2")?
        .execute((id, boot))?;
    Ok(())
}

/// Notes the end of a session.
pub fn left(connection: &Connection, host: HostId, now_ms: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE hosts SET seen_ms = ?2 WHERE id = ?1")?
        .execute((host.0.as_bytes(), now_ms))?;
    Ok(())
}

/// Reads an id out of a column.
pub(super) fn host_id(row: &Row<'_>, column: usize) -> rusqlite::Result<HostId> {
    row.get(column).map(|bytes| HostId(Uuid::from_bytes(bytes)))
}

/// Reads a host's name out of a column.
pub(super) fn name(row: &Row<'_>, column: usize) -> rusqlite::Result<HostName> {
    let name: String = row.get(column)?;
    name.parse()
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// Reads a value that is stored as the word that serde writes for it.
pub(super) fn word<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_value(serde_json::Value::String(text)).map_err(|error| unreadable(column, error))
}

/// Reads a value that is stored as JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|error| unreadable(column, error)))
        .transpose()
}

fn unreadable(column: usize, error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

fn view(row: &Row<'_>) -> rusqlite::Result<HostView> {
    let latest = match row.get::<_, Option<[u8; 16]>>(13)? {
        Some(id) => Some(Latest {
            deployment: DeploymentId(Uuid::from_bytes(id)),
            state: word(row, 14)?,
            domain: row.get(15)?,
        }),
        None => None,
    };
    Ok(HostView {
        id: host_id(row, 0)?,
        name: name(row, 1)?,
        membership: word::<Membership>(row, 2)?,
        connected: false,
        level: word(row, 3)?,
        cause: json(row, 4)?,
        domains: json(row, 5)?.unwrap_or_default(),
        joined_ms: row.get(6)?,
        seen_ms: row.get(7)?,
        address: row.get(8)?,
        agent: row.get(9)?,
        hostname: row.get(10)?,
        system: row.get(11)?,
        architecture: row.get(12)?,
        latest,
        alarms: json(row, 17)?.unwrap_or_default(),
        certificate_until_ms: row.get(16)?,
        labels: json(row, 18)?.unwrap_or_default(),
        readmit_until_ms: row.get(19)?,
    })
}
