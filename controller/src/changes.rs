//! "Something has changed": whoever waits then reads the store or the files, from where he is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;
use uuid::Uuid;

/// Who waits for changes of what: of a host or a deployment, by its id.
#[derive(Default)]
pub struct Changes(Mutex<HashMap<Uuid, watch::Sender<()>>>);

impl Changes {
    /// Waits for changes from now on. A change before the next look is not missed.
    pub fn of(&self, id: Uuid) -> watch::Receiver<()> {
        let mut waited_for = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waited_for.retain(|_, sender| sender.receiver_count() > 0);
        waited_for
            .entry(id)
            .or_insert_with(|| watch::channel(()).0)
            .subscribe()
    }

    /// Wakes whoever waits.
    pub fn touch(&self, id: Uuid) {
        let waited_for = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = waited_for.get(&id) {
            sender.send_replace(());
        }
    }
}
