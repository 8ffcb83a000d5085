//! How far each host's audit was seen, and what a person must see about a host.

use super::StoreError;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::audit::Anchor;
use chatalot_protocol::names::HostId;
use rusqlite::{Connection, OptionalExtension};

/// How far a host's audit was seen, and verified, when it was last heard of.
pub fn anchor(connection: &Connection, host: HostId) -> Result<Anchor, StoreError> {
    let text: Option<String> = connection
        .prepare_cached("SELECT anchor FROM anchors WHERE host = ?1")?
        .query_row([host.0.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(Anchor::START))
}

/// Notes how far a host's audit was verified.
pub fn keep_anchor(
    connection: &Connection,
    host: HostId,
    anchor: Anchor,
    now_ms: i64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO anchors VALUES (?1, ?2, ?3)
             ON CONFLICT (host) DO UPDATE SET anchor = excluded.anchor, seen_ms = excluded.seen_ms",
        )?
        .execute((host.0.as_bytes(), anchor.to_string(), now_ms))?;
    Ok(())
}

/// Raises an alarm; one that is raised already stays as it is. Whether it is news.
pub fn raise(
    connection: &Connection,
    host: HostId,
    by_host: bool,
    advice: &Advice,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let text = serde_json::to_string(advice)?;
    let raised = connection
        .prepare_cached("INSERT INTO alarms VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING")?
        .execute((host.0.as_bytes(), &advice.code, by_host, text, now_ms))?;
    Ok(raised == 1)
}

/// Ends an alarm that the host itself has raised.
pub fn end(connection: &Connection, host: HostId, code: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM alarms WHERE host = ?1 AND by_host = 1 AND code = ?2")?
        .execute((host.0.as_bytes(), code))?;
    Ok(())
}

/// Forgets what was seen of a host in whose name somebody joins anew: root there has run a line of the operator's.
pub fn forget(connection: &Connection, host: HostId) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM anchors WHERE host = ?1",
        "DELETE FROM alarms WHERE host = ?1",
    ] {
        connection.execute(sql, [host.0.as_bytes()])?;
    }
    Ok(())
}
