//! How often one address may try to join.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const WINDOW: Duration = Duration::from_mins(1);
const TRIES: u32 = 20;
/// How many addresses are remembered; a flood from more is refused as one.
const ADDRESSES: usize = 10_000;

/// Counts tries in windows of a minute.
#[derive(Default)]
pub(super) struct Limiter(Mutex<HashMap<IpAddr, (Instant, u32)>>);

impl Limiter {
    /// Whether one more try is let through.
    pub(super) fn lets(&self, from: IpAddr) -> bool {
        let now = Instant::now();
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.len() >= ADDRESSES {
            tries.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        }
        if tries.len() >= ADDRESSES && !tries.contains_key(&from) {
            return false;
        }
        let (since, count) = tries.entry(from).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= TRIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn f05_an_address_has_twenty_tries_a_minute() {
        let limiter = Limiter::default();
        let (one, other) = ("203.0.113.1".parse().unwrap(), "203.0.113.2".parse().unwrap());
        assert!((0..20).all(|_| limiter.lets(one)));
        assert!(!limiter.lets(one) && limiter.lets(other));
        tokio::time::advance(WINDOW).await;
        assert!(limiter.lets(one));
    }
}
