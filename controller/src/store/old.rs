//! What is old enough to go: events and output of deployments that are over, but never a host's latest.

use super::StoreError;
use chatalot_protocol::names::DeploymentId;
use rusqlite::Connection;

/// How much goes at a time, so that nobody waits for it.
const MOST: u32 = 2000;
const LATEST: &str =
    "SELECT id FROM deployments l WHERE l.host = d.host ORDER BY l.created_ms DESC, l.id DESC LIMIT 1";

/// Removes events from before a moment, some of them; how many. Which events are stored is known without them.
pub fn forget_events(connection: &Connection, before_ms: i64) -> Result<usize, StoreError> {
    let sql = format!(
        "DELETE FROM events WHERE position IN (
            SELECT e.position FROM events e LEFT JOIN deployments d ON d.id = e.deployment
            WHERE e.received_ms < ?1 AND (e.deployment IS NULL OR (d.finished AND d.id != ({LATEST})))
            ORDER BY e.position LIMIT {MOST})"
    );
    let gone = connection.prepare_cached(&sql)?.execute([before_ms])?;
    connection
        .prepare_cached(
            "DELETE FROM approvals WHERE state NOT IN ('pending', 'approved') AND expires_ms < ?1",
        )?
        .execute([before_ms])?;
    Ok(gone)
}

/// Which of these deployments have output that may go: of nobody, or over for long.
pub fn forgettable(
    connection: &Connection,
    ids: &[DeploymentId],
    before_ms: i64,
) -> Result<Vec<DeploymentId>, StoreError> {
    let sql = format!(
        "SELECT 1 FROM deployments d WHERE d.id = ?1 AND (NOT d.finished OR d.created_ms >= ?2 OR d.id = ({LATEST}))"
    );
    let mut wanted = connection.prepare_cached(&sql)?;
    let mut gone = Vec::new();
    for id in ids {
        if !wanted.exists((id.0.as_bytes(), before_ms))? {
            gone.push(*id);
        }
    }
    Ok(gone)
}
