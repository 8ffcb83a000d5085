//! What survives a restart. All SQL is in this module.
//!
//! One thread writes, another reads. The writer takes everything that is waiting into one transaction, each piece
//! of work under a savepoint of its own, and answers after the commit: one sync, however many wait for it.

pub mod access;
pub mod alarms;
pub mod approvals;
pub mod approved;
pub mod audit;
pub mod deployments;
pub mod events;
pub mod generations;
pub mod hosts;
pub mod lifecycle;
pub mod old;
pub mod restored;
pub mod rotation;
pub mod tokens;

use crate::hands::{Hands, Pace};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// The database, in the state folder.
pub const DATABASE: &str = "controller.db";

/// Each entry lifts the schema by one version, in a transaction.
const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("granted.sql"),
    include_str!("anchors.sql"),
    include_str!("access.sql"),
    include_str!("work.sql"),
    include_str!("generations.sql"),
    include_str!("rotation.sql"),
    include_str!("approve.sql"),
    include_str!("unfinished.sql"),
];
/// How much work may wait; whoever comes then waits for room.
const WAITING: usize = 1024;
/// How much work shares a transaction at most.
const TOGETHER: usize = 256;
/// How long the log beside the database may get before it is worked off.
const LONGEST_WAL: u32 = 4 << 20;

/// What went wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be opened or set up.
    #[error("cannot open the database `{}`", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// Its file cannot be made.
    #[error("cannot make the database's file")]
    Create(#[source] std::io::Error),
    /// Its file was damaged.
    #[error("the database `{}` is damaged ({found}): restore it with `chatalotctl restore`", path.display())]
    Corrupt {
        /// Which.
        path: PathBuf,
        /// What was found.
        found: String,
    },
    /// A newer build has written it.
    #[error("the database has schema {found}, this build knows up to {known}: install the newer chatalotctl")]
    Newer {
        /// What it has.
        found: usize,
        /// What we know.
        known: usize,
    },
    /// A statement failed.
    #[error("the database refuses a statement")]
    Sql(#[from] rusqlite::Error),
    /// A stored value cannot be read back.
    #[error("a stored value cannot be read back")]
    Value(#[from] serde_json::Error),
    /// A stored value is not what it should be.
    #[error("a stored {0} is damaged")]
    Damaged(&'static str),
    /// The transaction could not be committed, or the store has stopped.
    #[error("nothing was stored")]
    NotStored,
    /// A thread could not be started.
    #[error("cannot start the store's threads")]
    Thread(#[source] std::io::Error),
}

type Answer = Box<dyn FnOnce() + Send>;
type Work = Box<dyn FnOnce(&Connection) -> Answer + Send>;

/// The handle to the store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    writer: Seat,
    reader: Seat,
}

/// Where work is done.
#[derive(Clone)]
enum Seat {
    Thread(mpsc::Sender<Work>),
    /// In a simulation: where it is handed over.
    Here(Arc<Mutex<Connection>>, Pace),
}

impl Store {
    /// Opens the database and brings it up to date.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, &Hands::default())
    }

    /// The same, worked on as it is told.
    pub fn open_with(path: &Path, hands: &Hands) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Open {
            path: path.to_owned(),
            source,
        };
        create(path).map_err(StoreError::Create)?;
        let mut connection = Connection::open(path).map_err(failed)?;
        prepare(&connection)
            .and_then(|()| keep_statements(&connection))
            .map_err(failed)?;
        verify(&connection, path)?;
        migrate(&mut connection)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let readable = Connection::open_with_flags(path, flags).map_err(failed)?;
        keep_statements(&readable).map_err(failed)?;
        if let Some(pace) = hands.pace() {
            let seat = |connection| Seat::Here(Arc::new(Mutex::new(connection)), pace.clone());
            return Ok(Self {
                writer: seat(connection),
                reader: seat(readable),
            });
        }
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        let writer = Seat::Thread(thread("store-write", move |work| {
            write_all(&connection, Path::new(&wal), work);
        })?);
        let reader = Seat::Thread(thread("store-read", move |work| read_all(&readable, work))?);
        Ok(Self { writer, reader })
    }

    /// Does a piece of work that writes; returns after the commit, or having changed nothing.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        send(&self.writer, true, |connection| savepoint(connection, work)).await
    }

    /// Does a piece of work that only reads, beside the writer.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        send(&self.reader, false, work).await
    }
}

/// What the database knows of the cluster itself.
#[derive(Debug, Clone, Copy)]
pub struct Cluster {
    /// Its id, part of every agent's identity.
    pub id: Uuid,
    /// Raised whenever the database is restored from a backup.
    pub epoch: u64,
}

impl Cluster {
    /// One that nobody knows yet.
    pub fn fresh() -> Self {
        Self {
            id: Uuid::new_v4(),
            epoch: 1,
        }
    }
}

/// Reads the cluster; `None` in a database that was just made.
pub fn cluster(connection: &Connection) -> Result<Option<Cluster>, StoreError> {
    let value = |key: &str| {
        connection
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
                row.get::<_, String>(0)
            })
            .optional()
    };
    let (id, epoch) = (value("cluster")?, value("epoch")?);
    Ok(id
        .and_then(|id| Uuid::parse_str(&id).ok())
        .zip(epoch.and_then(|epoch| epoch.parse().ok()))
        .map(|(id, epoch)| Cluster { id, epoch }))
}

/// Names the cluster, once.
pub fn found(connection: &Connection, cluster: Cluster) -> Result<(), StoreError> {
    let mut insert = connection.prepare("INSERT INTO meta (key, value) VALUES (?1, ?2)")?;
    insert.execute(("cluster", cluster.id.to_string()))?;
    insert.execute(("epoch", cluster.epoch.to_string()))?;
    Ok(())
}

/// Makes the file ours alone; what the database puts beside it takes after it.
fn create(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true).mode(0o600).open(path).map(drop)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Worked off by the writer itself, which looks at how that went.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // A log that was worked off and begins anew gets short again, or it would be worked off at each commit from then on.
    connection.pragma_update(None, "journal_size_limit", LONGEST_WAL)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))
}

/// For what is asked again and again: statements are kept, and planned once, not anew for each value.
fn keep_statements(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map(drop)
}

/// Nothing is done on the word of a damaged database.
fn verify(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found: rusqlite::Result<String> = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    let path = path.to_owned();
    match found {
        Ok(found) if found == "ok" => Ok(()),
        Ok(found) => Err(StoreError::Corrupt { path, found }),
        Err(error) => Err(StoreError::Corrupt {
            path,
            found: error.to_string(),
        }),
    }
}

/// Brings a database up to date.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let found = usize::try_from(version).unwrap_or(usize::MAX);
    let known = MIGRATIONS.len();
    let Some(missing) = MIGRATIONS.get(found..) else {
        return Err(StoreError::Newer { found, known });
    };
    for (step, sql) in missing.iter().enumerate() {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        let version = i64::try_from(found + step + 1).unwrap_or(i64::MAX);
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

fn thread(
    name: &str,
    run: impl FnOnce(mpsc::Receiver<Work>) + Send + 'static,
) -> Result<mpsc::Sender<Work>, StoreError> {
    let (sender, receiver) = mpsc::channel(WAITING);
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(1 << 20)
        .spawn(move || run(receiver))
        .map_err(StoreError::Thread)?;
    Ok(sender)
}

async fn send<T, E, F>(to: &Seat, writes: bool, work: F) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
    F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
{
    let (answer, answered) = oneshot::channel();
    let work: Work = Box::new(move |connection| {
        let result = work(connection);
        Box::new(move || drop(answer.send(result)))
    });
    match to {
        Seat::Thread(thread) => thread
            .send(work)
            .await
            .map_err(|_| E::from(StoreError::NotStored))?,
        Seat::Here(connection, pace) => {
            tokio::time::sleep(pace()).await;
            here(connection, work, writes);
            tokio::time::sleep(pace()).await;
        }
    }
    answered
        .await
        .unwrap_or_else(|_| Err(E::from(StoreError::NotStored)))
}

fn here(connection: &Mutex<Connection>, work: Work, writes: bool) {
    let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
    if writes {
        together(&connection, work, || None);
    } else {
        work(&connection)();
    }
}

fn savepoint<T, E: From<StoreError>>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let run = |sql: &str| connection.prepare_cached(sql)?.execute([]).map(drop);
    let sql = |error: rusqlite::Error| E::from(StoreError::Sql(error));
    run("SAVEPOINT work").map_err(sql)?;
    let result = work(connection);
    if result.is_err() {
        run("ROLLBACK TO work").map_err(sql)?;
    }
    run("RELEASE work").map_err(sql)?;
    result
}

fn write_all(connection: &Connection, wal: &Path, mut waiting: mpsc::Receiver<Work>) {
    while let Some(first) = waiting.blocking_recv() {
        if std::fs::metadata(wal).is_ok_and(|found| found.len() > LONGEST_WAL.into()) {
            let checkpoint = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
            if let Err(error) = checkpoint {
                beware(&error);
                log::warn!(error:% = error; "the database's log is not worked off");
            }
        }
        together(connection, first, || waiting.try_recv().ok());
    }
}

/// Commits what waits together, and answers after that.
fn together(connection: &Connection, first: Work, mut more: impl FnMut() -> Option<Work>) {
    if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
        beware(&error);
        log::error!(error:% = error; "the database cannot be written");
        return;
    }
    let mut answers = Vec::new();
    let mut next = Some(first);
    while let Some(work) = next {
        answers.push(work(connection));
        // On a full disk SQLite ends the whole transaction: what follows would not be part of it.
        if connection.is_autocommit() {
            break;
        }
        next = (answers.len() < TOGETHER).then(&mut more).flatten();
    }
    match connection.execute_batch("COMMIT") {
        Ok(()) => answers.into_iter().for_each(|answer| answer()),
        Err(error) => {
            beware(&error);
            log::error!(error:% = error; "the database cannot be written");
            // Fails only where SQLite has rolled back itself.
            let _ = connection.execute_batch("ROLLBACK");
        }
    }
}

/// Whether the disk has lost what was written: then nothing that is in memory may be believed.
fn beware(error: &rusqlite::Error) {
    use rusqlite::ffi;
    let unsynced = [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC];
    if error
        .sqlite_error()
        .is_some_and(|error| unsynced.contains(&error.extended_code))
    {
        crate::files::abort_unsynced("the database", error);
    }
}

fn read_all(connection: &Connection, mut waiting: mpsc::Receiver<Work>) {
    while let Some(work) = waiting.blocking_recv() {
        work(connection)();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f65_a_database_of_a_newer_build_is_left_alone() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("db");
        drop(Store::open(&path).unwrap());
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(
            Store::open(&path),
            Err(StoreError::Newer { found: 99, .. })
        ));
    }

    #[tokio::test]
    async fn work_that_fails_leaves_its_neighbours_in_the_transaction_alone() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open(&state.path().join("db")).unwrap();
        let insert = |key: &'static str, fail: bool| {
            store.write(move |connection| {
                connection.execute("INSERT INTO meta VALUES (?1, '')", [key])?;
                if fail { Err(StoreError::NotStored) } else { Ok(()) }
            })
        };
        let (a, b, c) = tokio::join!(insert("a", false), insert("b", true), insert("c", false));
        assert!(a.is_ok() && b.is_err() && c.is_ok());
        let count = store.read(|connection| {
            Ok::<_, StoreError>(
                connection.query_row("SELECT count(*) FROM meta", [], |row| row.get::<_, i64>(0))?,
            )
        });
        assert_eq!(count.await.unwrap(), 2);
    }
}
