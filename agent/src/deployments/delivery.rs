//! What keeps jobs and what is told of them in step with the controller: jobs that come twice, late or from a newer
//! version, and what is kept while the controller is away.

use super::{Deployments, KEPT};
use crate::effect::folder::JobFolder;
use crate::ledger::deployments::{self as records};
use crate::ledger::{LedgerError, outbox};
use crate::link::standing;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::event::What;
use chatalot_protocol::message::Job;
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::report::DeploymentState;
use std::sync::PoisonError;
use tokio::time::Instant;

/// How much output is kept that the controller does not have.
const UNSENT_OUTPUT: u64 = 64 << 20;
/// How long the ids of jobs are remembered, in milliseconds.
const REMEMBERED_MS: i64 = 90 * 24 * 3_600_000;
/// From where on a clock counts as wrong, in milliseconds.
const WRONG_CLOCK_MS: i64 = 5 * 60_000;

/// Whether two clocks are so far apart that somebody should know.
fn differ(ours: i64, theirs: i64) -> bool {
    ours.saturating_sub(theirs).saturating_abs() > WRONG_CLOCK_MS
}

impl Deployments {
    /// The controller's clock of this moment. A job's time is judged by it: whoever set the time has the clock.
    pub fn clock_is(&self, now_ms: Option<i64>) {
        let Some(theirs) = now_ms else { return };
        let ours = self.engine.host.now_ms();
        if differ(ours, theirs) {
            log::warn!(code = "CLOCK_SKEW", ours_ms = ours, theirs_ms = theirs; "the clocks of host and controller differ; look at `timedatectl` on both");
        }
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), theirs));
    }

    /// Now, as the one who sent a job would say it.
    fn sender_now_ms(&self) -> i64 {
        let clock = *self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.map_or_else(
            || self.engine.host.now_ms(),
            |(since, theirs)| {
                let passed = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                theirs.saturating_add_unsigned(passed)
            },
        )
    }

    /// What speaks against a job, whatever it is to do: it is late, or there is no room to tell of it.
    pub(super) async fn undeliverable(&self, job: &Job) -> Result<Option<Advice>, LedgerError> {
        let now = self.sender_now_ms();
        if now > job.not_after_ms {
            return Ok(Some(Advice::new(
                "JOB_EXPIRED",
                format!(
                    "a deployment asked for {} s ago",
                    now.saturating_sub(job.issued_ms) / 1000
                ),
                "one that is taken up in time",
                "deploy again; if it was quick, compare the clocks of host and controller",
            )));
        }
        let full = |db: &rusqlite::Connection| Ok(standing::has_controller(db)? && outbox::is_full(db)?);
        Ok(self.ledger().with(full).await?.then(|| {
            Advice::new(
                "OUTBOX_FULL",
                "more events wait for the controller than are kept",
                "a controller that takes them",
                "bring the controller back; `chatalot-agent status` says whether it is connected",
            )
        }))
    }

    /// A job that says something newer than this agent knows is refused on the record, once.
    pub async fn not_understood(&self, id: DeploymentId) -> Result<(), LedgerError> {
        let now = self.engine.host.now_ms();
        let advice = Advice::new(
            "UNSUPPORTED",
            "a deployment that this agent does not understand",
            "an agent of the controller's version",
            "run the bootstrap line again: it upgrades the agent",
        );
        let told = move |db: &rusqlite::Connection| {
            if outbox::of_deployment(db, id, 0)?.is_empty() {
                let what = What::DeploymentFinished {
                    state: DeploymentState::Refused,
                    advice: Some(advice),
                    diagnosis: Vec::new(),
                    values: std::collections::BTreeMap::new(),
                    handover: None,
                };
                outbox::record(db, now, Some(id), &what)?;
            }
            Ok(())
        };
        self.ledger().with(told).await
    }

    /// Tells again how a deployment ended whose job has come again, unless that is on its way: a controller that was
    /// restored from a backup has forgotten it. `welcomed` is the last event that it had when the session began.
    pub async fn tell_again(&self, id: DeploymentId, welcomed: u64) -> Result<(), LedgerError> {
        let now = self.engine.host.now_ms();
        let told = move |db: &rusqlite::Connection| {
            let on_its_way = !outbox::of_deployment(db, id, welcomed)?.is_empty();
            match records::find(db, id)? {
                Some(deployment) if deployment.state.is_over() && !on_its_way => {
                    records::finish(db, id, deployment.state, &deployment.result, now)
                }
                _ => Ok(()),
            }
        };
        self.ledger().with(told).await
    }

    /// Lets go of what nobody asks for any more: old events, old ids, and the oldest output of which too much waits.
    pub(super) async fn tidy(&self) -> Result<(), LedgerError> {
        let before = self.engine.host.now_ms().saturating_sub(REMEMBERED_MS);
        let (waits, unlogged) = self
            .ledger()
            .with(move |db| {
                outbox::prune(db, u32::try_from(KEPT).unwrap_or(u32::MAX))?;
                records::forget_ended(db, before, u32::try_from(KEPT).unwrap_or(u32::MAX))?;
                Ok((standing::has_controller(db)?, records::unlogged(db)?))
            })
            .await?;
        let mut kept = 0;
        // The newest stay; of the others the session tells the gap.
        for effect in unlogged.iter().rev().filter(|_| waits) {
            kept += effect.output_bytes.unwrap_or(0);
            if kept > UNSENT_OUTPUT && effect.output_bytes.is_some() {
                let output = JobFolder::of(&self.state, effect.deployment, effect.stream).output();
                if let Err(error) = std::fs::remove_file(output)
                    && error.kind() != std::io::ErrorKind::NotFound
                {
                    log::warn!(deployment:% = effect.deployment, error = crate::chain(&error); "unsent output cannot be removed");
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f19_clocks_that_are_minutes_apart_either_way_are_told_and_seconds_are_not() {
        let (now, day) = (1_795_000_000_000, 24 * 3_600_000);
        for off in [
            400 * day,
            -20 * 365 * day,
            6 * 60_000,
            -6 * 60_000,
            i64::MIN,
            i64::MAX,
        ] {
            assert!(differ(now, now.saturating_add(off)), "{off}");
        }
        for off in [0, 4 * 60_000, -4 * 60_000] {
            assert!(!differ(now, now + off), "{off}");
        }
    }
}
