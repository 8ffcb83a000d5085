//! What is wrong here, and what is not as it was left: asked by a person, answered by looking.

use super::{Service, refused};
use crate::ledger::deployments::Deployment;
use crate::ledger::{LedgerError, deployments as records, outbox};
use crate::runbook::diagnosis::{self, Facts, bundle, facts};
use crate::runbook::drift::{self, Baseline};
use crate::runbook::{Cx, plan};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::message::Answer;
use chatalot_protocol::report::DeploymentState;
use chatalot_protocol::work::Work;
use std::collections::BTreeMap;

/// What a person may ask to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inspection {
    Diagnose,
    Bundle,
    Drift,
}

impl Service {
    pub(super) async fn inspect(&self, what: Inspection) -> Result<Answer, LedgerError> {
        let made = self.ledger.with(|db| records::made(db, Work::Uninstall)).await?;
        let Some(made) = made else {
            return Ok(refused(Advice::new(
                "NOTHING_DEPLOYED",
                "no deployment on this host yet",
                "a deployment, whatever came of it",
                "deploy first; `preflight` tells what a host lacks before that",
            )));
        };
        let distro = match self.deployments.distro().await {
            Ok(distro) => distro,
            Err(advice) => return Ok(refused(advice)),
        };
        let memory = self.deployments.memory(&made.site).await?;
        let tags = BTreeMap::new();
        let cx = Cx {
            site: &made.site,
            distro,
            host: &*self.host,
            memory: &memory,
            secret_tags: &tags,
        };
        if what == Inspection::Drift {
            return Ok(drifted(&cx).await);
        }
        let ill = matches!(made.state, DeploymentState::Failed | DeploymentState::Blocked);
        let last = made.result.advice.clone().filter(|_| ill);
        let facts = facts::gather(&cx, last).await;
        if what == Inspection::Bundle {
            return self.bundle(&cx, &made, &facts).await;
        }
        Ok(Answer::Diagnosis {
            domain: made.site.domain.to_string(),
            found: diagnosis::diagnose(&facts),
        })
    }

    async fn bundle(&self, cx: &Cx<'_>, made: &Deployment, facts: &Facts) -> Result<Answer, LedgerError> {
        let id = made.id;
        let (events, effects) = self
            .ledger
            .with(move |db| Ok((outbox::of_deployment(db, id, 0)?, records::effects_of(db, id)?)))
            .await?;
        let streams: Vec<_> = effects
            .iter()
            .map(|one| (one.stream, one.step.to_string()))
            .collect();
        let past = bundle::Past {
            events: &events,
            folder: &self.state.join("jobs").join(id.to_string()),
            streams: &streams,
        };
        Ok(match bundle::text(cx, facts, &past).await {
            Ok(text) => Answer::Bundle { text },
            Err(error) => refused(plan::told("diagnose --bundle", error.into())),
        })
    }
}

async fn drifted(cx: &Cx<'_>) -> Answer {
    let Some(then) = Baseline::of(cx.memory) else {
        return refused(Advice::new(
            "DRIFT_UNKNOWN",
            "nothing remembered of how a good deployment left this site",
            "a deployment that ended well, by this version of the agent",
            "deploy again: what is in place is kept, and remembered",
        ));
    };
    match drift::drift(cx, &then).await {
        Ok(rows) => Answer::Drift { rows },
        Err(error) => refused(plan::told("drift", error)),
    }
}
