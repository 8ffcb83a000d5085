//! One step of a deployment on its way: adopted, checked, applied, checked again.

use super::distro::Distro;
use super::engine::Engine;
use super::{Cx, Intent, Step, StepError, output, plan};
use crate::effect::{EffectJob, Ended, Outcome};
use crate::ledger::deployments::{self, Deployment};
use crate::ledger::{LedgerError, audit, outbox};
use crate::policy;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::audit::Entry;
use chatalot_protocol::event::{StepEnd, What};
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Secrets;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How a step ended.
pub(super) struct StepReport {
    pub(super) end: StepEnd,
    pub(super) saw: String,
    pub(super) advice: Option<Advice>,
    pub(super) stream: u32,
    pub(super) output_bytes: u64,
}

impl StepReport {
    fn new(end: StepEnd, saw: impl Into<String>) -> Self {
        Self {
            end,
            saw: saw.into(),
            advice: None,
            stream: 0,
            output_bytes: 0,
        }
    }

    /// What a check has read on the host, such as a container's log, may hold a secret that an effect has put there.
    pub(super) fn mask(&mut self, secrets: &Secrets) {
        let values = || secrets.present().map(|(_, secret)| secret.expose());
        if values().next().is_none() {
            return;
        }
        self.saw = output::mask(values(), &self.saw);
        if let Some(advice) = &mut self.advice {
            output::mask_advice(values(), advice);
        }
    }

    fn advised(end: StepEnd, advice: Advice) -> Self {
        Self {
            advice: Some(advice.clone()),
            ..Self::new(end, advice.saw)
        }
    }
}

/// One step on its way.
pub(super) struct Walk<'a> {
    pub(super) engine: &'a Engine,
    pub(super) deployment: &'a Deployment,
    pub(super) secrets: &'a Secrets,
    pub(super) tags: &'a BTreeMap<String, String>,
    pub(super) stop: &'a CancellationToken,
    pub(super) step: &'static dyn Step,
    pub(super) distro: &'static Distro,
    pub(super) memory: BTreeMap<String, String>,
    /// The end of an effect of this step that an earlier life began.
    pub(super) adopted: Option<(u32, Ended)>,
}

/// What has happened to a step so far.
#[derive(Default)]
struct SoFar {
    stream: u32,
    output_bytes: u64,
    applied: bool,
    done: bool,
    passing_since: Option<Instant>,
    tries: u32,
    pause: Duration,
    last: Option<Advice>,
    /// How the last attempt ended, where it may pass.
    trouble: Option<String>,
}

impl Walk<'_> {
    fn cx(&self) -> Cx<'_> {
        Cx {
            site: &self.deployment.site,
            distro: self.distro,
            host: &*self.engine.host,
            memory: &self.memory,
            secret_tags: self.tags,
        }
    }

    /// Walks the step to its end; `quietly` without saying again that it has started.
    pub(super) async fn step(&mut self, quietly: bool) -> Result<StepReport, LedgerError> {
        let mut so_far = SoFar {
            pause: self.engine.pace.retry,
            ..SoFar::default()
        };
        if let Some((stream, ended)) = self.adopted.take() {
            self.take_in(stream, &ended, &mut so_far);
        }
        if !quietly && !so_far.applied {
            self.say_started().await?;
        }
        let mut report = self.converge(&mut so_far).await?;
        (report.stream, report.output_bytes) = (so_far.stream, so_far.output_bytes);
        Ok(report)
    }

    async fn converge(&mut self, so_far: &mut SoFar) -> Result<StepReport, LedgerError> {
        loop {
            if self.stop.is_cancelled() {
                return Ok(StepReport::new(StepEnd::Cancelled, "ended on request"));
            }
            match self.look(so_far.done).await {
                Ok(Verdict::Satisfied { saw, note }) => {
                    let end = if so_far.applied {
                        StepEnd::Done
                    } else {
                        StepEnd::Satisfied
                    };
                    return Ok(StepReport {
                        advice: note.map(|note| *note),
                        ..StepReport::new(end, saw)
                    });
                }
                Ok(Verdict::Blocked { advice }) => return Ok(StepReport::advised(StepEnd::Blocked, advice)),
                Ok(Verdict::Needed { why }) => {
                    if let Some(report) = Self::given_up(so_far, &why) {
                        return Ok(report);
                    }
                    if let Some(report) = self.apply(so_far, why).await? {
                        return Ok(report);
                    }
                }
                Err(error @ (StepError::Passing(_) | StepError::Host(_))) => {
                    let advice = plan::advice_of(self.step, error);
                    if let Some(report) = self.not_passing(so_far, advice).await {
                        return Ok(report);
                    }
                }
                Err(error) => {
                    return Ok(StepReport::advised(
                        StepEnd::Failed,
                        plan::advice_of(self.step, error),
                    ));
                }
            }
        }
    }

    /// A failure that stands once the check has confirmed that nothing came of it.
    fn given_up(so_far: &mut SoFar, why: &str) -> Option<StepReport> {
        let advice = so_far.last.take()?;
        let advice = advice.with_evidence([format!("still: {why}")]);
        Some(StepReport::advised(StepEnd::Failed, advice))
    }

    /// Checks; an unsatisfied check is repeated for the step's patience before it is believed: after applying, for a
    /// probe, and before a person is asked to act. What is merely needed is applied at once.
    async fn look(&self, done: bool) -> Result<Verdict, StepError> {
        let intent = Intent {
            site: &self.deployment.site,
            distro: self.distro,
        };
        let waits = done || self.step.effects(&intent).is_empty();
        let until = Instant::now() + self.step.patience().mul_f64(self.engine.pace.patience);
        loop {
            self.engine.pulse.beat();
            let verdict = self.step.check(&self.cx()).await?;
            let may_change = match verdict {
                Verdict::Satisfied { .. } => false,
                Verdict::Needed { .. } => waits,
                Verdict::Blocked { .. } => true,
            };
            if !may_change || Instant::now() >= until || self.stop.is_cancelled() {
                return Ok(verdict);
            }
            self.pause(self.engine.pace.recheck).await;
        }
    }

    /// Waits before something that may pass is tried again; once the budget is used up, the end of the step.
    async fn not_passing(&self, so_far: &mut SoFar, advice: Advice) -> Option<StepReport> {
        so_far.tries += 1;
        let since = *so_far.passing_since.get_or_insert_with(Instant::now);
        let budget = self.engine.pace.budget.min(self.step.budget());
        let left = budget.saturating_sub(since.elapsed());
        if left.is_zero() {
            let tried = format!(
                "tried {} times within {} s",
                so_far.tries,
                since.elapsed().as_secs()
            );
            return Some(StepReport::advised(
                StepEnd::Failed,
                advice.with_evidence([tried]),
            ));
        }
        self.pause(so_far.pause.min(left)).await;
        so_far.pause = (so_far.pause * 2).min(self.engine.pace.retry * 30);
        None
    }

    async fn pause(&self, time: Duration) {
        self.engine.pulse.beat();
        tokio::select! {
            () = tokio::time::sleep(time) => {} // cancel-safe: nothing is lost
            () = self.stop.cancelled() => {}    // cancel-safe: level-triggered
        }
    }

    async fn say_started(&self) -> Result<(), LedgerError> {
        let what = What::StepStarted {
            step: self.step.step_id(),
            attempt: 0,
            stream: 0,
            why: String::new(),
        };
        let (id, now) = (self.deployment.id, self.engine.host.now_ms());
        self.engine
            .ledger
            .with(move |db| outbox::record(db, now, Some(id), &what))
            .await
    }

    /// Asks the host's policy, at the last moment before the step changes anything.
    async fn may_change(&self) -> Result<Result<(), Advice>, LedgerError> {
        let (id, now) = (self.deployment.id, self.engine.host.now_ms());
        let since = self
            .engine
            .ledger
            .with(move |db| deployments::accepted_ms(db, id))
            .await?;
        let intent = Intent {
            site: &self.deployment.site,
            distro: self.distro,
        };
        let (packages, repositories) = (self.step.packages(&intent), self.step.repositories(&intent));
        let effect = policy::Effect {
            work: self.deployment.work,
            packages: &packages,
            repositories: &repositories,
            running: Duration::from_millis(u64::try_from(now - since).unwrap_or(0)),
        };
        let policy = policy::Policy::in_force(&*self.engine.host).await;
        let judged = policy.and_then(|policy| policy.judge_effect(&self.deployment.site, effect, now));
        if let Err(advice) = &judged {
            log::warn!(deployment:% = id, step = self.step.id(), code:% = advice.code; "the policy refuses a step");
            let entry = Entry {
                action: format!("step {}", self.step.id()),
                subject: id.to_string(),
                verdict: advice.code.to_string(),
                detail: advice.saw.clone(),
                ..Entry::default()
            };
            self.engine
                .ledger
                .with(move |db| audit::append(db, now, entry))
                .await?;
        }
        Ok(judged)
    }

    /// Applies the step once, intent first. Answers only if that ends the step.
    async fn apply(&mut self, so_far: &mut SoFar, needed: String) -> Result<Option<StepReport>, LedgerError> {
        if let Err(advice) = self.may_change().await? {
            return Ok(Some(StepReport::advised(StepEnd::Blocked, advice)));
        }
        let why = so_far.trouble.take().unwrap_or(needed);
        let (id, step, now) = (self.deployment.id, self.step.step_id(), self.engine.host.now_ms());
        let boot = self
            .engine
            .host
            .system()
            .await
            .map(|system| system.boot_id)
            .unwrap_or_default();
        let (stream, attempt) = self
            .engine
            .ledger
            .with(move |db| deployments::intend(db, id, &step, &boot, &why, now))
            .await?;
        if attempt > self.engine.pace.attempts {
            let nothing = Ended {
                outcome: Outcome::Cancelled,
                output_bytes: 0,
            };
            self.store(stream, &nothing).await?;
            return Ok(Some(StepReport::advised(
                StepEnd::Failed,
                keeps_failing(self.step, attempt),
            )));
        }
        let job = EffectJob {
            deployment: id,
            stream,
            step: self.step.step_id(),
            site: self.deployment.site.clone(),
            secrets: self.secrets.clone(),
            memory: self.memory.clone(),
            secret_tags: self.tags.clone(),
        };
        let ended = self.engine.runner.start(&job, self.stop).await;
        let ended = self.conclude(stream, ended, so_far).await?;
        match ended.outcome {
            Outcome::Cancelled => Ok(Some(StepReport::new(StepEnd::Cancelled, "ended on request"))),
            Outcome::Passing { advice } => Ok(self.not_passing(so_far, advice).await),
            Outcome::Failed { why } | Outcome::Lost { why } => {
                Ok(self.not_passing(so_far, effect_lost(self.step, &why)).await)
            }
            Outcome::Done { .. } | Outcome::Final { .. } => Ok(None),
        }
    }

    async fn conclude(
        &mut self,
        stream: u32,
        ended: Ended,
        so_far: &mut SoFar,
    ) -> Result<Ended, LedgerError> {
        self.store(stream, &ended).await?;
        self.memory = self.engine.memory(self.deployment).await?;
        self.take_in(stream, &ended, so_far);
        Ok(ended)
    }

    /// What an effect's end means for what comes next.
    fn take_in(&self, stream: u32, ended: &Ended, so_far: &mut SoFar) {
        (so_far.stream, so_far.output_bytes) = (stream, ended.output_bytes);
        so_far.applied = true;
        so_far.done = matches!(ended.outcome, Outcome::Done { .. });
        so_far.trouble = match &ended.outcome {
            Outcome::Passing { advice } => Some(advice.saw.clone()),
            Outcome::Failed { why } | Outcome::Lost { why } => Some(why.clone()),
            _ => None,
        };
        so_far.last = match &ended.outcome {
            Outcome::Final { advice } => Some(advice.clone()),
            Outcome::Done { .. } => Some(without_effect(self.step)),
            _ => None,
        };
    }

    async fn store(&self, stream: u32, ended: &Ended) -> Result<(), LedgerError> {
        let (id, domain, ended) = (
            self.deployment.id,
            self.deployment.site.domain.to_string(),
            ended.clone(),
        );
        self.engine
            .ledger
            .with(move |db| deployments::conclude(db, id, stream, &domain, &ended))
            .await
    }
}

fn keeps_failing(step: &dyn Step, attempts: u32) -> Advice {
    Advice::new(
        "STEP_KEEPS_FAILING",
        format!("{attempts} attempts at `{}` without success", step.title()),
        "success within a few attempts",
        "read the step's output with `watch -v` and the deployment's id, mend what it names, then deploy again",
    )
}

fn effect_lost(step: &dyn Step, why: &str) -> Advice {
    Advice::new(
        "STEP_DID_NOT_FINISH",
        format!("`{}`: {why}", step.title()),
        "the step's unit runs to its end",
        "look at the host's journal around that time for what ended it (memory, a reboot), then deploy again",
    )
}

fn without_effect(step: &dyn Step) -> Advice {
    Advice::new(
        "STEP_HAD_NO_EFFECT",
        format!("`{}` ended without an error", step.title()),
        "its check satisfied afterwards",
        "read the step's output with `watch -v` and the deployment's id, mend what it names, then deploy again",
    )
}
