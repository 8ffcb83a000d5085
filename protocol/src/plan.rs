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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::Inputs;
    use std::collections::BTreeSet;

    fn step(id: &str, effect: &str) -> PlannedStep {
        PlannedStep {
            id: StepId(id.to_owned().into()),
            title: id.to_owned(),
            effects: vec![effect.to_owned()],
            standing: Standing::DecidedAfter {
                step: StepId(id.to_owned().into()),
            },
        }
    }

    #[test]
    fn the_hash_covers_recipe_distribution_inputs_secrets_the_order_of_steps_and_their_effects_and_no_standing()
     {
        let site = |domain: &str| {
            let inputs = Inputs {
                domain: Some(domain.to_owned()),
                admin_username: Some("alice".to_owned()),
                ..Inputs::default()
            };
            inputs.complete().unwrap().0
        };
        let tags = |tag: &str| BTreeMap::from([("registry_token".to_owned(), tag.to_owned())]);
        let (one, two) = (step("a.one", "makes one"), step("a.two", "makes two"));
        let steps = [one.clone(), two.clone()];
        let hash = |recipe, distribution: &str, domain: &str, tag: &str, steps: &[PlannedStep]| {
            Plan::approved_bytes(recipe, distribution, &site(domain), &tags(tag), steps).unwrap()
        };
        let approved = hash(1, "Debian 13", "a.example.com", "t", &steps);
        let others = [
            hash(2, "Debian 13", "a.example.com", "t", &steps),
            hash(1, "Debian 12", "a.example.com", "t", &steps),
            hash(1, "Debian 13", "b.example.com", "t", &steps),
            hash(1, "Debian 13", "a.example.com", "u", &steps),
            hash(1, "Debian 13", "a.example.com", "t", &[two.clone(), one.clone()]),
            hash(1, "Debian 13", "a.example.com", "t", &steps[..1]),
            hash(
                1,
                "Debian 13",
                "a.example.com",
                "t",
                &[step("a.one", "makes more"), two.clone()],
            ),
        ];
        let different: BTreeSet<_> = others.iter().chain([&approved]).collect();
        assert_eq!(different.len(), others.len() + 1);

        let title = PlannedStep {
            title: "One".to_owned(),
            ..one
        };
        let later = Standing::DecidedAfter { step: two.id.clone() };
        let standing = PlannedStep {
            standing: later,
            ..title
        };
        assert_eq!(
            hash(1, "Debian 13", "a.example.com", "t", &[standing, two]),
            approved
        );
    }
}
