//! A sign of life that one task gives and another looks for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// When somebody was last seen at work.
#[derive(Debug)]
pub struct Pulse {
    start: Instant,
    last_ms: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            last_ms: AtomicU64::new(0),
        }
    }
}

impl Pulse {
    /// Says: I am at work.
    pub fn beat(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now, Ordering::Relaxed);
    }

    /// How long ago that was said last.
    pub fn age(&self) -> Duration {
        let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
        self.start.elapsed().saturating_sub(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_makes_the_pulse_young_again() {
        let old = Instant::now().checked_sub(Duration::from_mins(1)).unwrap();
        let pulse = Pulse {
            start: old,
            last_ms: AtomicU64::new(0),
        };
        assert!(pulse.age() >= Duration::from_mins(1));
        pulse.beat();
        assert!(pulse.age() < Duration::from_secs(5));
    }
}
