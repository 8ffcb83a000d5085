//! Who does what blocks: threads of their own; in a simulation whoever asks, so that the order is always the same.

use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinError;

/// How long a simulated disk takes, before something is done and after it.
pub type Pace = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Does what blocks.
#[derive(Clone, Default)]
pub struct Hands(Option<Pace>);

impl Hands {
    /// Does everything where it is asked for, as fast as a simulated disk.
    pub fn here(pace: Pace) -> Self {
        Self(Some(pace))
    }

    pub(crate) fn pace(&self) -> Option<&Pace> {
        self.0.as_ref()
    }

    /// Does something that blocks, aside.
    pub async fn aside<T, F>(&self, work: F) -> Result<T, JoinError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let Some(pace) = &self.0 else {
            return tokio::task::spawn_blocking(work).await;
        };
        tokio::time::sleep(pace()).await;
        let done = work();
        tokio::time::sleep(pace()).await;
        Ok(done)
    }
}
