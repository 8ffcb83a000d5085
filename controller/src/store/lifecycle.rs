//! What an operator does with a host that has joined: out, back in, another name. Its id is never given to another.

use super::{StoreError, alarms, approved, deployments};
use chatalot_protocol::names::{DeploymentId, HostId, HostName};
use rusqlite::{Connection, ErrorCode};

/// Puts a host out: no session, no token, no approval, no queued job of it is worth anything from then on. One that
/// has not joined stays invited, with no way to join. The deployments that this ends.
pub fn revoke(connection: &Connection, host: HostId) -> Result<Vec<DeploymentId>, StoreError> {
    let id = host.0.as_bytes();
    approved::void(connection, host)?;
    connection.execute(
        "UPDATE hosts SET state = 'revoked', readmit_until_ms = NULL WHERE id = ?1 AND state = 'active'",
        [id],
    )?;
    deployments::revoke(connection, host)
}

/// Lets a host that is kept out come back with its key, once, until then, and ends the alarms about its identity;
/// whether there was anything to do.
pub fn readmit(
    connection: &Connection,
    host: HostId,
    now_ms: i64,
    until_ms: i64,
) -> Result<bool, StoreError> {
    let readmitted = connection.execute(
        "UPDATE hosts SET readmit_until_ms = ?3 WHERE id = ?1 AND joined_ms IS NOT NULL
         AND (state = 'revoked' OR locked_ms IS NOT NULL OR NOT EXISTS (SELECT 1 FROM certificates
             WHERE host = ?1 AND state IN ('current', 'pending') AND not_after_ms > ?2))",
        (host.0.as_bytes(), now_ms, until_ms),
    )?;
    Ok(alarms::settle_astray(connection, host)? || readmitted == 1)
}

/// Gives a host another name; whether it was free.
pub fn rename(connection: &Connection, host: HostId, to: &HostName) -> Result<bool, StoreError> {
    let renamed = connection.execute(
        "UPDATE hosts SET name = ?2 WHERE id = ?1",
        (host.0.as_bytes(), to.as_str()),
    );
    match renamed {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Ok(false),
        renamed => Ok(renamed? == 1),
    }
}
