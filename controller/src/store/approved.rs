//! Keys that an operator has approved: each becomes one host, once. What merely waits is in no database.

use super::StoreError;
use super::hosts::{host_id, name};
use super::tokens::{self, Joined, Refusal};
use crate::ca::{CaError, Issued};
use chatalot_protocol::names::{HostId, HostName};
use rusqlite::{Connection, OptionalExtension};

/// Why a key cannot be approved for a host.
#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    /// There is no such host, or none is awaited under this name now.
    #[error("the host is not awaited")]
    NotAwaited,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Awaits a host until then; a token or an approval that it had and did not use is worth nothing from then on.
pub fn await_host(connection: &Connection, host: HostId, until_ms: i64) -> Result<(), StoreError> {
    void(connection, host)?;
    connection.execute(
        "UPDATE hosts SET awaited_until_ms = ?2 WHERE id = ?1",
        (host.0.as_bytes(), until_ms),
    )?;
    Ok(())
}

/// Awaits a host no longer, whichever way it was to join.
pub fn void(connection: &Connection, host: HostId) -> Result<(), StoreError> {
    let id = host.0.as_bytes();
    connection.execute("DELETE FROM tokens WHERE host = ?1 AND used_ms IS NULL", [id])?;
    connection.execute("DELETE FROM approved WHERE host = ?1 AND serial IS NULL", [id])?;
    connection.execute("UPDATE hosts SET awaited_until_ms = NULL WHERE id = ?1", [id])?;
    Ok(())
}

/// The hosts that are awaited, by name, and when the last of them no longer is.
pub fn awaited(connection: &Connection, now_ms: i64) -> Result<(Vec<HostName>, i64), StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT name, awaited_until_ms FROM hosts WHERE awaited_until_ms > ?1 AND state != 'revoked' ORDER BY name",
    )?;
    let rows = statement.query_map([now_ms], |row| Ok((name(row, 0)?, row.get::<_, i64>(1)?)))?;
    let (mut names, mut last) = (Vec::new(), now_ms);
    for row in rows {
        let (name, until) = row?;
        names.push(name);
        last = last.max(until);
    }
    Ok((names, last))
}

/// Lets a key become a host that is awaited, until then.
pub fn approve(
    connection: &Connection,
    host: &HostName,
    spki: &[u8; 32],
    now_ms: i64,
    until_ms: i64,
) -> Result<HostId, ApproveError> {
    let awaited = connection
        .query_row(
            "SELECT id FROM hosts WHERE name = ?1 AND awaited_until_ms > ?2 AND state != 'revoked'",
            (host.as_str(), now_ms),
            |row| host_id(row, 0),
        )
        .optional()
        .map_err(StoreError::Sql)?;
    let host = awaited.ok_or(ApproveError::NotAwaited)?;
    void(connection, host)?;
    connection
        .execute(
            "INSERT INTO approved (spki, host, approved_ms, expires_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (spki) DO UPDATE SET host = excluded.host, approved_ms = excluded.approved_ms,
                 expires_ms = excluded.expires_ms, serial = NULL",
            (spki, host.0.as_bytes(), now_ms, until_ms),
        )
        .map_err(StoreError::Sql)?;
    Ok(host)
}

/// Whether a key is approved, or was within its time.
pub fn knows(connection: &Connection, spki: &[u8; 32], now_ms: i64) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM approved WHERE spki = ?1 AND expires_ms > ?2")?
        .exists((spki, now_ms))?)
}

/// Makes an approved key its host: once, and tells it so again within its time, for the first answer may have been
/// lost.
pub fn admit(
    connection: &Connection,
    spki: &[u8; 32],
    now_ms: i64,
    issue: impl FnOnce(HostId) -> Result<Issued, CaError>,
) -> Result<Joined, Refusal> {
    let found = connection
        .query_row(
            "SELECT a.host, a.serial, h.state FROM approved a JOIN hosts h ON h.id = a.host
             WHERE a.spki = ?1 AND a.expires_ms > ?2",
            (spki, now_ms),
            |row| {
                let serial: Option<[u8; 16]> = row.get(1)?;
                Ok((host_id(row, 0)?, serial, row.get::<_, String>(2)?))
            },
        )
        .optional()
        .map_err(StoreError::Sql)?;
    let (host, serial, state) = found.ok_or(Refusal::Unknown)?;
    if state == "revoked" {
        return Err(Refusal::Revoked);
    }
    let again = serial.is_some();
    let certificate = if let Some(serial) = serial {
        recorded(connection, serial)?.ok_or(Refusal::Unknown)?
    } else {
        let issued = issue(host)?;
        connection
            .execute(
                "UPDATE approved SET serial = ?2 WHERE spki = ?1",
                (spki, &issued.serial),
            )
            .map_err(StoreError::Sql)?;
        tokens::admit(connection, host, spki, issued, now_ms)?
    };
    Ok(tokens::joined(connection, host, certificate, again)?)
}

fn recorded(connection: &Connection, serial: [u8; 16]) -> Result<Option<String>, StoreError> {
    Ok(connection
        .query_row(
            "SELECT pem FROM certificates WHERE serial = ?1",
            [&serial],
            |row| row.get(0),
        )
        .optional()?)
}
