//! How far the way from one root to the next has got, and which hosts are how far on it.

use super::StoreError;
use super::hosts::{host_id, name};
use crate::rotation::view::{Lack, Straggler};
use crate::rotation::{Rotation, Step};
use chatalot_protocol::names::HostId;
use chatalot_protocol::trust::SignedBundle;
use rusqlite::{Connection, OptionalExtension, Row, ToSql};
use serde::de::DeserializeOwned;

/// Where the controller is on its way.
pub fn read(connection: &Connection) -> Result<Rotation, StoreError> {
    Ok(value(connection, "rotation")?.unwrap_or(Rotation::FIRST))
}

/// What agents are told to trust, if that was signed already.
pub fn bundle(connection: &Connection) -> Result<Option<SignedBundle>, StoreError> {
    value(connection, "bundle")
}

/// Keeps both: from then on they count.
pub fn keep(connection: &Connection, rotation: &Rotation, bundle: &SignedBundle) -> Result<(), StoreError> {
    let sql = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    let mut statement = connection.prepare_cached(sql)?;
    statement.execute(("rotation", serde_json::to_string(rotation)?))?;
    statement.execute(("bundle", serde_json::to_string(bundle)?))?;
    Ok(())
}

/// After a restore agents may know more of a rotation than we do: what they are told is to be news to them.
pub fn restored(connection: &Connection, now_ms: i64) -> Result<(), StoreError> {
    let rotation = read(connection)?;
    if rotation.next.is_none() {
        return Ok(());
    }
    let newer = Rotation {
        version: rotation.newer(now_ms),
        ..rotation
    };
    connection.execute(
        "UPDATE meta SET value = ?1 WHERE key = 'rotation'",
        [serde_json::to_string(&newer)?],
    )?;
    connection.execute("DELETE FROM meta WHERE key = 'bundle'", [])?;
    Ok(())
}

/// Ends everything that was signed or handed out.
pub fn end_all(connection: &Connection, now_ms: i64) -> Result<(), StoreError> {
    connection.execute_batch(
        "DELETE FROM tokens; DELETE FROM approved; DELETE FROM certificates;
         UPDATE hosts SET trusts = 0, readmit_until_ms = NULL, awaited_until_ms = NULL",
    )?;
    connection.execute(
        "UPDATE api_tokens SET revoked_ms = ?1 WHERE revoked_ms IS NULL",
        [now_ms],
    )?;
    Ok(())
}

/// The root that signs hosts' certificates at this moment.
pub fn issuer(connection: &Connection) -> Result<u32, StoreError> {
    Ok(read(connection)?.issuer())
}

/// Notes what a host says that it trusts.
pub fn trusts(connection: &Connection, host: HostId, version: u64) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE hosts SET trusts = ?2 WHERE id = ?1 AND trusts != ?2")?
        .execute((host.0.as_bytes(), version.cast_signed()))?;
    Ok(())
}

/// The hosts that hold up what comes next; after a rotation, those that have not heard of its end.
pub fn behind(connection: &Connection, at: &Rotation) -> Result<Vec<Straggler>, StoreError> {
    match at.phase.forward().or(at.phase.backward()) {
        Some(Step::Publish) if at.version != Rotation::FIRST.version => unconvinced(connection, at.version),
        Some(step) => hold_ups(connection, at, step),
        None => Ok(Vec::new()),
    }
}

/// The hosts that a step would leave behind, those that are revoked left aside.
pub fn hold_ups(connection: &Connection, at: &Rotation, step: Step) -> Result<Vec<Straggler>, StoreError> {
    match step {
        Step::IssueNew | Step::ServeNew => unconvinced(connection, at.version),
        Step::DropOld => {
            let mut all = unconvinced(connection, at.version)?;
            all.extend(holders(connection, at.root)?);
            Ok(all)
        }
        Step::DropNew => at
            .next
            .map_or_else(|| Ok(Vec::new()), |next| holders(connection, next)),
        Step::Publish | Step::Rollback | Step::Unknown => Ok(Vec::new()),
    }
}

/// The hosts that have not said that they trust what counts.
fn unconvinced(connection: &Connection, version: u64) -> Result<Vec<Straggler>, StoreError> {
    let sql = "SELECT id, name, seen_ms FROM hosts WHERE state = 'active' AND trusts != ?1 ORDER BY name";
    stragglers(connection, sql, version.cast_signed(), Lack::Trust)
}

/// The hosts that have a certificate of a root, in force or about to be.
pub fn holders(connection: &Connection, root: u32) -> Result<Vec<Straggler>, StoreError> {
    let sql =
        "SELECT id, name, seen_ms FROM hosts h WHERE state = 'active' AND EXISTS (SELECT 1 FROM certificates
        WHERE host = h.id AND state IN ('current', 'pending') AND root = ?1) ORDER BY name";
    stragglers(connection, sql, root, Lack::Certificate)
}

/// The names of API tokens in force that carry the pin of the old root alone.
pub fn old_tokens(connection: &Connection, at: &Rotation, now_ms: i64) -> Result<Vec<String>, StoreError> {
    if at.next.is_none() {
        return Ok(Vec::new());
    }
    let sql = "SELECT name FROM api_tokens WHERE created_ms < ?1 AND revoked_ms IS NULL AND expires_ms > ?2 ORDER BY name";
    let mut statement = connection.prepare_cached(sql)?;
    let names = statement.query_map([at.begun_ms, now_ms], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

fn stragglers(
    connection: &Connection,
    sql: &str,
    by: impl ToSql,
    lacks: Lack,
) -> Result<Vec<Straggler>, StoreError> {
    let read = |row: &Row<'_>| {
        Ok(Straggler {
            id: host_id(row, 0)?,
            host: name(row, 1)?,
            lacks,
            connected: false,
            seen_ms: row.get(2)?,
        })
    };
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([by], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn value<T: DeserializeOwned>(connection: &Connection, key: &str) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    let text: Option<String> = statement.query_row([key], |row| row.get(0)).optional()?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}
