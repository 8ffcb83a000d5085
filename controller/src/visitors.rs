//! How many people and programs are served over HTTPS at once: so many in all, and of these so many from one network.

use crate::limiter::network;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// How many may be served at once.
const ALL: usize = 256;
/// How many of them from one network.
const FROM_ONE: usize = 32;

/// Those who are served.
#[derive(Default)]
pub(crate) struct Visitors(Mutex<HashMap<IpAddr, usize>>);

/// One of them, until it is dropped.
pub(crate) struct Visit {
    visitors: Arc<Visitors>,
    from: IpAddr,
}

impl Visitors {
    /// Lets somebody in, where there is room.
    pub(crate) fn enter(self: &Arc<Self>, from: IpAddr) -> Option<Visit> {
        let from = network(from);
        let mut there = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let near = there.get(&from).copied().unwrap_or_default();
        if near >= FROM_ONE || there.values().sum::<usize>() >= ALL {
            return None;
        }
        there.insert(from, near + 1);
        Some(Visit {
            visitors: Arc::clone(self),
            from,
        })
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut there = self.visitors.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(near) = there.get_mut(&self.from) {
            *near -= 1;
            if *near == 0 {
                there.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f26_one_network_takes_no_more_than_its_share_of_the_places_and_gives_them_back() {
        let visitors = Arc::new(Visitors::default());
        let (one, other) = (IpAddr::from([203, 0, 113, 1]), IpAddr::from([203, 0, 113, 2]));
        let mut there: Vec<Visit> = (0..FROM_ONE).filter_map(|_| visitors.enter(one)).collect();
        assert_eq!(there.len(), FROM_ONE);
        assert!(visitors.enter(one).is_none() && visitors.enter(other).is_some());
        there.pop();
        assert!(visitors.enter(one).is_some());
        let crowd = (0..=255).filter_map(|last| visitors.enter(IpAddr::from([198, 51, 100, last])));
        let crowd: Vec<Visit> = crowd.collect();
        assert_eq!(there.len() + crowd.len(), ALL);
        assert!(visitors.enter(other).is_none());
        drop((there, crowd));
        assert!(visitors.0.lock().unwrap().is_empty());
    }
}
