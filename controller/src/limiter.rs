//! How often one address may try: to join, or to be let in with a token.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const WINDOW: Duration = Duration::from_mins(1);
const TRIES: u32 = 20;
/// How many addresses are remembered; a flood from more is refused as one.
const ADDRESSES: usize = 10_000;

/// Counts tries in windows of a minute.
#[derive(Default)]
pub struct Limiter(Mutex<HashMap<IpAddr, (Instant, u32)>>);

impl Limiter {
    /// Whether one more try is let through; it counts.
    pub fn lets(&self, from: IpAddr) -> bool {
        self.count(from) <= TRIES
    }

    /// Whether no more tries are let through now.
    pub fn is_spent(&self, from: IpAddr) -> bool {
        let tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match tries.get(&network(from)) {
            Some((since, count)) => since.elapsed() < WINDOW && *count >= TRIES,
            None => tries.len() >= ADDRESSES && tries.values().all(|(since, _)| since.elapsed() < WINDOW),
        }
    }

    /// Counts one more try, and says how many that makes.
    pub fn count(&self, from: IpAddr) -> u32 {
        let (now, from) = (Instant::now(), network(from));
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.len() >= ADDRESSES {
            tries.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        }
        if tries.len() >= ADDRESSES && !tries.contains_key(&from) {
            return u32::MAX;
        }
        let (since, count) = tries.entry(from).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count
    }

    /// Whether one more stranger is worth a line in a record that is kept for ever: as many as one address has tries.
    pub fn lets_strangers(&self) -> bool {
        self.lets(IpAddr::V6(Ipv6Addr::UNSPECIFIED))
    }
}

/// One subscriber has a whole /64.
pub fn network(from: IpAddr) -> IpAddr {
    within(from, 64)
}

/// Whoever wants it has a whole /48.
pub fn site(from: IpAddr) -> IpAddr {
    within(from, 48)
}

fn within(from: IpAddr, bits: u32) -> IpAddr {
    match from {
        IpAddr::V4(_) => from,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (128 - bits)))),
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

    #[tokio::test(start_paused = true)]
    async fn twenty_failures_shut_an_address_out_for_the_rest_of_the_minute() {
        let limiter = Limiter::default();
        let (one, neighbour) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
        for _ in 0..20 {
            assert!(!limiter.is_spent(one));
            limiter.count(one);
        }
        assert!(limiter.is_spent(one) && limiter.is_spent(neighbour));
        assert!(!limiter.is_spent("2001:db8:1::1".parse().unwrap()));
        tokio::time::advance(WINDOW).await;
        assert!(!limiter.is_spent(one));
    }
}
