//! API tokens and the labels of hosts: who may do what, as it is at this moment.

use super::StoreError;
use super::hosts::{host_id, word};
use super::tokens::same;
use crate::access::view::TokenView;
use crate::access::{Caller, Identity, Reach, Role};
use chatalot_protocol::enrol::hex;
use chatalot_protocol::names::{DeploymentId, HostId, HostName};
use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

/// A use is noted again only after this long, in milliseconds: reading must not become writing.
const USE_NOTED_EVERY: i64 = 60_000;
const COLUMNS: &str =
    "t.id, t.name, t.role, h.name, t.label, t.created_ms, t.created_by, t.expires_ms, t.used_ms,
    t.revoked_ms FROM api_tokens t LEFT JOIN hosts h ON h.id = t.host";

/// What is kept of a token: not its secret.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Which.
    pub id: [u8; 8],
    /// SHA-256 of its secret.
    pub secret: [u8; 32],
    /// What it is called.
    pub name: HostName,
    /// What it may do.
    pub role: Role,
    /// Where.
    pub reach: Reach,
    /// Who made it.
    pub by: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it ends.
    pub expires_ms: i64,
}

/// Why a token is refused. The network is told nothing of it; the audit is.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// None was shown.
    #[error("no token")]
    None,
    /// It has not the shape of one.
    #[error("not a token")]
    Shape,
    /// There is no such token.
    #[error("unknown token")]
    Unknown,
    /// The secret is another one.
    #[error("wrong secret")]
    Secret,
    /// Its time is over.
    #[error("expired token")]
    Expired,
    /// It was revoked.
    #[error("revoked token")]
    Revoked,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps a token; false where another one in force has the name.
pub fn keep(connection: &Connection, token: &Kept) -> Result<bool, StoreError> {
    // One whose time is over gives its name back.
    connection.execute(
        "UPDATE api_tokens SET revoked_ms = expires_ms WHERE name = ?1 AND revoked_ms IS NULL AND expires_ms <= ?2",
        (token.name.as_str(), token.created_ms),
    )?;
    let (host, label) = match &token.reach {
        Reach::Everywhere => (None, None),
        Reach::Host(host) => (Some(host.0.as_bytes()), None),
        Reach::Label(label) => (None, Some(label.as_str())),
    };
    let kept = connection.execute(
        "INSERT INTO api_tokens (id, secret, name, role, host, label, created_ms, created_by, expires_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
        (
            &token.id,
            &token.secret,
            token.name.as_str(),
            token.role.word(),
            host,
            label,
            token.created_ms,
            &token.by,
            token.expires_ms,
        ),
    )?;
    Ok(kept == 1)
}

/// Who somebody is that shows a token: its id, and the SHA-256 of the secret that was shown.
pub fn caller(
    connection: &Connection,
    id: [u8; 8],
    shown: &[u8; 32],
    now_ms: i64,
) -> Result<Caller, Refusal> {
    let found = connection
        .prepare_cached(
            "SELECT secret, name, role, host, label, expires_ms, revoked_ms FROM api_tokens WHERE id = ?1",
        )
        .and_then(|mut statement| {
            statement
                .query_row([&id], |row| Ok((row.get(0)?, standing(id, row)?)))
                .optional()
        })
        .map_err(StoreError::Sql)?;
    // Compared even where there is nothing to compare with: both take the same time.
    let known = same(&found.as_ref().map_or([0; 32], |(secret, _)| *secret), shown);
    match found {
        None => Err(Refusal::Unknown),
        Some(_) if !known => Err(Refusal::Secret),
        Some((_, (_, true))) => Err(Refusal::Revoked),
        Some((_, (caller, _))) if caller.until_ms <= Some(now_ms) => Err(Refusal::Expired),
        Some((_, (caller, _))) => Ok(caller),
    }
}

/// The holder of a token as it is now; `None` where it counts for nothing any more.
pub fn still(connection: &Connection, id: [u8; 8], now_ms: i64) -> Result<Option<Caller>, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT secret, name, role, host, label, expires_ms, revoked_ms FROM api_tokens WHERE id = ?1",
        )?
        .query_row([&id], |row| standing(id, row))
        .optional()?;
    Ok(found
        .filter(|(caller, revoked)| !revoked && caller.until_ms > Some(now_ms))
        .map(|(caller, _)| caller))
}

/// Whether a use is worth noting.
pub fn is_due(connection: &Connection, id: [u8; 8], now_ms: i64) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT 1 FROM api_tokens WHERE id = ?1 AND (used_ms IS NULL OR used_ms < ?2 OR used_ms > ?3)",
    )?;
    Ok(statement.exists((&id, now_ms - USE_NOTED_EVERY, now_ms))?)
}

/// Notes a use.
pub fn used(connection: &Connection, id: [u8; 8], now_ms: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE api_tokens SET used_ms = ?2 WHERE id = ?1")?
        .execute((&id, now_ms))?;
    Ok(())
}

/// All tokens, those in force first, by name.
pub fn list(connection: &Connection) -> Result<Vec<TokenView>, StoreError> {
    let sql = format!("SELECT {COLUMNS} ORDER BY t.revoked_ms IS NOT NULL, t.name, t.created_ms");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], view)?;
    rows.map(|row| row.map_err(StoreError::Sql)).collect()
}

/// Revokes the token in force with this name, or with this id in hex.
pub fn revoke(connection: &Connection, name: &str, now_ms: i64) -> Result<Option<TokenView>, StoreError> {
    let id: Option<[u8; 8]> = connection
        .query_row(
            "SELECT id FROM api_tokens WHERE revoked_ms IS NULL AND (name = ?1 OR lower(hex(id)) = ?1) LIMIT 1",
            [name],
            |row| row.get(0),
        )
        .optional()?;
    let Some(id) = id else { return Ok(None) };
    connection.execute(
        "UPDATE api_tokens SET revoked_ms = ?2 WHERE id = ?1",
        (&id, now_ms),
    )?;
    let sql = format!("SELECT {COLUMNS} WHERE t.id = ?1");
    Ok(Some(connection.query_row(&sql, [&id], view)?))
}

/// A host that somebody wants to reach, with its labels.
pub type Found = (HostId, Vec<HostName>);

/// The host of a name.
pub fn host_named(connection: &Connection, name: &str) -> Result<Option<Found>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id FROM hosts WHERE name = ?1")?;
    let host = statement.query_row([name], |row| host_id(row, 0)).optional()?;
    host.map(|host| Ok((host, labels(connection, host)?))).transpose()
}

/// The host of a deployment.
pub fn host_of(connection: &Connection, deployment: DeploymentId) -> Result<Option<Found>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT host FROM deployments WHERE id = ?1")?;
    let host = statement
        .query_row([deployment.0.as_bytes()], |row| host_id(row, 0))
        .optional()?;
    host.map(|host| Ok((host, labels(connection, host)?))).transpose()
}

/// The labels of a host.
pub fn labels(connection: &Connection, host: HostId) -> Result<Vec<HostName>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT label FROM labels WHERE host = ?1 ORDER BY label")?;
    let rows = statement.query_map([host.0.as_bytes()], |row| row.get::<_, String>(0))?;
    rows.map(|label| label?.parse().map_err(|_| StoreError::Damaged("label")))
        .collect()
}

/// Gives a host these labels and no others.
pub fn label(connection: &Connection, host: HostId, labels: &[HostName]) -> Result<(), StoreError> {
    connection.execute("DELETE FROM labels WHERE host = ?1", [host.0.as_bytes()])?;
    let mut insert = connection
        .prepare_cached("INSERT INTO labels (host, label) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    for label in labels {
        insert.execute((host.0.as_bytes(), label.as_str()))?;
    }
    Ok(())
}

/// The caller that a token makes, and whether it was revoked.
fn standing(id: [u8; 8], row: &Row<'_>) -> rusqlite::Result<(Caller, bool)> {
    let host: Option<[u8; 16]> = row.get(3)?;
    let label: Option<String> = row.get(4)?;
    let reach = match (host, label) {
        (Some(host), _) => Reach::Host(HostId(Uuid::from_bytes(host))),
        (None, Some(label)) => Reach::Label(parsed(&label)?),
        (None, None) => Reach::Everywhere,
    };
    let caller = Caller {
        identity: Identity::Token(id),
        name: row.get(1)?,
        role: word(row, 2)?,
        reach,
        until_ms: row.get(5)?,
    };
    Ok((caller, row.get::<_, Option<i64>>(6)?.is_some()))
}

fn view(row: &Row<'_>) -> rusqlite::Result<TokenView> {
    Ok(TokenView {
        id: hex(&row.get::<_, [u8; 8]>(0)?),
        name: parsed(&row.get::<_, String>(1)?)?,
        role: word(row, 2)?,
        host: row.get(3)?,
        label: row.get(4)?,
        created_ms: row.get(5)?,
        created_by: row.get(6)?,
        expires_ms: row.get(7)?,
        used_ms: row.get(8)?,
        revoked_ms: row.get(9)?,
    })
}

fn parsed(name: &str) -> rusqlite::Result<HostName> {
    name.parse()
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
