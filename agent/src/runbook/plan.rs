//! The plan: every step asked without any effect, and the hash over what an operator approves.

use super::engine_version;
use super::{Cx, Intent, RECIPE, Step, StepError};
use crate::host::HostError;
use crate::ledger::LedgerError;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::enrol::hex;
use chatalot_protocol::plan::{Plan, PlanHash, PlannedStep, Standing};
use chatalot_protocol::report::{Finding, Verdict};
use chatalot_protocol::site::Secrets;
use chatalot_protocol::work::Work;
use ring::{digest, hmac};
use std::collections::BTreeMap;
use std::time::Instant;

/// Keyed tags of the secrets: equal exactly when the secrets are, and of no use to anybody else.
pub fn secret_tags(key: &str, secrets: &Secrets) -> BTreeMap<String, String> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    secrets
        .present()
        .map(|(name, secret)| {
            let tag = hmac::sign(&key, secret.expose().as_bytes());
            (name.to_owned(), hex(&tag.as_ref()[..16]))
        })
        .collect()
}

/// The steps that a site has, in order.
pub fn steps_of<'a>(
    steps: &'a [&'static dyn Step],
    intent: Intent<'a>,
) -> impl Iterator<Item = &'static dyn Step> + 'a {
    steps.iter().copied().filter(move |step| step.applies_to(&intent))
}

/// The plan for a site on this host. Asks every check that can be asked, and changes nothing.
pub async fn make(steps: &[&'static dyn Step], cx: Cx<'_>) -> Result<Plan, LedgerError> {
    let intent = Intent {
        site: cx.site,
        distro: cx.distro,
    };
    let mut planned: Vec<PlannedStep> = Vec::new();
    for step in steps_of(steps, intent) {
        let standing = match awaited(&planned, step) {
            Some(first) => Standing::DecidedAfter { step: first },
            None => standing(&planned, step, &cx).await,
        };
        planned.push(PlannedStep {
            id: step.step_id(),
            title: step.title().to_owned(),
            effects: step.effects(&intent),
            standing,
        });
    }
    let hash = hash(cx, &planned)?;
    Ok(Plan {
        recipe: RECIPE,
        work: Work::Deploy,
        distribution: cx.distro.name.to_owned(),
        site: cx.site.clone(),
        secret_tags: cx.secret_tags.clone(),
        steps: planned,
        hash,
    })
}

/// The hash of a site's plan, without asking any check.
pub fn hash_of(steps: &[&'static dyn Step], cx: Cx<'_>) -> Result<PlanHash, LedgerError> {
    let intent = Intent {
        site: cx.site,
        distro: cx.distro,
    };
    let planned: Vec<PlannedStep> = steps_of(steps, intent)
        .map(|step| PlannedStep {
            id: step.step_id(),
            title: String::new(),
            effects: step.effects(&intent),
            standing: Standing::DecidedAfter { step: step.step_id() },
        })
        .collect();
    hash(cx, &planned)
}

fn hash(cx: Cx<'_>, planned: &[PlannedStep]) -> Result<PlanHash, LedgerError> {
    let bytes = Plan::approved_bytes(RECIPE, cx.distro.name, cx.site, cx.secret_tags, planned)?;
    Ok(PlanHash::of(digest::digest(&digest::SHA256, &bytes).as_ref()))
}

/// The step that this one has to wait for, if that one is not satisfied yet.
fn awaited(planned: &[PlannedStep], step: &dyn Step) -> Option<chatalot_protocol::names::StepId> {
    let mut after = step.after()?;
    let first = loop {
        match planned.iter().find(|earlier| *earlier.id.0 == *after) {
            Some(first) => break first,
            // One that this site does not have passes on what it would wait for itself.
            None => after = super::step(after)?.after()?,
        }
    };
    match &first.standing {
        Standing::Known { verdict } if verdict.is_satisfied() => None,
        Standing::Known { .. } => Some(first.id.clone()),
        Standing::DecidedAfter { step } => Some(step.clone()),
    }
}

/// How a step stands that awaits no other one. What the host cannot be asked while an earlier step has work to do,
/// such as an engine that is yet to be started, is asked after that one.
async fn standing(planned: &[PlannedStep], step: &dyn Step, cx: &Cx<'_>) -> Standing {
    let verdict = match step.check(cx).await {
        Ok(verdict) => verdict,
        Err(error) => {
            let to_do = planned.iter().find(|earlier| {
                matches!(
                    &earlier.standing,
                    Standing::Known {
                        verdict: Verdict::Needed { .. }
                    }
                )
            });
            match (&error, to_do) {
                (StepError::Host(_), Some(first)) => {
                    return Standing::DecidedAfter {
                        step: first.id.clone(),
                    };
                }
                _ => advice_of(step, error).into(),
            }
        }
    };
    Standing::Known { verdict }
}

/// What a check says, its failure being a finding too.
pub async fn verdict(step: &dyn Step, cx: &Cx<'_>) -> Verdict {
    step.check(cx)
        .await
        .unwrap_or_else(|error| advice_of(step, error).into())
}

/// The findings of one chapter.
pub async fn report(steps: &[&'static dyn Step], cx: Cx<'_>, chapter: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let intent = Intent {
        site: cx.site,
        distro: cx.distro,
    };
    for step in steps_of(steps, intent).filter(|step| step.step_id().chapter() == chapter) {
        let began = Instant::now();
        let verdict = verdict(step, &cx).await;
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        findings.push(Finding {
            step: step.step_id(),
            title: step.title().to_owned(),
            verdict,
            millis,
        });
    }
    findings
}

/// A failed check or effect as advice.
pub fn advice_of(step: &dyn Step, error: StepError) -> Advice {
    told(step.title(), error)
}

/// What could not be done to a host, as advice.
pub fn told(title: &str, error: StepError) -> Advice {
    match error {
        StepError::Final(advice) | StepError::Passing(advice) => *advice,
        StepError::Host(error @ HostError::Engine(_)) => engine_version::engine_down(crate::chain(&error)),
        error @ (StepError::Host(_) | StepError::Probe(_)) => Advice::new(
            "HOST_DID_NOT_ANSWER",
            crate::chain(&error),
            format!("an answer to `{title}`"),
            "look at `journalctl -u chatalot-agent` on the host, mend what it names, then deploy again",
        ),
    }
}
