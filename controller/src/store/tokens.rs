//! Join tokens: made, and used up in the same transaction that records the certificate.

use super::alarms::{self, Astray};
use super::hosts::{host_id, json, name};
use super::{StoreError, approved, generations};
use crate::ca::{CaError, Issued};
use chatalot_protocol::names::{HostId, HostName};
use chatalot_protocol::site::{Domain, GitRemote};
use rusqlite::{Connection, OptionalExtension};

/// What is kept of a token: not its secret.
#[derive(Debug, Clone, Copy)]
pub struct Token {
    /// Which.
    pub id: [u8; 8],
    /// SHA-256 of its secret.
    pub secret: [u8; 32],
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: i64,
}

/// Keeps a token for a host; a token or an approval that it had and did not use is worth nothing from then on.
pub fn keep(connection: &Connection, host: HostId, token: &Token, now_ms: i64) -> Result<(), StoreError> {
    approved::void(connection, host)?;
    connection.execute(
        "INSERT INTO tokens (id, secret, host, created_ms, expires_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        (
            &token.id,
            &token.secret,
            host.0.as_bytes(),
            now_ms,
            token.expires_ms,
        ),
    )?;
    Ok(())
}

/// Somebody who shows a token.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// Which token.
    pub id: [u8; 8],
    /// SHA-256 of the secret that was shown.
    pub secret: [u8; 32],
    /// SHA-256 of the public key that asks for a certificate.
    pub spki: [u8; 32],
}

/// Why a token is refused. The network is told nothing of it; the log is.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such token.
    #[error("unknown token")]
    Unknown,
    /// The secret is another one.
    #[error("wrong secret")]
    Secret,
    /// Its time is over.
    #[error("expired token")]
    Expired,
    /// Another key has used it: perhaps somebody else's.
    #[error("the token was used by another key")]
    Used,
    /// The host is not to come back.
    #[error("the host is revoked")]
    Revoked,
    /// No certificate could be made.
    #[error(transparent)]
    Issue(#[from] CaError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A host that has joined.
#[derive(Debug)]
pub struct Joined {
    /// Its id.
    pub host: HostId,
    /// What the operator calls it.
    pub name: HostName,
    /// The domains that it may serve.
    pub domains: Vec<Domain>,
    /// Where its source may come from.
    pub git_remotes: Vec<GitRemote>,
    /// Its certificate in PEM.
    pub certificate: String,
    /// Whether this is a repeated answer.
    pub again: bool,
}

/// Uses a token up: once, or again by the same key within its time, for the first answer may have been lost.
pub fn consume(
    connection: &Connection,
    shown: &Shown,
    now_ms: i64,
    issue: impl FnOnce(HostId) -> Result<Issued, CaError>,
) -> Result<Joined, Refusal> {
    let (host, first) = judge(connection, shown, now_ms)?;
    let certificate = if first {
        record(connection, shown, host, now_ms, issue(host)?)?
    } else {
        recorded(connection, shown)?
    };
    Ok(joined(connection, host, certificate, !first)?)
}

/// What a host is told that has a certificate now.
pub fn joined(
    connection: &Connection,
    host: HostId,
    certificate: String,
    again: bool,
) -> Result<Joined, StoreError> {
    let (name, domains, git_remotes) = connection.query_row(
        "SELECT name, domains, git_remotes FROM hosts WHERE id = ?1",
        [host.0.as_bytes()],
        |row| Ok((name(row, 0)?, json(row, 1)?, json(row, 2)?)),
    )?;
    Ok(Joined {
        host,
        name,
        domains: domains.unwrap_or_default(),
        git_remotes: git_remotes.unwrap_or_default(),
        certificate,
        again,
    })
}

/// Raises an alarm for the host of a token that two keys have shown.
pub fn shown_twice(
    connection: &Connection,
    id: [u8; 8],
    address: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let host = connection
        .query_row("SELECT host FROM tokens WHERE id = ?1", [&id], |row| {
            host_id(row, 0)
        })
        .optional()?;
    match host {
        Some(host) => alarms::raise_astray(connection, host, Astray::TokenTwice, address, now_ms),
        None => Ok(()),
    }
}

fn judge(connection: &Connection, shown: &Shown, now_ms: i64) -> Result<(HostId, bool), Refusal> {
    let sql = |error| Refusal::Store(StoreError::Sql(error));
    let (secret, host, expires_ms, state) = connection
        .query_row(
            "SELECT t.secret, t.host, t.expires_ms, h.state FROM tokens t JOIN hosts h ON h.id = t.host
             WHERE t.id = ?1",
            [&shown.id],
            |row| {
                Ok((
                    row.get::<_, [u8; 32]>(0)?,
                    host_id(row, 1)?,
                    row.get::<_, i64>(2)?,
                    row.get::<_, String>(3)?,
                ))
            },
        )
        .optional()
        .map_err(sql)?
        .ok_or(Refusal::Unknown)?;
    if !same(&secret, &shown.secret) {
        return Err(Refusal::Secret);
    }
    if state == "revoked" {
        return Err(Refusal::Revoked);
    }
    let first = connection
        .execute(
            "UPDATE tokens SET used_ms = ?1, spki = ?2 WHERE id = ?3 AND used_ms IS NULL AND expires_ms > ?1",
            (now_ms, &shown.spki, &shown.id),
        )
        .map_err(sql)?
        == 1;
    if first {
        return Ok((host, true));
    }
    if expires_ms <= now_ms {
        return Err(Refusal::Expired);
    }
    let ours = connection
        .prepare_cached("SELECT 1 FROM tokens WHERE id = ?1 AND spki = ?2")
        .and_then(|mut statement| statement.exists((&shown.id, &shown.spki)))
        .map_err(sql)?;
    if ours {
        Ok((host, false))
    } else {
        Err(Refusal::Used)
    }
}

fn record(
    connection: &Connection,
    shown: &Shown,
    host: HostId,
    now_ms: i64,
    issued: Issued,
) -> Result<String, StoreError> {
    // A token names a certificate that is there.
    generations::insert(connection, host, &shown.spki, &issued, "current", now_ms)?;
    connection.execute(
        "UPDATE tokens SET serial = ?2 WHERE id = ?1",
        (&shown.id, &issued.serial),
    )?;
    enter(connection, host, issued, now_ms)
}

/// Gives a key its first certificate as this host.
pub(super) fn admit(
    connection: &Connection,
    host: HostId,
    spki: &[u8; 32],
    issued: Issued,
    now_ms: i64,
) -> Result<String, StoreError> {
    generations::insert(connection, host, spki, &issued, "current", now_ms)?;
    enter(connection, host, issued, now_ms)
}

/// Whoever joins in the name of a host is the host: what was there before has no certificate, no token and no approval
/// any more.
fn enter(connection: &Connection, host: HostId, issued: Issued, now_ms: i64) -> Result<String, StoreError> {
    let id = host.0.as_bytes();
    for of_others in [
        "DELETE FROM tokens WHERE host = ?1 AND serial IS NOT ?2",
        "DELETE FROM approved WHERE host = ?1 AND serial IS NOT ?2",
        "DELETE FROM certificates WHERE host = ?1 AND serial IS NOT ?2",
    ] {
        connection.execute(of_others, (id, &issued.serial))?;
    }
    alarms::forget(connection, host)?;
    connection.execute(
        "UPDATE hosts SET state = 'active', joined_ms = ?2, locked_ms = NULL, readmit_until_ms = NULL,
         awaited_until_ms = NULL WHERE id = ?1",
        (id, now_ms),
    )?;
    Ok(issued.pem)
}

fn recorded(connection: &Connection, shown: &Shown) -> Result<String, StoreError> {
    Ok(connection.query_row(
        "SELECT c.pem FROM tokens t JOIN certificates c ON c.serial = t.serial WHERE t.id = ?1",
        [&shown.id],
        |row| row.get(0),
    )?)
}

/// Compares without telling by the time it takes how much was right.
pub(super) fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}
