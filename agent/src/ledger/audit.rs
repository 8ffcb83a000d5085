//! Who asked this host for what, what was said to it, and how it ended: hash-chained, and written in the transaction
//! that changes the state. See [`chatalot_protocol::audit`].

use super::LedgerError;
use chatalot_protocol::audit::{Anchor, Broken, ChainHash, Entry, Record, Verifier};
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::work::Work;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::fmt;

/// How many records are read at once.
const MOST: u32 = 200;
/// The longest text of somebody else's in a record, in characters.
const LONGEST: usize = 500;

/// Where somebody who asks for something has come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// None: the agent goes on with what was approved.
    Itself,
    /// The session with the controller, which says itself who asked there.
    Controller,
    /// The local socket, as the kernel names its caller.
    Local {
        /// Its user id.
        uid: u32,
    },
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself => f.write_str("the agent itself"),
            Self::Controller => f.write_str("controller"),
            Self::Local { uid } => write!(f, "local socket, uid {uid}"),
        }
    }
}

/// A deployment that somebody asked for.
pub fn asked(action: &str, by: &str, door: Door, id: DeploymentId) -> Entry {
    Entry {
        action: action.to_owned(),
        by: by.to_owned(),
        via: door.to_string(),
        subject: id.to_string(),
        verdict: "allowed".to_owned(),
        ..Entry::default()
    }
}

/// The same, by what is to be done with the site.
pub fn working(work: Work, by: &str, door: Door, id: DeploymentId) -> Entry {
    asked(work.word(), by, door, id)
}

/// Adds a record; call it in the transaction that changes the state.
pub fn append(connection: &Connection, at_ms: i64, entry: Entry) -> Result<(), LedgerError> {
    let entry = Entry {
        at_ms,
        by: bounded(&entry.by),
        detail: bounded(&entry.detail),
        ..entry
    };
    let body = serde_json::to_string(&entry)?;
    let next = anchor(connection)?.after(&body);
    connection
        .prepare_cached("INSERT INTO audit (n, body, hash) VALUES (?1, ?2, ?3)")?
        .execute(params![signed(next.n), body, next.hash.to_string()])?;
    Ok(())
}

/// How far the audit has got, as it stands in the file. One whose last hash was destroyed goes on from nothing: that
/// shows when it is verified, and must not keep anything from being recorded.
pub fn anchor(connection: &Connection) -> Result<Anchor, LedgerError> {
    let last = connection
        .prepare_cached("SELECT n, hash FROM audit ORDER BY n DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    Ok(last.map_or(Anchor::START, |(n, hash)| Anchor {
        n: n.unsigned_abs(),
        hash: hash.parse::<ChainHash>().unwrap_or(Anchor::START.hash),
    }))
}

/// The next records after one, in order.
pub fn after(connection: &Connection, n: u64) -> Result<Vec<Record>, LedgerError> {
    let mut statement =
        connection.prepare_cached("SELECT n, body, hash FROM audit WHERE n > ?1 ORDER BY n LIMIT ?2")?;
    let rows = statement.query_map(params![signed(n), MOST], record)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Verifies the whole audit against how far it was seen to have got.
pub fn verify(connection: &Connection, seen: Option<Anchor>) -> Result<Result<Anchor, Broken>, LedgerError> {
    let mut verifier = Verifier::new(seen);
    let mut statement = connection.prepare("SELECT n, body, hash FROM audit ORDER BY n")?;
    for found in statement.query_map([], record)? {
        if let Err(broken) = verifier.take(&found?) {
            return Ok(Err(broken));
        }
    }
    Ok(verifier.end())
}

/// What is no text any more was edited, and its hash will say so.
fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let text = |at: usize| {
        Ok::<_, rusqlite::Error>(
            String::from_utf8_lossy(row.get_ref(at)?.as_bytes().unwrap_or_default()).into_owned(),
        )
    };
    Ok(Record {
        n: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
        body: text(1)?,
        hash: text(2)?,
    })
}

/// What somebody else has said, not endless.
fn bounded(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;

    async fn with_records(count: i64) -> Ledger {
        let ledger = Ledger::open(std::path::Path::new(":memory:")).unwrap();
        let work = move |db: &Connection| {
            (1..=count).try_for_each(|at| {
                let id = DeploymentId::fresh();
                append(db, at, asked("cancel", "alice", Door::Local { uid: 0 }, id))
            })
        };
        ledger.with(work).await.unwrap();
        ledger
    }

    async fn after_edit(sql: &'static str, seen: Option<Anchor>) -> Result<Anchor, Broken> {
        let ledger = with_records(5).await;
        ledger.with(move |db| Ok(db.execute_batch(sql)?)).await.unwrap();
        ledger.with(move |db| verify(db, seen)).await.unwrap()
    }

    #[tokio::test]
    async fn f68_whatever_is_done_to_the_audit_in_the_file_is_found_and_named() {
        let seen = after_edit("", None).await.unwrap();
        assert_eq!(seen.n, 5);
        for (sql, broken) in [
            (
                "UPDATE audit SET body = replace(body, 'alice', 'mallo') WHERE n = 3",
                Broken::Edited { n: 3 },
            ),
            (
                "UPDATE audit SET body = x'ff00' WHERE n = 2",
                Broken::Edited { n: 2 },
            ),
            ("UPDATE audit SET hash = 'x' WHERE n = 4", Broken::Edited { n: 4 }),
            ("DELETE FROM audit WHERE n = 2", Broken::Removed { n: 2 }),
            ("DELETE FROM audit WHERE n = 1", Broken::Removed { n: 1 }),
            ("UPDATE audit SET n = -1 WHERE n = 1", Broken::Twice { n: 0 }),
            ("UPDATE audit SET n = 99 WHERE n = 3", Broken::Removed { n: 3 }),
        ] {
            assert_eq!(after_edit(sql, None).await, Err(broken), "{sql}");
        }
    }

    #[tokio::test]
    async fn f68_a_cut_end_is_found_by_whoever_has_seen_it_and_recording_goes_on() {
        let ledger = with_records(5).await;
        let seen = ledger.with(anchor).await.unwrap();
        let cut = ledger.with(move |db| {
            db.execute_batch("DELETE FROM audit WHERE n > 3")?;
            verify(db, Some(seen))
        });
        assert_eq!(cut.await.unwrap(), Err(Broken::Cut { n: 4, last: 5 }));
        let forked = ledger.with(move |db| {
            for at in 4..=6 {
                append(
                    db,
                    at,
                    asked("cancel", "mallory", Door::Controller, DeploymentId::fresh()),
                )?;
            }
            assert!(verify(db, None)?.is_ok());
            verify(db, Some(seen))
        });
        assert_eq!(forked.await.unwrap(), Err(Broken::Forked { n: 5 }));
        let destroyed = ledger.with(|db| {
            db.execute_batch("UPDATE audit SET hash = 'zz' WHERE n = 6")?;
            append(
                db,
                7,
                asked("cancel", "alice", Door::Controller, DeploymentId::fresh()),
            )?;
            verify(db, None)
        });
        assert_eq!(destroyed.await.unwrap(), Err(Broken::Edited { n: 6 }));
    }
}
