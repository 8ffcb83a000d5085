//! What happened, line by line: the same for the same seed.

use crate::chance;
use std::sync::{Arc, Mutex, PoisonError};

/// The record of one simulation.
#[derive(Clone, Default)]
pub(crate) struct Trace(Arc<Mutex<Vec<String>>>);

impl Trace {
    pub(crate) fn say(&self, what: &str) {
        let at = chance::elapsed().as_millis();
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(format!("{at:>8} {what}"));
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
