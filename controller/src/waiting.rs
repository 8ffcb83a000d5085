//! Keys that ask to join and wait for the operator: in memory alone and bounded, for anybody may ask. Whoever asks no
//! longer is forgotten; after a restart those who still wait ask again.

use chatalot_protocol::approve::words;
use chatalot_protocol::enrol::hex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::limiter::site;

/// How many may wait at once.
const ALL: usize = 64;
/// How many are known, those among them whom the operator has denied.
const KNOWN: usize = 1024;
/// How many may wait from one network.
const FROM_ONE: usize = 8;
/// How long after its last question somebody still counts as waiting.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a denied key is remembered: as long as the longest wait of a key that was approved.
const DENIED: Duration = Duration::from_mins(15);
/// How much of what a host calls itself is kept.
const NAME: usize = 64;

/// A key that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiter {
    /// SHA-256 of its public key.
    pub spki: [u8; 32],
    /// Its id for the operator.
    pub id: String,
    /// Its words.
    pub words: String,
    /// Where it asks from.
    pub address: IpAddr,
    /// What the host calls itself: untrusted.
    pub hostname: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
}

/// Why somebody may not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Turned {
    /// The operator has said no.
    #[error("the operator has denied this key")]
    Denied,
    /// There are too many.
    #[error("too many wait for approval")]
    Crowded,
}

struct Row {
    waiter: Waiter,
    came: Instant,
    asked: Instant,
    denied: bool,
}

/// Who waits.
pub struct Waiting {
    rows: Mutex<HashMap<[u8; 32], Row>>,
    /// Whether nobody is to wait any longer.
    turn: watch::Sender<bool>,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            rows: Mutex::default(),
            turn: watch::channel(false).0,
        }
    }
}

impl Waiting {
    /// Notes that a key asks; whether that is news.
    pub fn asks(&self, spki: [u8; 32], address: IpAddr, hostname: &str, now_ms: i64) -> Result<bool, Turned> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        sweep(&mut rows);
        if let Some(row) = rows.get_mut(&spki) {
            if row.denied {
                return Err(Turned::Denied);
            }
            row.asked = Instant::now();
            return Ok(false);
        }
        make_room(&mut rows, site(address))?;
        let waiter = Waiter {
            spki,
            id: hex(&spki[..8]),
            words: words(&spki),
            address,
            hostname: hostname.chars().filter(|c| !c.is_control()).take(NAME).collect(),
            since_ms: now_ms,
        };
        let row = Row {
            waiter,
            came: Instant::now(),
            asked: Instant::now(),
            denied: false,
        };
        rows.insert(spki, row);
        Ok(true)
    }

    /// All who wait, the first come first.
    pub fn list(&self) -> Vec<Waiter> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        sweep(&mut rows);
        let mut waiting: Vec<Waiter> = rows
            .values()
            .filter(|row| !row.denied)
            .map(|row| row.waiter.clone())
            .collect();
        waiting.sort_by(|a, b| (a.since_ms, &a.id).cmp(&(b.since_ms, &b.id)));
        waiting
    }

    /// One of them.
    pub fn find(&self, id: &str) -> Option<Waiter> {
        self.list().into_iter().find(|waiter| waiter.id == id)
    }

    /// The key is decided upon elsewhere: it asks and is told.
    pub fn approved(&self, spki: &[u8; 32]) {
        self.rows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(spki);
        self.wake();
    }

    /// The operator has said no; whether the key waited.
    pub fn deny(&self, spki: &[u8; 32]) -> bool {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let denied = rows.get_mut(spki).is_some_and(|row| {
            row.asked = Instant::now();
            !std::mem::replace(&mut row.denied, true)
        });
        drop(rows);
        self.wake();
        denied
    }

    /// Tells whoever waits to look again.
    pub fn wake(&self) {
        self.turn.send_modify(|_| ());
    }

    /// The controller stops: nobody's question is held any longer.
    pub fn close(&self) {
        self.turn.send_replace(true);
    }

    /// Whether it does.
    pub fn is_over(&self) -> bool {
        *self.turn.borrow()
    }

    /// Waits for a reason to look again, from now on.
    pub fn turn(&self) -> watch::Receiver<bool> {
        self.turn.subscribe()
    }
}

/// Sees to it that one more may wait from this network. Where all places are taken, the last to come from a network that
/// has most of them gives up his, so that a few networks cannot keep the others out. Somebody with as many networks as
/// there are places can; then a token lets a host in.
fn make_room(rows: &mut HashMap<[u8; 32], Row>, from: IpAddr) -> Result<(), Turned> {
    let mut places: HashMap<IpAddr, usize> = HashMap::new();
    for row in rows.values().filter(|row| !row.denied) {
        *places.entry(site(row.waiter.address)).or_default() += 1;
    }
    let near = places.get(&from).copied().unwrap_or_default();
    if rows.len() >= KNOWN || near >= FROM_ONE {
        return Err(Turned::Crowded);
    }
    if places.values().sum::<usize>() < ALL {
        return Ok(());
    }
    let most = places.values().copied().max().unwrap_or_default();
    if most <= near + 1 {
        return Err(Turned::Crowded);
    }
    let last = rows
        .iter()
        .filter(|(_, row)| !row.denied && places.get(&site(row.waiter.address)) == Some(&most))
        .max_by_key(|(spki, row)| (row.came, **spki))
        .map(|(spki, _)| *spki);
    last.and_then(|spki| rows.remove(&spki))
        .map(drop)
        .ok_or(Turned::Crowded)
}

fn sweep(rows: &mut HashMap<[u8; 32], Row>) {
    rows.retain(|_, row| row.asked.elapsed() < if row.denied { DENIED } else { PATIENCE });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> [u8; 32] {
        let mut key = [0; 32];
        key[0] = number;
        key
    }

    fn address(number: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, number])
    }

    #[tokio::test(start_paused = true)]
    async fn f05_a_crowd_that_asks_to_join_takes_bounded_room_and_goes_by_itself() {
        let waiting = Waiting::default();
        let ask = |key, from| waiting.asks(key, from, "vps", 0);
        assert!((0..8).all(|number| ask(key(number), address(1)) == Ok(true)));
        assert_eq!(ask(key(8), address(1)), Err(Turned::Crowded));
        assert!((8..64).all(|number| ask(key(number), address(number)) == Ok(true)));
        // Seven of the first eight give way; with a place for each network there is room for no more.
        assert!((64..71).all(|number| ask(key(number), address(number)) == Ok(true)));
        assert_eq!(ask(key(71), address(200)), Err(Turned::Crowded));
        // Whoever waits already may ask on, whatever the crowd.
        assert_eq!(ask(key(9), address(9)), Ok(false));
        tokio::time::advance(Duration::from_secs(89)).await;
        assert_eq!(ask(key(9), address(9)), Ok(false));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(waiting.list().len(), 1);
        assert_eq!(ask(key(64), address(200)), Ok(true));
    }

    #[tokio::test(start_paused = true)]
    async fn f05_a_few_networks_cannot_keep_the_others_from_waiting() {
        let waiting = Waiting::default();
        for number in 0..64 {
            assert_eq!(waiting.asks(key(number), address(number / 8), "vps", 0), Ok(true));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let ask = |number, from| waiting.asks(key(number), address(from), "vps", 0);
        // Eight networks have every place; each newcomer from elsewhere takes the last of one of theirs.
        assert!((64..80).all(|number| ask(number, number) == Ok(true)));
        assert_eq!(waiting.list().len(), 64);
        let first = |network: u8| {
            waiting
                .list()
                .iter()
                .any(|waiter| waiter.spki == key(network * 8))
        };
        assert!((0..8).all(first), "who came first keeps his place");
        assert_eq!(
            ask(63, 7),
            Err(Turned::Crowded),
            "whoever gave up his does not get it back"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_was_denied_is_not_listed_and_is_refused_for_a_while() {
        let waiting = Waiting::default();
        assert_eq!(waiting.asks(key(1), address(1), "a\u{1b}b", 0), Ok(true));
        assert_eq!(waiting.list()[0].hostname, "ab");
        assert!(waiting.deny(&key(1)) && !waiting.deny(&key(1)) && !waiting.deny(&key(2)));
        assert!(waiting.list().is_empty());
        assert_eq!(waiting.asks(key(1), address(1), "", 0), Err(Turned::Denied));
        tokio::time::advance(DENIED).await;
        assert_eq!(waiting.asks(key(1), address(1), "", 0), Ok(true));
    }
}
