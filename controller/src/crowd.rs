//! What the hosts of a large fleet are told, so that they are no crowd.

use chatalot_protocol::names::HostId;

/// From how many hosts on each says half as often that it is alive.
const LARGE: usize = 1000;
/// After how many seconds of silence an agent pings, and one of a large fleet.
const PING_SECS: u64 = 15;
const PING_SECS_OF_MANY: u64 = 30;
/// How many sessions begin in a second without anybody waiting for long: a third of what two processors do.
const A_SECOND: usize = 250;
/// Everybody is back within a minute.
const LONGEST: u64 = 50;

/// After how many seconds of silence an agent of so many says that it is alive.
pub(crate) const fn ping_secs(hosts: usize) -> u64 {
    if hosts < LARGE {
        PING_SECS
    } else {
        PING_SECS_OF_MANY
    }
}

/// Over how many seconds so many hosts spread their return.
pub(crate) fn spread_secs(hosts: usize) -> u64 {
    ((hosts / A_SECOND) as u64).min(LONGEST)
}

/// After how many seconds one of so many hosts comes back to a controller that stops; the same for it each time.
pub(crate) fn back_after_secs(hosts: usize, host: HostId) -> u64 {
    let places = u128::from(spread_secs(hosts) + 1);
    1 + u64::try_from(host.0.as_u128() % places).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_small_fleet_comes_back_at_once_and_a_large_one_evenly_within_a_minute() {
        assert_eq!((ping_secs(10), spread_secs(10)), (15, 0));
        assert_eq!((ping_secs(10_000), spread_secs(10_000)), (30, 40));
        assert_eq!(spread_secs(1_000_000), LONGEST);
        let mut seconds = [0; 42];
        for _ in 0..10_000 {
            let host = HostId(Uuid::new_v4());
            assert_eq!(back_after_secs(10, host), 1);
            seconds[usize::try_from(back_after_secs(10_000, host)).unwrap()] += 1;
        }
        assert_eq!(
            seconds[0], 0,
            "nobody comes back to a controller that is still stopping"
        );
        assert!(
            seconds[1..].iter().all(|came| (150..350).contains(came)),
            "{seconds:?}"
        );
    }
}
