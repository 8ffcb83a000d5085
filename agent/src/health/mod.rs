//! Is it still well: the checks of [`checks`] on their own clocks, once a site has been deployed.
//!
//! A check is level-triggered: it takes no input, reads the world, and its last word stands on a watch. Wake-ups
//! (a container event, a finished deployment) only hurry it. A level changes after as many equal answers in a row
//! as the check's row says; each change is a journal entry, and an event in the same transaction.

pub mod checks;

use crate::host::Look;
use crate::ledger::deployments::{self as records};
use crate::ledger::{Ledger, LedgerError, outbox};
use crate::runbook::distro::{self, Distro};
use crate::runbook::{self, Cx, diagnosis, plan};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::event::What;
use chatalot_protocol::report::{CheckState, Level, Verdict};
use chatalot_protocol::site::Site;
use checks::{CHECKS, Check};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether there is something to watch, while nothing is deployed.
const IDLE: Duration = Duration::from_secs(30);
/// How long after a start the first round comes: the session with the controller and what is asked at once go first.
const FIRST: Duration = Duration::from_secs(2);
/// How soon a doubtful answer is asked again.
const DOUBT: Duration = Duration::from_secs(5);
/// How long it may take to find what is behind a fall.
const DIAGNOSIS: Duration = Duration::from_secs(90);
/// How long one check may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// The last word of every check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// One state a check.
    pub checks: Vec<CheckState>,
}

impl Health {
    /// The worst level of all checks; unknown while there are none.
    pub fn level(&self) -> Level {
        let known = self
            .checks
            .iter()
            .map(|check| check.level)
            .filter(|level| *level != Level::Unknown);
        known.max().unwrap_or_default()
    }
}

/// One check's standing: pure, so that hysteresis is tested without a host.
#[derive(Debug, Clone, Default)]
struct Standing {
    level: Level,
    doubt: u32,
}

impl Standing {
    /// Takes an answer; true if the level has changed by it.
    fn take(&mut self, seen: Level, strikes: u32) -> bool {
        if seen == self.level {
            self.doubt = 0;
            return false;
        }
        self.doubt += 1;
        let enough = self.level == Level::Unknown || seen == Level::Ok || self.doubt >= strikes;
        if enough {
            (self.level, self.doubt) = (seen, 0);
        }
        enough
    }
}

/// Watches the site that was deployed last.
pub struct Watcher {
    /// The durable record.
    pub ledger: Ledger,
    /// The host, to be read.
    pub host: Arc<dyn Look>,
    /// Where the last word is published.
    pub health: watch::Sender<Health>,
    /// Rung when something has happened that the checks should look at now.
    pub hurry: Arc<Notify>,
    /// When the watcher was last seen at work.
    pub pulse: watch::Sender<Instant>,
}

struct Watched {
    check: &'static Check,
    standing: Standing,
    due: Instant,
}

impl Watcher {
    /// Watches until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut watched: Vec<Watched> = CHECKS
            .iter()
            .map(|check| Watched {
                check,
                standing: Standing::default(),
                due: Instant::now() + FIRST,
            })
            .collect();
        while !stop.is_cancelled() {
            self.pulse.send_replace(Instant::now());
            let wait = tokio::select! {
                wait = self.round(&mut watched) => wait, // cancel-safe: a round only looks
                () = stop.cancelled() => return,         // cancel-safe: level-triggered
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {} // cancel-safe: nothing is lost
                () = stop.cancelled() => {}         // cancel-safe: level-triggered
                () = self.hurry.notified() => {     // cancel-safe: a permit is kept
                    for one in &mut watched {
                        one.due = Instant::now();
                    }
                }
            }
        }
    }

    /// Runs what is due; answers how long nothing will be.
    async fn round(&self, watched: &mut [Watched]) -> Duration {
        let found = async {
            let deployment = self.ledger.with(records::deployed).await?;
            let Some(deployment) = deployment else {
                return Ok(None);
            };
            let domain = deployment.site.domain.to_string();
            let memory = self.ledger.with(move |db| records::memory(db, &domain)).await?;
            Ok::<_, LedgerError>(Some((deployment.site, memory)))
        };
        let (site, memory) = match found.await {
            Ok(Some(found)) => found,
            Ok(None) => return IDLE,
            Err(error) => {
                log::error!(error = crate::chain(&error); "the checks cannot read the ledger");
                return IDLE;
            }
        };
        let Some(distro) = self.distro().await else {
            return IDLE;
        };
        let applies = |check: &Check| runbook::step(check.step).is_some_and(|step| step.applies(&site));
        for one in watched
            .iter_mut()
            .filter(|one| one.due <= Instant::now() && applies(one.check))
        {
            self.pulse.send_replace(Instant::now());
            let doubtful = self.ask(one, &site, distro, &memory).await;
            let pause = if doubtful {
                DOUBT
            } else {
                jittered(one.check.every)
            };
            one.due = Instant::now() + pause;
        }
        let next = watched
            .iter()
            .filter(|one| applies(one.check))
            .map(|one| one.due)
            .min();
        next.map_or(IDLE, |due| due.saturating_duration_since(Instant::now()))
            .min(IDLE)
    }

    async fn distro(&self) -> Option<&'static Distro> {
        distro::detect(&self.host.system().await.ok()?).ok()
    }

    /// Asks one check and takes its answer; true if the answer is still in doubt.
    async fn ask(
        &self,
        one: &mut Watched,
        site: &Site,
        distro: &'static Distro,
        memory: &BTreeMap<String, String>,
    ) -> bool {
        let Some(step) = runbook::step(one.check.step).filter(|step| step.applies(site)) else {
            return false;
        };
        let tags = BTreeMap::new();
        let cx = Cx {
            site,
            distro,
            host: &*self.host,
            memory,
            secret_tags: &tags,
        };
        let verdict = tokio::time::timeout(DEADLINE, plan::verdict(step, &cx)).await;
        let verdict = verdict.unwrap_or_else(|_| Verdict::needed("the check did not finish in time"));
        let level = if verdict.is_satisfied() {
            Level::Ok
        } else {
            one.check.otherwise
        };
        let from = one.standing.level;
        let changed = one.standing.take(level, one.check.strikes);
        if changed || one.standing.doubt == 0 {
            self.publish(one, &cx, verdict, changed.then_some(from)).await;
        }
        one.standing.doubt > 0
    }

    async fn publish(&self, one: &Watched, cx: &Cx<'_>, verdict: Verdict, changed_from: Option<Level>) {
        let now = self.host.now_ms();
        let (saw, advice) = match verdict {
            Verdict::Satisfied { saw, .. } => (saw, None),
            Verdict::Needed { why } => (why, None),
            Verdict::Blocked { advice } => (advice.saw.clone(), Some(advice)),
        };
        let before = self.health.borrow().level();
        let mut state = CheckState {
            check: one.check.name.to_owned(),
            level: one.standing.level,
            saw,
            advice,
            since_ms: now,
        };
        self.health.send_if_modified(|health| {
            if let Some(known) = health.checks.iter_mut().find(|known| known.check == state.check) {
                if changed_from.is_none() {
                    state.since_ms = known.since_ms;
                }
                std::mem::replace(known, state.clone()) != state
            } else {
                health.checks.push(state.clone());
                true
            }
        });
        let after = self.health.borrow().level();
        if before == after {
            return;
        }
        self.record(before, after, state.clone()).await;
        // Told at once; what is behind it takes a while to find, and is told as the cause of the same level.
        if is_worse(before, after)
            && let Some(behind) = self.behind(cx, state.advice.as_ref()).await
        {
            state.advice = Some(behind);
            self.record(after, after, state).await;
        }
    }

    /// What a diagnosis finds behind a fall beside what the check says: the first cause, with the others as what it rests on.
    /// None while a deployment is at work, which is what is behind it.
    async fn behind(&self, cx: &Cx<'_>, said: Option<&Advice>) -> Option<Advice> {
        if !matches!(self.ledger.with(records::running).await, Ok(None)) {
            return None;
        }
        self.pulse.send_replace(Instant::now());
        let facts = diagnosis::facts::gather(cx, said.cloned());
        let facts = tokio::time::timeout(DIAGNOSIS, facts).await;
        self.pulse.send_replace(Instant::now());
        let mut found = diagnosis::diagnose(&facts.ok()?).into_iter();
        let first = found.next().filter(|first| Some(first) != said)?;
        let others = found.map(|other| format!("{}: {}; {}", other.code, other.saw, other.fix));
        Some(first.with_evidence(others))
    }

    async fn record(&self, from: Level, to: Level, cause: CheckState) {
        log::warn!(from:? = from, to:? = to, check = cause.check, saw = cause.saw; "the level of this host has changed");
        let (now, what) = (self.host.now_ms(), What::LevelChanged { from, to, cause });
        let told = self
            .ledger
            .with(move |db| outbox::record(db, now, None, &what))
            .await;
        if let Err(error) = told {
            log::error!(error = crate::chain(&error); "a change of level cannot be recorded");
        }
    }
}

/// Whether things have become worse, or are bad when they are first seen.
fn is_worse(before: Level, after: Level) -> bool {
    matches!(after, Level::Degraded | Level::Down) && (before == Level::Unknown || after > before)
}

/// Between nine and eleven tenths of an interval, so that hosts and checks do not march in step.
fn jittered(every: Duration) -> Duration {
    let (dice, _) = uuid::Uuid::new_v4().as_u64_pair();
    let percent = u32::try_from(90 + dice % 21).unwrap_or(100);
    every * percent / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_answer_is_not_believed_and_one_good_one_is() {
        let mut standing = Standing::default();
        assert!(standing.take(Level::Ok, 3));
        assert!(!standing.take(Level::Down, 3));
        assert!(!standing.take(Level::Ok, 3));
        assert!(!standing.take(Level::Down, 3));
        assert!(!standing.take(Level::Down, 3));
        assert!(standing.take(Level::Down, 3));
        assert!(standing.take(Level::Ok, 3));
    }

    #[test]
    fn the_worst_known_check_decides_the_level() {
        let state = |level| CheckState {
            check: String::new(),
            level,
            saw: String::new(),
            advice: None,
            since_ms: 0,
        };
        assert_eq!(Health::default().level(), Level::Unknown);
        let health = Health {
            checks: vec![state(Level::Ok), state(Level::Unknown), state(Level::Degraded)],
        };
        assert_eq!(health.level(), Level::Degraded);
    }

    #[test]
    fn only_a_fall_is_diagnosed() {
        for (before, after, falls) in [
            (Level::Ok, Level::Down, true),
            (Level::Degraded, Level::Down, true),
            (Level::Unknown, Level::Degraded, true),
            (Level::Down, Level::Degraded, false),
            (Level::Down, Level::Ok, false),
            (Level::Unknown, Level::Ok, false),
        ] {
            assert_eq!(is_worse(before, after), falls, "{before:?} to {after:?}");
        }
    }

    #[test]
    fn every_check_asks_a_step_that_exists() {
        for check in CHECKS {
            assert!(runbook::step(check.step).is_some(), "{}", check.step);
        }
    }
}
