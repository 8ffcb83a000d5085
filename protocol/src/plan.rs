//! A plan: what a deployment would do, computed without any effect.

use crate::names::{StepId, shown};
use crate::report::Verdict;
use crate::site::Site;
use crate::work::Work;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::{fmt, str::FromStr};

/// What an operator approves: the hash over [`Plan::approved_bytes`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlanHash(String);

impl PlanHash {
    /// From a SHA-256 digest.
    pub fn of(digest: &[u8]) -> Self {
        Self(crate::enrol::hex(digest))
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl FromStr for PlanHash {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let ok = text.len() == 64
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if ok {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{}` is not a plan's hash", shown(text)))
        }
    }
}

impl TryFrom<String> for PlanHash {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<PlanHash> for String {
    fn from(hash: PlanHash) -> Self {
        hash.0
    }
}

impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a step stands when the plan is made. An observation: not part of what is approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum Standing {
    /// Its check could be asked.
    Known {
        /// The verdict.
        #[serde(flatten)]
        verdict: Verdict,
    },
    /// Its check has no meaning before another step is done.
    DecidedAfter {
        /// That step.
        step: StepId,
    },
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// Which step.
    pub id: StepId,
    /// What it is about, for people.
    pub title: String,
    /// What it will do if it is needed, one line each.
    pub effects: Vec<String>,
    /// How it stands now.
    #[serde(flatten)]
    pub standing: Standing,
}

/// What a deployment of a site would do on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of the recipe inside the agent.
    pub recipe: u32,
    /// The distribution that the steps were chosen for.
    pub distribution: String,
    /// The inputs.
    pub site: Site,
    /// What is done with the site.
    #[serde(default, skip_serializing_if = "Work::is_deploy")]
    pub work: Work,
    /// A keyed tag of each secret, so that a changed secret is a changed plan.
    pub secret_tags: BTreeMap<String, String>,
    /// The steps, in order.
    pub steps: Vec<PlannedStep>,
    /// The hash over all of this but the standings.
    pub hash: PlanHash,
}

impl Plan {
    /// What is approved: inputs, recipe version, distribution, ordered steps and intended effects.
    pub fn approved_bytes(
        recipe: u32,
        distribution: &str,
        site: &Site,
        secret_tags: &BTreeMap<String, String>,
        steps: &[PlannedStep],
    ) -> Result<Vec<u8>, serde_json::Error> {
        let steps: Vec<_> = steps.iter().map(|step| (&step.id, &step.effects)).collect();
        serde_json::to_vec(&("chatalot-plan-v1", recipe, distribution, site, secret_tags, steps))
    }
}
