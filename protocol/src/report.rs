//! What checks found: the verdict on one step, a report over several, and the state of a watched host.

use crate::advice::Advice;
use crate::names::{DeploymentId, StepId};
use serde::{Deserialize, Serialize};

/// The verdict of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Satisfied {
        /// What shows it, in a few words.
        saw: String,
        /// What a person should know all the same: something that cannot be told from here, or should be better.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Box<Advice>>,
    },
    /// Not yet; applying the step is meant to change that.
    Needed {
        /// What is missing, in a few words.
        why: String,
    },
    /// Not, and the agent may not or cannot change it.
    Blocked {
        /// What to do.
        advice: Advice,
    },
}

impl Verdict {
    /// As it should be, because of what was seen.
    pub fn satisfied(saw: impl Into<String>) -> Self {
        Self::Satisfied {
            saw: saw.into(),
            note: None,
        }
    }

    /// As it should be, with what a person should know all the same.
    pub fn noted(saw: impl Into<String>, note: Option<Advice>) -> Self {
        Self::Satisfied {
            saw: saw.into(),
            note: note.map(Box::new),
        }
    }

    /// Not yet, because of what is missing.
    pub fn needed(why: impl Into<String>) -> Self {
        Self::Needed { why: why.into() }
    }

    /// Whether it is as it should be.
    pub const fn is_satisfied(&self) -> bool {
        matches!(self, Self::Satisfied { .. })
    }
}

impl From<Advice> for Verdict {
    fn from(advice: Advice) -> Self {
        Self::Blocked { advice }
    }
}

/// One step's verdict, with its title for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which step.
    pub step: StepId,
    /// What the step is about.
    pub title: String,
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How long the check took.
    #[serde(default)]
    pub millis: u64,
}

/// One thing that a deployment has left, and how it is now: names, digests and tags, never a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// What it is: `checkout`, `.env DB_PASSWORD`, `container chatalot`.
    pub thing: String,
    /// As the last good deployment left it.
    pub wanted: String,
    /// As it is now.
    pub actual: String,
    /// Whether that is the same.
    pub same: bool,
}

/// How well a site is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Everything answers as it should.
    Ok,
    /// It works, but something needs attention.
    Degraded,
    /// Users cannot use it.
    Down,
    /// Nothing is known (yet), or a newer word than this build knows.
    #[default]
    #[serde(other)]
    Unknown,
}

/// The last word of one ongoing check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckState {
    /// The check's name.
    pub check: String,
    /// Its level after hysteresis.
    pub level: Level,
    /// What it saw.
    pub saw: String,
    /// What to do, where something is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
    /// Since when it is at this level, in milliseconds since 1970.
    pub since_ms: i64,
}

/// How a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    /// Known to the controller, not yet taken up by the host.
    Queued,
    /// Being worked on.
    Running,
    /// Every step is satisfied.
    Succeeded,
    /// A step is blocked: a person has to act, then deploy again.
    Blocked,
    /// A step failed.
    Failed,
    /// Ended on request.
    Cancelled,
    /// The host refused to start it.
    Refused,
    /// A newer word than this build knows.
    #[serde(other)]
    Unknown,
}

impl DeploymentState {
    /// Whether nothing more will happen.
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running | Self::Unknown)
    }
}

/// What a host's policy lets be done to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PolicyView {
    /// Its rules in words.
    pub words: Vec<String>,
    /// Why it cannot be used, so that everything is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
}

/// What a host says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The agent's version.
    pub version: String,
    /// How long the agent has been running.
    pub uptime_secs: u64,
    /// The worst of all checks.
    pub level: Level,
    /// Each check.
    pub checks: Vec<CheckState>,
    /// The watched domain, once something has been deployed.
    pub domain: Option<String>,
    /// The latest deployment.
    pub deployment: Option<(DeploymentId, DeploymentState)>,
    /// The controller that this host has joined.
    pub controller: Option<String>,
    /// Whether the controller has acknowledged the present session.
    pub connected: bool,
    /// What its policy allows, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyView>,
}
