//! The generations of a host's identity: which certificate is in force, which waits for its first use, which is over.
//!
//! ```text
//! signed ──► pending ──(first session with it)──► current ──(first session with its successor)──► old
//!               └──(another one is signed)──► void
//! ```
//!
//! A host never goes back: it stores a certificate before it uses it. Whoever shows an old one has a copy of the key.

use super::StoreError;
use super::alarms::{self, Astray};
use super::hosts::host_id;
use crate::ca::{CaError, Issued};
use chatalot_protocol::names::HostId;
use rusqlite::{Connection, OptionalExtension};

/// How a host with a certificate stands at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may come in.
    Current,
    /// It may come in, and the certificate is in force from then on.
    Pending,
    /// The certificate's successor is in force since.
    Old {
        /// Since when, in milliseconds since 1970.
        since_ms: i64,
    },
    /// The host is locked.
    Locked,
    /// The host or the certificate is not known, or no longer.
    Out,
}

/// How a host stands with the certificate of this number.
pub fn standing(connection: &Connection, host: HostId, serial: [u8; 16]) -> Result<Standing, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT h.state, h.locked_ms IS NOT NULL, c.state, coalesce(c.retired_ms, 0)
             FROM hosts h JOIN certificates c ON c.host = h.id WHERE h.id = ?1 AND c.serial = ?2",
        )?
        .query_row((host.0.as_bytes(), &serial), |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, bool>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, i64>(3)?,
            ))
        })
        .optional()?;
    let Some((state, locked, certificate, since_ms)) = found else {
        return Ok(Standing::Out);
    };
    Ok(match (state.as_str(), locked, certificate.as_str()) {
        ("active", true, _) => Standing::Locked,
        ("active", false, "current") => Standing::Current,
        ("active", false, "pending") => Standing::Pending,
        ("active", false, "old") => Standing::Old { since_ms },
        _ => Standing::Out,
    })
}

/// Whether a host with this certificate may have a session at this moment.
pub fn may_enter(connection: &Connection, host: HostId, serial: [u8; 16]) -> Result<bool, StoreError> {
    let standing = standing(connection, host, serial)?;
    Ok(matches!(standing, Standing::Current | Standing::Pending))
}

/// Puts a pending certificate in force, for it is used; nothing happens where it is in force already.
pub fn promote(
    connection: &Connection,
    host: HostId,
    serial: [u8; 16],
    now_ms: i64,
) -> Result<(), StoreError> {
    let id = host.0.as_bytes();
    let retired = connection
        .prepare_cached(
            "UPDATE certificates SET state = 'old', retired_ms = ?3 WHERE host = ?1 AND state = 'current'
             AND EXISTS (SELECT 1 FROM certificates WHERE host = ?1 AND serial = ?2 AND state = 'pending')",
        )?
        .execute((id, &serial, now_ms))?;
    if retired > 0 {
        connection
            .prepare_cached("UPDATE certificates SET state = 'current' WHERE host = ?1 AND serial = ?2")?
            .execute((id, &serial))?;
        // TLS refuses them by themselves.
        connection
            .prepare_cached(
                "DELETE FROM certificates WHERE host = ?1 AND state IN ('old', 'void') AND not_after_ms < ?2
                 AND serial NOT IN (SELECT serial FROM tokens WHERE serial IS NOT NULL)",
            )?
            .execute((id, now_ms))?;
    }
    Ok(())
}

/// Locks a host whose old certificate was shown, until the operator readmits it or it joins anew.
pub fn lock(connection: &Connection, host: HostId, address: &str, now_ms: i64) -> Result<(), StoreError> {
    let locked = connection.execute(
        "UPDATE hosts SET locked_ms = ?2, readmit_until_ms = NULL WHERE id = ?1 AND locked_ms IS NULL",
        (host.0.as_bytes(), now_ms),
    )?;
    if locked == 1 {
        alarms::raise_astray(connection, host, Astray::Copied, address, now_ms)?;
    }
    Ok(())
}

/// A host that shows a certificate, has proved that it has the key, and wants another one for a new key.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The host.
    pub host: HostId,
    /// The number of the certificate that it has.
    pub serial: [u8; 16],
    /// SHA-256 of the new public key.
    pub spki: [u8; 32],
}

/// Why no certificate is signed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such certificate, or the key to it was not shown.
    #[error("the request is not signed with the key of a certificate that is known")]
    Stranger,
    /// The key that is to be certified was certified before.
    #[error("the key is not a new one")]
    Key,
    /// The certificate has been replaced: the host is locked from now on.
    #[error("the certificate was replaced by a later one, which is in use")]
    Old,
    /// It has ended, and the operator has not said that the host may come back.
    #[error("the certificate has expired")]
    Expired,
    /// The host is locked, and the operator has not said that it may come back.
    #[error("the host is locked")]
    Locked,
    /// The host is revoked, and the operator has not said that it may come back.
    #[error("the host is revoked")]
    Revoked,
    /// No certificate could be made.
    #[error(transparent)]
    Issue(#[from] CaError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A certificate for a host's new key.
#[derive(Debug)]
pub struct Granted {
    /// It, in PEM.
    pub certificate: String,
    /// Whether the host was kept out before.
    pub readmitted: bool,
    /// Whether this is a repeated answer.
    pub again: bool,
}

/// How the one that asks stands, whose key is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    Good,
    Readmitted,
    Revoked,
    Locked,
    Old,
    Void,
    Expired,
}

/// The certificate of this number, in PEM: what a proof is verified with.
pub fn certificate(
    connection: &Connection,
    host: HostId,
    serial: [u8; 16],
) -> Result<Option<String>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT pem FROM certificates WHERE host = ?1 AND serial = ?2")?;
    let row = statement.query_row((host.0.as_bytes(), &serial), |row| row.get(0));
    Ok(row.optional()?)
}

/// Signs a new key of a host that has proved to have the key of the certificate that it names. The same new key gets
/// the same certificate, for the first answer may have been lost. `Refusal::Old` must be followed by [`lock`].
pub fn renew(
    connection: &Connection,
    asked: &Asked,
    now_ms: i64,
    issue: impl FnOnce() -> Result<Issued, CaError>,
) -> Result<Granted, Refusal> {
    let claim = claim(connection, asked, now_ms)?;
    let readmitted = claim == Claim::Readmitted;
    if let Some(certificate) = signed_before(connection, asked, claim)? {
        return Ok(Granted {
            certificate,
            readmitted: false,
            again: true,
        });
    }
    judge(claim)?;
    if readmitted {
        void(connection, asked.host, &["current", "pending", "old"])?;
        connection
            .execute(
                "UPDATE hosts SET state = 'active', locked_ms = NULL, readmit_until_ms = NULL WHERE id = ?1",
                [asked.host.0.as_bytes()],
            )
            .map_err(StoreError::Sql)?;
    } else {
        promote(connection, asked.host, asked.serial, now_ms)?;
        void(connection, asked.host, &["pending"])?;
    }
    let issued = issue()?;
    let state = if readmitted { "current" } else { "pending" };
    insert(connection, asked.host, &asked.spki, &issued, state, now_ms)?;
    Ok(Granted {
        certificate: issued.pem,
        readmitted,
        again: false,
    })
}

fn claim(connection: &Connection, asked: &Asked, now_ms: i64) -> Result<Claim, Refusal> {
    let claim = connection
        .query_row(
            "SELECT coalesce(h.readmit_until_ms, 0) > ?3, h.state = 'active', h.locked_ms IS NOT NULL, c.state,
             c.not_after_ms <= ?3 FROM hosts h JOIN certificates c ON c.host = h.id
             WHERE h.id = ?1 AND c.serial = ?2",
            (asked.host.0.as_bytes(), &asked.serial, now_ms),
            |row| {
                let certificate: String = row.get(3)?;
                let (readmitted, active, locked): (bool, bool, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(match (certificate.as_str(), row.get(4)?) {
                    _ if readmitted => Claim::Readmitted,
                    _ if !active => Claim::Revoked,
                    _ if locked => Claim::Locked,
                    ("old", _) => Claim::Old,
                    ("void", _) => Claim::Void,
                    (_, true) => Claim::Expired,
                    _ => Claim::Good,
                })
            },
        )
        .optional()
        .map_err(StoreError::Sql)?;
    claim.ok_or(Refusal::Stranger)
}

/// The certificate of the new key, where it has one that is still good. A key that was certified otherwise is refused.
fn signed_before(connection: &Connection, asked: &Asked, claim: Claim) -> Result<Option<String>, Refusal> {
    let known = connection
        .query_row(
            "SELECT host, state IN ('current', 'pending'), serial, pem FROM certificates WHERE spki = ?1",
            [&asked.spki],
            |row| {
                let (host, good, serial) = (
                    host_id(row, 0)?,
                    row.get::<_, bool>(1)?,
                    row.get::<_, [u8; 16]>(2)?,
                );
                Ok((host == asked.host && good && serial != asked.serial, row.get(3)?))
            },
        )
        .optional()
        .map_err(StoreError::Sql)?;
    match known {
        None => Ok(None),
        Some((true, pem)) if !matches!(claim, Claim::Readmitted | Claim::Revoked | Claim::Locked) => {
            Ok(Some(pem))
        }
        Some(_) => Err(Refusal::Key),
    }
}

fn judge(claim: Claim) -> Result<(), Refusal> {
    match claim {
        Claim::Good | Claim::Readmitted => Ok(()),
        Claim::Revoked => Err(Refusal::Revoked),
        Claim::Locked => Err(Refusal::Locked),
        Claim::Old => Err(Refusal::Old),
        Claim::Void => Err(Refusal::Stranger),
        Claim::Expired => Err(Refusal::Expired),
    }
}

fn void(connection: &Connection, host: HostId, states: &[&str]) -> Result<(), StoreError> {
    let mut statement =
        connection.prepare_cached("UPDATE certificates SET state = 'void' WHERE host = ?1 AND state = ?2")?;
    for state in states {
        statement.execute((host.0.as_bytes(), state))?;
    }
    Ok(())
}

/// Whether this database was restored from a backup, so that it may not know all that was signed.
pub fn was_restored(connection: &Connection) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM meta WHERE key = 'restored_from_ms'")?;
    Ok(statement.exists([])?)
}

/// A certificate that was verified.
#[derive(Debug)]
pub struct Verified {
    /// Its number.
    pub serial: [u8; 16],
    /// SHA-256 of its key.
    pub spki: [u8; 32],
    /// Itself, in PEM.
    pub pem: String,
    /// When it was signed, in milliseconds since 1970.
    pub signed_ms: i64,
    /// When it ends.
    pub not_after_ms: i64,
    /// The number of the root that has signed it.
    pub root: u32,
}

/// Takes over a certificate that we have signed after the backup from which this database was restored, and therefore
/// do not know: it is the host's latest, and puts the one before out of force.
pub fn adopt(connection: &Connection, host: HostId, shown: &Verified, now_ms: i64) -> Result<(), StoreError> {
    let id = host.0.as_bytes();
    let since_ms: Option<i64> = connection
        .query_row(
            "SELECT value FROM meta WHERE key = 'restored_from_ms'",
            [],
            |row| row.get::<_, String>(0),
        )
        .optional()?
        .and_then(|value| value.parse().ok());
    let is_news = |since_ms| -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM hosts h WHERE h.id = ?1 AND h.state = 'active' AND h.locked_ms IS NULL
             AND ?3 >= ?4 AND NOT EXISTS (SELECT 1 FROM certificates c
                 WHERE c.serial = ?2 OR (c.host = ?1 AND c.issued_ms / 1000 > ?3 / 1000))";
        let mut statement = connection.prepare_cached(sql)?;
        Ok(statement.exists((id, &shown.serial, shown.signed_ms, since_ms))?)
    };
    // A certificate tells the second only.
    if !since_ms
        .map(|since_ms| is_news(since_ms / 1000 * 1000))
        .transpose()?
        .unwrap_or(false)
    {
        return Ok(());
    }
    void(connection, host, &["pending"])?;
    connection.execute(
        "UPDATE certificates SET state = 'old', retired_ms = ?2 WHERE host = ?1 AND state = 'current'",
        (id, now_ms),
    )?;
    let issued = Issued {
        serial: shown.serial,
        pem: shown.pem.clone(),
        not_after_ms: shown.not_after_ms,
        root: shown.root,
    };
    insert(connection, host, &shown.spki, &issued, "current", shown.signed_ms)?;
    log::warn!(host:% = host; "a certificate that was signed after the backup is known again");
    Ok(())
}

/// Records a certificate.
pub(super) fn insert(
    connection: &Connection,
    host: HostId,
    spki: &[u8; 32],
    issued: &Issued,
    state: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO certificates (serial, host, spki, pem, issued_ms, not_after_ms, state, root)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (
            &issued.serial,
            host.0.as_bytes(),
            spki,
            &issued.pem,
            now_ms,
            issued.not_after_ms,
            state,
            issued.root,
        ),
    )?;
    Ok(())
}
