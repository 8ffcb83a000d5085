//! The audit: appended to, never changed, each record bound to all before it by `chatalot_protocol::audit`.

use super::StoreError;
use chatalot_protocol::audit::{Anchor, Entry, Record};
use rusqlite::{Connection, OptionalExtension, Row};

/// How far the chain has got.
pub fn anchor(connection: &Connection) -> Result<Anchor, StoreError> {
    let last = connection
        .prepare_cached("SELECT n, body, hash FROM audit ORDER BY n DESC LIMIT 1")?
        .query_row([], record)
        .optional()?;
    let Some(last) = last else {
        return Ok(Anchor::START);
    };
    let hash = last.hash.parse().map_err(|_| StoreError::Damaged("audit"))?;
    Ok(Anchor { n: last.n, hash })
}

/// Appends a record.
pub fn append(connection: &Connection, entry: &Entry) -> Result<Anchor, StoreError> {
    let body = serde_json::to_string(entry)?;
    let next = anchor(connection)?.after(&body);
    connection
        .prepare_cached("INSERT INTO audit (n, body, hash) VALUES (?1, ?2, ?3)")?
        .execute((next.n.cast_signed(), &body, next.hash.to_string()))?;
    Ok(next)
}

/// Records after one of them, in order.
pub fn after(connection: &Connection, n: u64, most: usize) -> Result<Vec<Record>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT n, body, hash FROM audit WHERE n > ?1 ORDER BY n LIMIT ?2")?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = statement.query_map((n.cast_signed(), most), record)?;
    rows.map(|row| row.map_err(StoreError::Sql)).collect()
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        n: row.get::<_, i64>(0)?.cast_unsigned(),
        body: row.get(1)?,
        hash: row.get(2)?,
    })
}
