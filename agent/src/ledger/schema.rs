//! How the ledger's file is opened, and its migrations.

use super::LedgerError;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;

/// Each entry brings the schema one step on; none is ever edited.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE deployment (
        id TEXT PRIMARY KEY,
        plan TEXT NOT NULL,
        site TEXT NOT NULL,
        requested_by TEXT NOT NULL,
        state TEXT NOT NULL,
        accepted_ms INTEGER NOT NULL,
        finished_ms INTEGER,
        result TEXT
    ) STRICT;
    CREATE UNIQUE INDEX one_deployment_runs ON deployment (state) WHERE state = 'running';
    CREATE TABLE effect (
        deployment TEXT NOT NULL REFERENCES deployment (id),
        stream INTEGER NOT NULL,
        step TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        boot_id TEXT NOT NULL,
        intent_ms INTEGER NOT NULL,
        outcome TEXT,
        output_bytes INTEGER,
        logged INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (deployment, stream)
    ) STRICT;
    CREATE TABLE memory (
        domain TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (domain, key)
    ) STRICT;
    CREATE TABLE event (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms INTEGER NOT NULL,
        deployment TEXT,
        what TEXT NOT NULL
    ) STRICT;
    CREATE INDEX event_by_deployment ON event (deployment, seq);
",
    "
    CREATE TABLE audit (n INTEGER PRIMARY KEY, body TEXT NOT NULL, hash TEXT NOT NULL);
    CREATE TABLE approval (
        deployment TEXT PRIMARY KEY REFERENCES deployment (id), plan TEXT NOT NULL
    ) STRICT;
",
    "ALTER TABLE deployment ADD COLUMN work TEXT NOT NULL DEFAULT 'deploy';",
];

/// Opens or makes the file, safe against power loss, at today's schema.
pub(super) fn open(path: &Path) -> Result<Connection, LedgerError> {
    let failed = |source| LedgerError::Open {
        path: path.display().to_string(),
        source: Arc::new(source),
    };
    let mut connection = Connection::open(path).map_err(failed)?;
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA trusted_schema = OFF; PRAGMA busy_timeout = 5000; PRAGMA cache_size = -256;
             PRAGMA wal_autocheckpoint = 200;",
        )
        .map_err(failed)?;
    verify(&connection, path)?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// Nothing is done on the word of a damaged ledger.
fn verify(connection: &Connection, path: &Path) -> Result<(), LedgerError> {
    let damaged = |found: String| LedgerError::Damaged {
        path: path.display().to_string(),
        found,
    };
    let found: rusqlite::Result<String> = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    match found {
        Ok(found) if found == "ok" => Ok(()),
        Ok(found) => Err(damaged(found)),
        Err(error) => Err(damaged(error.to_string())),
    }
}

/// Opens a file that another process may be writing to.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, LedgerError> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(|source| LedgerError::Open {
        path: path.display().to_string(),
        source: Arc::new(source),
    })
}

fn migrate(connection: &mut Connection) -> Result<(), LedgerError> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(LedgerError::Newer { found, known });
    }
    if found == known {
        // Nothing to write, so nothing to sync: the session with the controller waits for this at every start.
        return Ok(());
    }
    let done = usize::try_from(found).unwrap_or(0);
    let transaction = connection.transaction()?;
    for migration in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    let epoch = uuid::Uuid::new_v4().to_string();
    transaction.execute("INSERT OR IGNORE INTO meta VALUES ('stream_epoch', ?1)", [epoch])?;
    let key = chatalot_protocol::enrol::hex(
        &[uuid::Uuid::new_v4(), uuid::Uuid::new_v4()]
            .map(uuid::Uuid::into_bytes)
            .concat(),
    );
    transaction.execute("INSERT OR IGNORE INTO meta VALUES ('tag_key', ?1)", [key])?;
    transaction.commit()?;
    Ok(())
}
