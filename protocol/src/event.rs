//! What happened on a host, in order.

use crate::advice::Advice;
use crate::handover::Handover;
use crate::names::{DeploymentId, StepId};
use crate::plan::PlanHash;
use crate::report::{CheckState, DeploymentState, Level};
use crate::work::Work;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// One event. `(host, stream epoch, seq)` names it for ever; a repeated one is the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Counts up by one within a stream epoch, from wherever the agent begins.
    pub seq: u64,
    /// The host's clock, in milliseconds since 1970.
    pub at_ms: i64,
    /// The deployment it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentId>,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// How a step of a deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepEnd {
    /// It was so already; nothing was done.
    Satisfied,
    /// It was applied, and is so now.
    Done,
    /// A person has to act.
    Blocked,
    /// Applying it failed, or did not have the effect.
    Failed,
    /// It was ended on request.
    Cancelled,
    /// A newer word than this build knows.
    #[serde(other)]
    Unknown,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// The host has taken up a deployment.
    DeploymentStarted {
        /// The approved plan.
        plan: PlanHash,
        /// The domain.
        domain: String,
        /// What is done with it.
        #[serde(default, skip_serializing_if = "Work::is_deploy")]
        work: Work,
        /// The steps with their titles, in order.
        steps: Vec<(StepId, String)>,
    },
    /// The agent was started again and goes on with a deployment.
    DeploymentResumed {
        /// Why it had to: `agent restarted`, `host rebooted`.
        because: String,
    },
    /// A step is being checked or applied.
    StepStarted {
        /// Which one.
        step: StepId,
        /// Which attempt at applying it, from one; zero while it is only checked.
        attempt: u32,
        /// The log stream of its output, unique within the deployment; zero when there is none.
        stream: u32,
        /// Why it is applied: what the check found missing, or how the last attempt ended.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// A step has ended.
    StepFinished {
        /// Which one.
        step: StepId,
        /// How.
        end: StepEnd,
        /// What the last check saw.
        saw: String,
        /// How long it took, all attempts together.
        millis: u64,
        /// What to do where it did not end well, or what a person should know although it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        advice: Option<Advice>,
        /// The log stream of the last attempt; zero when there is none.
        stream: u32,
        /// How many bytes of output that stream has.
        output_bytes: u64,
    },
    /// A deployment is over.
    DeploymentFinished {
        /// How.
        state: DeploymentState,
        /// What to do, where it did not end well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        advice: Option<Advice>,
        /// What a look at the host found behind it, causes first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        diagnosis: Vec<Advice>,
        /// The installer's own `key=value` lines.
        #[serde(default)]
        values: BTreeMap<String, String>,
        /// The handover, when it succeeded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handover: Option<Box<Handover>>,
    },
    /// The level of the host has changed.
    LevelChanged {
        /// What it was.
        from: Level,
        /// What it is.
        to: Level,
        /// The check that decided it.
        cause: CheckState,
    },
    /// Output of a step is gone from the host before it was passed on.
    Gap {
        /// The log stream.
        stream: u32,
        /// The first byte that is missing.
        from: u64,
        /// The first byte after that.
        to: u64,
    },
    /// Something that a person must see, whatever else is well: the policy of the host cannot be used, its audit was
    /// tampered with.
    Alarm {
        /// What to do; its code names the alarm.
        advice: Advice,
    },
    /// It is over.
    AlarmOver {
        /// Which alarm.
        code: Cow<'static, str>,
    },
    /// The agent has started.
    AgentStarted {
        /// Its version.
        version: String,
        /// Whether the host has booted since the last start.
        rebooted: bool,
    },
    /// Something that this build does not know.
    #[serde(other)]
    Unknown,
}
