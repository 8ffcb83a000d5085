//! Events: written with the state that they report, kept until the controller has stored them.

use super::LedgerError;
use chatalot_protocol::event::{Event, What};
use chatalot_protocol::names::DeploymentId;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// How many acknowledged events of no deployment are kept for a look back.
const KEEP: u64 = 1000;
/// How many events go into a message at most, and about how many bytes of them.
const MOST: usize = 100;
const MOST_BYTES: usize = 256 << 10;
/// No event is longer: it has to fit into a message.
const LONGEST: usize = 512 << 10;
/// How many unacknowledged events, and bytes of them, are kept before no more jobs are taken.
const CAP_EVENTS: i64 = 100_000;
const CAP_BYTES: i64 = 64 << 20;

/// The last event's number; zero if there is none.
pub fn latest(connection: &Connection) -> Result<u64, LedgerError> {
    let last: Option<i64> = connection
        .query_row(
            "SELECT seq FROM sqlite_sequence WHERE name = 'event'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    Ok(last.and_then(|last| u64::try_from(last).ok()).unwrap_or(0))
}

/// Writes an event; call it in the transaction that writes the state.
pub fn record(
    connection: &Connection,
    at_ms: i64,
    deployment: Option<DeploymentId>,
    what: &What,
) -> Result<(), LedgerError> {
    let mut text = serde_json::to_string(what)?;
    if text.len() > LONGEST {
        log::error!(bytes = text.len(); "an event is too long to be told; only that it happened is");
        text = serde_json::to_string(&What::Unknown)?;
    }
    connection
        .prepare_cached("INSERT INTO event (at_ms, deployment, what) VALUES (?1, ?2, ?3)")?
        .execute(params![at_ms, deployment.map(|id| id.to_string()), text])?;
    Ok(())
}

/// The next events after one, in order, as many as fit into a message.
pub fn after(connection: &Connection, seq: u64) -> Result<Vec<Event>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, at_ms, deployment, what FROM event WHERE seq > ?1 ORDER BY seq LIMIT 100",
    )?;
    collect(statement.query(params![signed(seq)])?)
}

/// The next events after one without a hole: what was let go of stands there as an unknown event. A controller that
/// was restored from a backup may ask for what it had long since stored.
pub fn unbroken_after(connection: &Connection, seq: u64) -> Result<Vec<Event>, LedgerError> {
    let mut events = Vec::new();
    let (mut next, mut bytes) = (seq + 1, 0);
    for (event, length) in sized_after(connection, seq)? {
        bytes += length;
        if bytes > MOST_BYTES && !events.is_empty() {
            break;
        }
        let at_ms = event.at_ms;
        events.extend((next..event.seq).take(MOST).map(|seq| Event {
            seq,
            at_ms,
            deployment: None,
            what: What::Unknown,
        }));
        next = event.seq + 1;
        events.push(event);
        if events.len() >= MOST {
            break;
        }
    }
    events.truncate(MOST);
    Ok(events)
}

fn sized_after(connection: &Connection, seq: u64) -> Result<Vec<(Event, usize)>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, at_ms, deployment, what, length(what) FROM event WHERE seq > ?1 ORDER BY seq LIMIT 100",
    )?;
    let mut rows = statement.query(params![signed(seq)])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let length: u32 = row.get(4)?;
        events.push((event(row)?, usize::try_from(length).unwrap_or(usize::MAX)));
    }
    Ok(events)
}

/// When an event happened, if it is still there.
pub fn at_ms(connection: &Connection, seq: u64) -> Result<Option<i64>, LedgerError> {
    Ok(connection
        .query_row("SELECT at_ms FROM event WHERE seq = ?1", [signed(seq)], |row| {
            row.get(0)
        })
        .optional()?)
}

/// Gives the events of this ledger another stream; it begins after what is known to be stored.
pub fn begin_stream(connection: &Connection) -> Result<(), LedgerError> {
    set_meta(connection, "stream_epoch", &uuid::Uuid::new_v4().to_string())
}

/// Notes how far a controller has stored that has lost some of it.
pub fn reset_acked(connection: &Connection, seq: u64) -> Result<(), LedgerError> {
    set_meta(connection, "acked", &seq.to_string())
}

/// Whether so much waits for the controller that nothing more should be begun.
pub fn is_full(connection: &Connection) -> Result<bool, LedgerError> {
    let (events, bytes): (i64, i64) = connection.query_row(
        "SELECT count(*), coalesce(sum(length(what)), 0) FROM event WHERE seq > ?1",
        [signed(acknowledged(connection)?)],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(events >= CAP_EVENTS || bytes >= CAP_BYTES)
}

/// Lets go of the acknowledged events of all deployments that are over but the latest few.
pub fn prune(connection: &Connection, keep: u32) -> Result<(), LedgerError> {
    connection.execute(
        "DELETE FROM event WHERE seq <= ?1 AND deployment IN (SELECT id FROM deployment WHERE state <> 'running'
         AND id NOT IN (SELECT id FROM deployment ORDER BY accepted_ms DESC, rowid DESC LIMIT ?2))",
        params![signed(acknowledged(connection)?), keep],
    )?;
    Ok(())
}

/// The last event that a controller has stored; zero if there is none.
pub fn acknowledged(connection: &Connection) -> Result<u64, LedgerError> {
    let acked = meta(connection, "acked")?;
    Ok(acked.and_then(|acked| acked.parse().ok()).unwrap_or(0))
}

/// The events of one deployment after one of them.
pub fn of_deployment(
    connection: &Connection,
    deployment: DeploymentId,
    seq: u64,
) -> Result<Vec<Event>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, at_ms, deployment, what FROM event WHERE deployment = ?1 AND seq > ?2 ORDER BY seq LIMIT 100",
    )?;
    collect(statement.query(params![deployment.to_string(), signed(seq)])?)
}

/// Notes how far the controller has stored, and lets go of old events that it has.
pub fn acked(connection: &Connection, seq: u64) -> Result<(), LedgerError> {
    connection
        .prepare_cached(
            "INSERT INTO meta VALUES ('acked', ?1) ON CONFLICT (key) DO UPDATE
             SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))",
        )?
        .execute([seq.to_string()])?;
    connection
        .prepare_cached("DELETE FROM event WHERE seq <= ?1 AND deployment IS NULL")?
        .execute([signed(seq.saturating_sub(KEEP))])?;
    Ok(())
}

/// A value of the `meta` table.
pub fn meta(connection: &Connection, key: &str) -> Result<Option<String>, LedgerError> {
    Ok(connection
        .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
        .optional()?)
}

/// Sets a value of the `meta` table.
pub fn set_meta(connection: &Connection, key: &str, value: &str) -> Result<(), LedgerError> {
    connection.execute(
        "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [key, value],
    )?;
    Ok(())
}

fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn collect(mut rows: rusqlite::Rows<'_>) -> Result<Vec<Event>, LedgerError> {
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(event(row)?);
    }
    Ok(events)
}

fn event(row: &Row<'_>) -> Result<Event, LedgerError> {
    let deployment: Option<String> = row.get(2)?;
    let seq: i64 = row.get(0)?;
    let what: String = row.get(3)?;
    Ok(Event {
        seq: seq.unsigned_abs(),
        at_ms: row.get(1)?,
        deployment: deployment.and_then(|id| id.parse().ok()),
        what: serde_json::from_str(&what)?,
    })
}
