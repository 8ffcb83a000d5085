//! A ledger without a thread of its own, for simulations: a closure runs where it is handed over, so that the same
//! seed always gives the same order, and the plug can be pulled as a crash does.

use super::{Ledger, LedgerError, Seat, Task, outbox, schema, together};
use rusqlite::Connection;
use std::future::pending;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long the disk takes, before a commit and after it.
pub type Pace = Arc<dyn Fn() -> Duration + Send + Sync>;

type Open = (Connection, watch::Sender<u64>);

#[derive(Clone)]
pub(super) struct Here {
    open: Arc<Mutex<Option<Open>>>,
    pace: Pace,
}

impl Here {
    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn hand(&self, task: Task) -> Result<(), LedgerError> {
        tokio::time::sleep((self.pace)()).await;
        let done = self
            .open()
            .as_ref()
            .map(|(connection, tell)| together(connection, task, || None, tell));
        // Whoever belongs to a life that has been cut off never hears of anything again.
        let Some(done) = done else { return pending().await };
        tokio::time::sleep((self.pace)()).await;
        if self.open().is_none() {
            return pending().await;
        }
        done
    }
}

impl Ledger {
    /// Opens or makes the file; closures run in the caller's task.
    pub fn open_here(path: &Path, pace: Pace) -> Result<Self, LedgerError> {
        let connection = schema::open(path)?;
        let (tell, latest) = watch::channel(outbox::latest(&connection)?);
        let open = Arc::new(Mutex::new(Some((connection, tell))));
        let seat = Seat::Here(Here { open, pace });
        Ok(Self { seat, latest })
    }

    /// Cuts this life off: nothing is written any more, and nothing is answered.
    pub fn unplug(&self) {
        if let Seat::Here(here) = &self.seat {
            *here.open() = None;
        }
    }
}
