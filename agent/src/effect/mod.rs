//! Effects: applying a step, in a process of its own.
//!
//! A child of the daemon would die with it and leave a package manager half done. So every effect outside the
//! state folder runs as `chatalot-agent run-step`, in its own transient unit, which reads a 0600 job file and
//! leaves its output and its result in files beside it. The daemon starts the unit, tails the output, and finds
//! the result however often it was started anew meanwhile.

#[cfg(any(test, feature = "fake"))]
pub mod fake;
pub mod folder;
pub mod run_step;
pub mod systemd;

use crate::host::PortOwner;
use crate::runbook::StepError;
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::names::{DeploymentId, StepId};
use chatalot_protocol::site::{Secrets, Site};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

/// What the names of the units of steps begin with.
pub const UNITS: &str = "chatalot-step-";

/// Whether a port belongs to a step at work, as to the one that is looked for from outside.
pub fn is_at_work(owner: &PortOwner) -> bool {
    owner.unit.as_deref().is_some_and(|unit| unit.starts_with(UNITS))
}

/// Everything that applying a step needs to know, as it is written into the job file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectJob {
    /// The deployment.
    pub deployment: DeploymentId,
    /// The number of its log stream within the deployment.
    pub stream: u32,
    /// The step.
    pub step: StepId,
    /// The site.
    pub site: Site,
    /// Its secrets.
    pub secrets: Secrets,
    /// What earlier steps left to be remembered.
    pub memory: BTreeMap<String, String>,
    /// Keyed tags of the secrets.
    pub secret_tags: BTreeMap<String, String>,
}

/// How an effect ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It was applied.
    Done {
        /// What it leaves to be remembered.
        remember: BTreeMap<String, String>,
    },
    /// It failed, and trying again changes nothing.
    Final {
        /// What to do.
        advice: Advice,
    },
    /// It failed in a way that may pass.
    Passing {
        /// What to do if it does not.
        advice: Advice,
    },
    /// The host could not be asked or told.
    Failed {
        /// The whole chain of causes.
        why: String,
    },
    /// It ended without a result: killed, out of time or memory, or the host was switched off.
    Lost {
        /// What is known of it.
        why: String,
    },
    /// It was ended on request.
    Cancelled,
}

impl From<StepError> for Outcome {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Final(advice) => Self::Final { advice: *advice },
            StepError::Passing(advice) => Self::Passing { advice: *advice },
            error @ (StepError::Host(_) | StepError::Probe(_)) => Self::Failed {
                why: crate::chain(&error),
            },
        }
    }
}

/// An effect's end, as it is written into the result file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How long its output is.
    pub output_bytes: u64,
}

/// Runs effects so that they outlive their starter.
#[async_trait]
pub trait Runner: Send + Sync {
    /// Starts an effect whose intent is on disk, and waits for its end. Dropping the future leaves it running.
    async fn start(&self, job: &EffectJob, stop: &CancellationToken) -> Ended;
    /// Waits for the end of an effect that an earlier life of the agent began, or may have.
    async fn adopt(&self, deployment: DeploymentId, stream: u32, stop: &CancellationToken) -> Ended;
}
