//! The loop: check → intent → apply → outcome → check, for every step in order.
//!
//! There is no other resume path: an agent that starts anew walks the same steps again, adopts the effect that it
//! finds begun, and passes what is satisfied.

use super::approval::Approved;
use super::chapters::{opening, uninstall};
use super::diagnosis;
use super::drift::BASELINE;
use super::drift::Baseline;
use super::walk::{StepReport, Walk};
use super::{Cx, Intent, Step, StepError, distro, gone, plan};
use crate::effect::{Ended, Outcome, Runner};
use crate::host::Look;
use crate::ledger::deployments::{self, Deployment, DeploymentResult};
use crate::ledger::{Ledger, LedgerError, outbox};
use crate::pulse::Pulse;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::event::{StepEnd, What};
use chatalot_protocol::names::StepId;
use chatalot_protocol::report::DeploymentState;
use chatalot_protocol::site::Secrets;
use chatalot_protocol::work::Work;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How patiently steps are repeated.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two checks of a step that is not satisfied yet.
    pub recheck: Duration,
    /// Before the first repetition of something that may pass; doubled up to thirty times as much.
    pub retry: Duration,
    /// How long something that may pass is repeated at all.
    pub budget: Duration,
    /// What a step's own patience is multiplied by.
    pub patience: f64,
    /// How many attempts a step gets within a deployment, over all lives of the agent.
    pub attempts: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            recheck: Duration::from_secs(1),
            retry: Duration::from_secs(1),
            budget: Duration::from_mins(10),
            patience: 1.0,
            attempts: 40,
        }
    }
}

/// Executes deployments, one at a time.
pub struct Engine {
    /// The durable record.
    pub ledger: Ledger,
    /// The host, to be read.
    pub host: Arc<dyn Look>,
    /// What applies steps.
    pub runner: Arc<dyn Runner>,
    /// The steps, in order.
    pub steps: Vec<&'static dyn Step>,
    /// How patiently.
    pub pace: Pace,
    /// Shows that the engine is at work.
    pub pulse: Arc<Pulse>,
}

impl Engine {
    /// The steps of a kind of work, in order.
    pub fn steps_for(&self, work: Work) -> &[&'static dyn Step] {
        match work {
            Work::Deploy => &self.steps,
            Work::Open => opening::STEPS,
            Work::Uninstall => uninstall::STEPS,
            Work::UninstallWithData => uninstall::WITH_DATA,
            Work::Unknown => &[],
        }
    }

    /// Walks a deployment to its end and writes that down. Dropped at any point, it can be called again.
    pub async fn run(
        &self,
        deployment: &Deployment,
        secrets: &Secrets,
        tags: &BTreeMap<String, String>,
        stop: &CancellationToken,
    ) -> Result<DeploymentState, LedgerError> {
        let (state, result) = match self.walk(deployment, secrets, tags, stop).await? {
            Ok(result) => (DeploymentState::Succeeded, result),
            Err((state, advice)) => {
                let diagnosis = self.behind(deployment, tags, state, advice.as_ref()).await?;
                let result = DeploymentResult {
                    advice,
                    diagnosis,
                    ..DeploymentResult::default()
                };
                (state, result)
            }
        };
        let baseline = match state {
            DeploymentState::Succeeded if !deployment.work.takes_away() => {
                self.baseline(deployment, tags).await?
            }
            _ => None,
        };
        let domain = deployment.site.domain.to_string();
        let (id, now) = (deployment.id, self.host.now_ms());
        let gone = (state == DeploymentState::Succeeded && deployment.work.takes_away())
            .then(|| deployment.site.domain.to_string());
        self.ledger
            .with(move |db| {
                if let Some(baseline) = baseline {
                    deployments::remember(db, &domain, BASELINE, &baseline)?;
                }
                if let Some(domain) = gone {
                    deployments::forget(db, &domain)?;
                }
                deployments::finish(db, id, state, &result, now)
            })
            .await?;
        Ok(state)
    }

    /// What a look at the host finds behind the end of a deployment that did not end well.
    async fn behind(
        &self,
        deployment: &Deployment,
        tags: &BTreeMap<String, String>,
        state: DeploymentState,
        advice: Option<&Advice>,
    ) -> Result<Vec<Advice>, LedgerError> {
        let ill = matches!(state, DeploymentState::Failed | DeploymentState::Blocked);
        let system = self.host.system().await.ok();
        let distro = system.and_then(|system| distro::detect(&system).ok());
        let Some(distro) = distro.filter(|_| ill) else {
            return Ok(Vec::new());
        };
        self.pulse.beat();
        let memory = self.memory(deployment).await?;
        let cx = Cx {
            site: &deployment.site,
            distro,
            host: &*self.host,
            memory: &memory,
            secret_tags: tags,
        };
        let facts = diagnosis::facts::gather(&cx, advice.cloned()).await;
        if deployment.work.takes_away() {
            return Ok(diagnosis::diagnose_ground(&facts));
        }
        let mut found = diagnosis::diagnose(&facts);
        if found.is_empty() {
            // Gone by now, and still what it has ended with.
            found.extend(advice.cloned());
        }
        Ok(found)
    }

    /// What a good deployment has left, to tell drift from it. A host that cannot be asked leaves none.
    async fn baseline(
        &self,
        deployment: &Deployment,
        tags: &BTreeMap<String, String>,
    ) -> Result<Option<String>, LedgerError> {
        let Ok(Ok(distro)) = self.host.system().await.map(|system| distro::detect(&system)) else {
            return Ok(None);
        };
        let memory = self.memory(deployment).await?;
        let cx = Cx {
            site: &deployment.site,
            distro,
            host: &*self.host,
            memory: &memory,
            secret_tags: tags,
        };
        let salt = uuid::Uuid::new_v4().to_string();
        let anew = deployment.work == Work::Deploy && deployment.site.overwrite_env;
        let baseline = Baseline::now(&cx, &salt).await;
        let baseline = baseline.map(|baseline| gone::carried_over(&cx, baseline, anew));
        let baseline = baseline.inspect_err(
            |error| log::warn!(error = crate::chain(error); "what a deployment has left cannot be read"),
        );
        Ok(baseline.ok().map(|baseline| baseline.text()))
    }

    async fn walk(
        &self,
        deployment: &Deployment,
        secrets: &Secrets,
        tags: &BTreeMap<String, String>,
        stop: &CancellationToken,
    ) -> Result<Result<DeploymentResult, (DeploymentState, Option<Advice>)>, LedgerError> {
        let distro = match self
            .host
            .system()
            .await
            .map_err(StepError::from)
            .and_then(|system| distro::detect(&system).map_err(StepError::Final))
        {
            Ok(distro) => distro,
            Err(error) => return Ok(Err((DeploymentState::Failed, Some(system_advice(error))))),
        };
        let mut adopted = self.adopt(deployment, stop).await?;
        if matches!(&adopted, Some((_, _, ended)) if ended.outcome == Outcome::Cancelled) {
            return Ok(Err((DeploymentState::Cancelled, None)));
        }
        if let Some(advice) = self.foreign_change(deployment, distro, tags).await? {
            return Ok(Err((DeploymentState::Blocked, Some(advice))));
        }
        let finished = self.finished_before(deployment).await?;
        let intent = Intent {
            site: &deployment.site,
            distro,
        };
        let steps: Vec<_> = plan::steps_of(self.steps_for(deployment.work), intent).collect();
        for (at, step) in steps.iter().copied().enumerate() {
            let memory = self.memory(deployment).await?;
            let began = Instant::now();
            let adopted = adopted
                .take_if(|(of, ..)| *of == step.step_id())
                .map(|(_, stream, ended)| (stream, ended));
            let mut walk = Walk {
                engine: self,
                deployment,
                secrets,
                tags,
                stop,
                step,
                distro,
                memory,
                adopted,
            };
            let mut report = walk.step(finished.contains(&step.step_id())).await?;
            report.mask(secrets);
            if !(report.end == StepEnd::Satisfied && finished.contains(&step.step_id())) {
                self.tell(deployment, step, &report, began).await?;
            }
            match report.end {
                StepEnd::Satisfied | StepEnd::Done => {}
                StepEnd::Blocked => {
                    let advice = report
                        .advice
                        .map(|advice| whats_left(deployment, &steps[at..], advice));
                    return Ok(Err((DeploymentState::Blocked, advice)));
                }
                StepEnd::Cancelled => return Ok(Err((DeploymentState::Cancelled, None))),
                StepEnd::Failed | StepEnd::Unknown => {
                    let advice = report
                        .advice
                        .map(|advice| whats_left(deployment, &steps[at..], advice));
                    return Ok(Err((DeploymentState::Failed, advice)));
                }
            }
        }
        if deployment.work.takes_away() {
            return Ok(Ok(DeploymentResult::default()));
        }
        let memory = self.memory(deployment).await?;
        let cx = Cx {
            site: &deployment.site,
            distro,
            host: &*self.host,
            memory: &memory,
            secret_tags: tags,
        };
        Ok(Ok(self.result(&cx).await))
    }

    /// Waits for the end of the effect that an earlier life began and never concluded, before anything else is done:
    /// it may still be at work.
    async fn adopt(
        &self,
        deployment: &Deployment,
        stop: &CancellationToken,
    ) -> Result<Option<(StepId, u32, Ended)>, LedgerError> {
        let id = deployment.id;
        let open = self
            .ledger
            .with(move |db| deployments::open_effect(db, id))
            .await?;
        let Some(effect) = open else { return Ok(None) };
        let ended = self.runner.adopt(id, effect.stream, stop).await;
        let (domain, stored) = (deployment.site.domain.to_string(), ended.clone());
        self.ledger
            .with(move |db| deployments::conclude(db, id, effect.stream, &domain, &stored))
            .await?;
        Ok(Some((effect.step, effect.stream, ended)))
    }

    /// Why what would be done from here on is not what was approved. At the first start it is kept for the next ones.
    async fn foreign_change(
        &self,
        deployment: &Deployment,
        distro: &'static distro::Distro,
        tags: &BTreeMap<String, String>,
    ) -> Result<Option<Advice>, LedgerError> {
        let memory = BTreeMap::new();
        let now = Approved::of(
            self.steps_for(deployment.work),
            Cx {
                site: &deployment.site,
                distro,
                host: &*self.host,
                memory: &memory,
                secret_tags: tags,
            },
        );
        let id = deployment.id.to_string();
        let kept = self.ledger.with(move |db| match Approved::find(db, &id)? {
            Some(approved) => Ok(approved.foreign_change(&now)),
            None => now.keep(db, &id).map(|()| None),
        });
        kept.await
    }

    async fn result(&self, cx: &Cx<'_>) -> DeploymentResult {
        let handover = super::chapters::handover::handover(cx).await;
        let handover = handover
            .inspect_err(|error| log::warn!(error = crate::chain(error); "the handover cannot be made"))
            .ok()
            .map(Box::new);
        let values = cx.memory.iter().filter_map(|(key, value)| {
            key.strip_prefix("installer.")
                .map(|key| (key.to_owned(), value.clone()))
        });
        DeploymentResult {
            values: values.collect(),
            handover,
            ..DeploymentResult::default()
        }
    }

    pub(super) async fn memory(
        &self,
        deployment: &Deployment,
    ) -> Result<BTreeMap<String, String>, LedgerError> {
        let domain = deployment.site.domain.to_string();
        self.ledger.with(move |db| deployments::memory(db, &domain)).await
    }

    async fn finished_before(&self, deployment: &Deployment) -> Result<HashSet<StepId>, LedgerError> {
        let id = deployment.id;
        let mut finished = HashSet::new();
        let mut seq = 0;
        loop {
            let events = self
                .ledger
                .with(move |db| outbox::of_deployment(db, id, seq))
                .await?;
            let Some(last) = events.last() else {
                return Ok(finished);
            };
            seq = last.seq;
            finished.extend(events.into_iter().filter_map(|event| match event.what {
                What::StepFinished {
                    step,
                    end: StepEnd::Satisfied | StepEnd::Done,
                    ..
                } => Some(step),
                _ => None,
            }));
        }
    }

    async fn tell(
        &self,
        deployment: &Deployment,
        step: &dyn Step,
        report: &StepReport,
        began: Instant,
    ) -> Result<(), LedgerError> {
        let what = What::StepFinished {
            step: step.step_id(),
            end: report.end,
            saw: report.saw.clone(),
            millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            advice: report.advice.clone(),
            stream: report.stream,
            output_bytes: report.output_bytes,
        };
        let is_well = matches!(report.end, StepEnd::Satisfied | StepEnd::Done);
        if let Some(advice) = report.advice.as_ref().filter(|_| !is_well) {
            log::warn!(deployment:% = deployment.id, step = step.id(), code:% = advice.code; "a step did not end well");
        } else {
            log::info!(deployment:% = deployment.id, step = step.id(), end:? = report.end; "a step has ended");
        }
        let (id, now) = (deployment.id, self.host.now_ms());
        self.ledger
            .with(move |db| outbox::record(db, now, Some(id), &what))
            .await
    }
}

/// Where taking away has stopped, what has not been taken away yet is told; running it again goes on from there.
fn whats_left(deployment: &Deployment, steps: &[&'static dyn Step], advice: Advice) -> Advice {
    if !deployment.work.takes_away() {
        return advice;
    }
    let left = steps.iter().map(|step| format!("not done yet: {}", step.title()));
    advice.with_evidence(left.chain(["run `uninstall` again: it goes on from here".to_owned()]))
}

fn system_advice(error: StepError) -> Advice {
    match error {
        StepError::Final(advice) | StepError::Passing(advice) => *advice,
        other => Advice::new(
            "SYSTEM_UNREADABLE",
            crate::chain(&other),
            "a readable /etc/os-release",
            "look at /etc/os-release on the host",
        ),
    }
}

#[cfg(test)]
pub(crate) mod tests;
