//! The durable record on the host: intent before effect, outcome before report, events until acknowledged.
//!
//! One thread owns the database; everybody else hands it closures. Closures that wait together are committed
//! together, each within its own savepoint, and none is answered before its commit is on disk. Events are
//! written in the same transaction as the state that they report.
//!
//! | module | tables |
//! |---|---|
//! | [`schema`] | how the file is opened, and its migrations |
//! | [`deployments`] | `deployment`, `effect`, `memory` |
//! | [`outbox`] | `event` |
//! | [`audit`] | `audit` |

pub mod audit;
pub mod deployments;
#[cfg(any(test, feature = "fake"))]
pub mod here;
pub mod outbox;
mod schema;

use rusqlite::Connection;
use std::path::Path;
use std::sync::{Arc, mpsc};
use tokio::sync::{oneshot, watch};

/// Why the ledger did not take something.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// It cannot be opened.
    #[error("cannot open the ledger `{path}`")]
    Open {
        /// Where it is.
        path: String,
        /// Why.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// Whether there is one cannot be told.
    #[error("cannot look for the ledger `{path}`")]
    Hidden {
        /// Where it would be.
        path: String,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// It was written by a newer agent.
    #[error("the ledger has schema {found}, this agent knows up to {known}: install the newer agent again")]
    Newer {
        /// The file's schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// It was damaged.
    #[error(
        "the ledger `{path}` is damaged ({found}): move it away and start the agent again; what runs here goes on, and \
         deploying again finds it as it is"
    )]
    Damaged {
        /// Where it is.
        path: String,
        /// What was found.
        found: String,
    },
    /// A statement or its commit failed; nothing of it was stored.
    #[error("the ledger refused a change")]
    Sql(#[source] Arc<rusqlite::Error>),
    /// What is stored cannot be read as what it should be.
    #[error("the ledger holds something unreadable: {0}")]
    Unreadable(String),
    /// The disk failed under it; the agent must start anew.
    #[error("the ledger has stopped")]
    Stopped,
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(Arc::new(error))
    }
}

impl From<serde_json::Error> for LedgerError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

type Finish = Box<dyn FnOnce(Result<(), LedgerError>) + Send>;
type Task = Box<dyn FnOnce(&Connection) -> Finish + Send>;

/// How many closures share a commit at most, and how many may wait.
const BATCH: usize = 256;

/// A handle on the ledger. When its queue is full, writers wait their turn.
#[derive(Clone)]
pub struct Ledger {
    seat: Seat,
    latest: watch::Receiver<u64>,
}

/// Where the closures run.
#[derive(Clone)]
enum Seat {
    Thread(mpsc::SyncSender<Task>),
    #[cfg(any(test, feature = "fake"))]
    Here(here::Here),
}

impl Ledger {
    /// Opens or makes the file and starts its thread.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        Self::start(schema::open(path)?)
    }

    /// Opens what another process has written, to read it only; an empty ledger if there is none.
    pub fn open_to_read(path: &Path) -> Result<Self, LedgerError> {
        let there = path.try_exists().map_err(|error| LedgerError::Hidden {
            path: path.display().to_string(),
            source: Arc::new(error),
        })?;
        if there {
            Self::start(schema::open_to_read(path)?)
        } else {
            Self::open(Path::new(":memory:"))
        }
    }

    fn start(connection: Connection) -> Result<Self, LedgerError> {
        let (tasks, queue) = mpsc::sync_channel::<Task>(BATCH);
        let (tell, latest) = watch::channel(outbox::latest(&connection)?);
        let started = std::thread::Builder::new()
            .name("ledger".to_owned())
            .stack_size(256 << 10)
            .spawn(move || serve(&connection, &queue, &tell));
        started.map_err(|_| LedgerError::Stopped)?;
        let seat = Seat::Thread(tasks);
        Ok(Self { seat, latest })
    }

    /// Runs a closure in a transaction and answers once it is on disk. Cancel-safe: a closure that was handed
    /// over runs whether or not its answer is awaited.
    pub async fn with<T, F>(&self, work: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task: Task = Box::new(move |connection| {
            let done = savepoint(connection, work);
            Box::new(move |committed| {
                let _ = reply.send(committed.and(done));
            })
        });
        self.seat.hand(task).await?;
        answer.await.map_err(|_| LedgerError::Stopped)?
    }

    /// The last event's number, as it changes.
    pub fn latest(&self) -> watch::Receiver<u64> {
        self.latest.clone()
    }
}

impl Seat {
    async fn hand(&self, task: Task) -> Result<(), LedgerError> {
        let tasks = match self {
            Self::Thread(tasks) => tasks,
            #[cfg(any(test, feature = "fake"))]
            Self::Here(here) => return here.hand(task).await,
        };
        let mut task = Some(task);
        while let Some(waiting) = task.take() {
            match tasks.try_send(waiting) {
                Ok(()) => {}
                Err(mpsc::TrySendError::Full(back)) => {
                    task = Some(back);
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
                Err(mpsc::TrySendError::Disconnected(_)) => return Err(LedgerError::Stopped),
            }
        }
        Ok(())
    }
}

fn savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    connection.execute_batch("SAVEPOINT task")?;
    let done = work(connection);
    let end = if done.is_ok() {
        "RELEASE task"
    } else {
        "ROLLBACK TO task; RELEASE task"
    };
    connection.execute_batch(end)?;
    done
}

/// The thread: until the last handle is gone or the disk has failed.
fn serve(connection: &Connection, queue: &mpsc::Receiver<Task>, tell: &watch::Sender<u64>) {
    while let Ok(first) = queue.recv() {
        if together(connection, first, || queue.try_recv().ok(), tell).is_err() {
            return;
        }
    }
}

/// Commits what waits together and answers; fails when the disk has failed.
fn together(
    connection: &Connection,
    first: Task,
    mut next: impl FnMut() -> Option<Task>,
    tell: &watch::Sender<u64>,
) -> Result<(), LedgerError> {
    let mut finishes = Vec::new();
    let begun = connection.execute_batch("BEGIN").map_err(LedgerError::from);
    if begun.is_ok() {
        finishes.push(first(connection));
        while finishes.len() < BATCH
            && let Some(task) = next()
        {
            finishes.push(task(connection));
        }
    } else {
        drop(first);
    }
    let ended = begun.and_then(|()| connection.execute_batch("COMMIT").map_err(LedgerError::from));
    if ended.is_err() && !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    if let Ok(latest) = outbox::latest(connection) {
        tell.send_if_modified(|last| std::mem::replace(last, latest) != latest);
    }
    for finish in finishes {
        finish(ended.clone());
    }
    match ended {
        Err(error) if is_disk_failure(&error) => {
            log::error!(error = crate::chain(&error); "the disk under the ledger has failed");
            Err(error)
        }
        _ => Ok(()),
    }
}

/// An input/output error is reported once by the kernel and must never be retried on the same file. A write that was
/// refused is none: nothing of it is anywhere, as on a full disk, and a used up quota is told in no other way.
fn is_disk_failure(error: &LedgerError) -> bool {
    let LedgerError::Sql(source) = error else {
        return false;
    };
    let refused = source
        .sqlite_error()
        .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_WRITE);
    !refused
        && matches!(
            source.sqlite_error_code(),
            Some(rusqlite::ErrorCode::SystemIoFailure | rusqlite::ErrorCode::DatabaseCorrupt)
        )
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
