//! Hurries hosts on to certificates of the root that signs, a batch at a time; ends a way back once nobody needs the
//! root any more that is given up.

use super::{Phase, Step, TurnError};
use crate::centre::Centre;
use crate::clock::now_ms;
use crate::fleet::Command;
use crate::store::{StoreError, rotation as kept};
use chatalot_protocol::audit::Entry;
use chatalot_protocol::names::HostId;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// How many hosts renew at once.
const BATCH: usize = 30;
/// How often it is looked at how far they are.
const LOOK: Duration = Duration::from_secs(1);
/// How long a batch has before the next one begins.
const BATCH_TIME: Duration = Duration::from_secs(20);

/// Goes on until told to stop.
pub(crate) async fn drive(centre: Arc<Centre>, stop: CancellationToken) {
    let mut clock = tokio::time::interval(LOOK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batches = Batches::default();
    loop {
        tokio::select! {
            _ = clock.tick() => {}           // cancel-safe per docs on `tick`
            () = stop.cancelled() => return, // cancel-safe: level-triggered
        }
        if let Err(error) = look(&centre, &mut batches).await {
            log::error!(error:% = crate::chain(&error); "a rotation does not go on");
        }
    }
}

async fn look(centre: &Arc<Centre>, batches: &mut Batches) -> Result<(), TurnError> {
    let rotation = centre.authority.now().rotation;
    let Some(ending) = rotation.ending() else {
        batches.asked.clear();
        return Ok(());
    };
    let holders = centre.store.read(move |c| kept::holders(c, ending)).await?;
    if holders.is_empty() && rotation.phase == Phase::Back {
        return end(centre).await;
    }
    let holders = holders.into_iter().map(|holder| holder.id);
    let here = holders.filter(|host| centre.fleet.is_connected(*host)).collect();
    for host in batches.next(here, Instant::now()) {
        centre.fleet.tell(host, Command::Renew);
    }
    Ok(())
}

/// Nobody needs the root any more that was to follow.
async fn end(centre: &Arc<Centre>) -> Result<(), TurnError> {
    match centre.turn(Step::DropNew).await {
        // Somebody has asked for it at the same moment.
        Err(TurnError::Order { .. }) => return Ok(()),
        done => done?,
    };
    let entry = Entry {
        at_ms: now_ms(),
        action: "ca.rollback".to_owned(),
        by: "the controller".to_owned(),
        verdict: "done".to_owned(),
        detail: "no host has a certificate of the new root any more".to_owned(),
        ..Entry::default()
    };
    centre
        .remember(entry)
        .await
        .map_err(|error: StoreError| error.into())
}

/// Who was asked when.
#[derive(Default)]
struct Batches {
    asked: HashMap<HostId, Instant>,
    batch: HashSet<HostId>,
}

impl Batches {
    /// Whom to ask now, of those that are here and still have to renew: nobody while the batch before is at it; whoever
    /// has waited the longest else.
    fn next(&mut self, here: Vec<HostId>, now: Instant) -> Vec<HostId> {
        let has_time = |host: &HostId| self.asked.get(host).is_some_and(|at| now < *at + BATCH_TIME);
        if here
            .iter()
            .any(|host| self.batch.contains(host) && has_time(host))
        {
            return Vec::new();
        }
        let mut next = here;
        next.sort_by_key(|host| self.asked.get(host).copied());
        next.truncate(BATCH);
        self.batch = next.iter().copied().collect();
        self.asked.extend(next.iter().map(|host| (*host, now)));
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f18_renewals_are_hurried_thirty_at_a_time_and_one_that_fails_does_not_hold_up_the_others() {
        let mut all: Vec<HostId> = (0..70).map(|_| HostId::fresh()).collect();
        let (mut batches, mut now) = (Batches::default(), Instant::now());
        let stuck = batches.next(all.clone(), now)[0];
        assert_eq!(batches.batch.len(), 30);
        assert!(
            batches.next(all.clone(), now + LOOK).is_empty(),
            "one batch at a time"
        );
        let mut rounds = 1;
        while all.len() > 1 {
            let renewed = batches.batch.clone();
            all.retain(|host| *host == stuck || !renewed.contains(host));
            now += BATCH_TIME;
            let next = batches.next(all.clone(), now);
            assert!(next.len() <= 30);
            rounds += 1;
        }
        assert_eq!((all, rounds), (vec![stuck], 4));
    }
}
