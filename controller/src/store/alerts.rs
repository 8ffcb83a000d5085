//! What somebody has to look at, by host.

use super::StoreError;
use chatalot_protocol::names::HostId;
use rusqlite::Connection;

/// How long the same alert of a host is not raised again.
const QUIET_MS: i64 = 24 * 3_600_000;
/// How many are kept of a host.
const KEPT: u32 = 50;

/// Raises an alert, unless the same one was raised within a day; whether it was raised.
pub fn raise(
    connection: &Connection,
    host: HostId,
    code: &str,
    saw: &str,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let raised = connection.execute(
        "INSERT INTO alerts (host, at_ms, code, saw) SELECT ?1, ?2, ?3, ?4
         WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE host = ?1 AND code = ?3 AND at_ms > ?2 - ?5)",
        (host.0.as_bytes(), now_ms, code, saw, QUIET_MS),
    )? == 1;
    connection.execute(
        "DELETE FROM alerts WHERE host = ?1 AND id NOT IN
         (SELECT id FROM alerts WHERE host = ?1 ORDER BY id DESC LIMIT ?2)",
        (host.0.as_bytes(), KEPT),
    )?;
    if raised {
        log::warn!(host:% = host, code, saw; "an alert");
    }
    Ok(raised)
}
