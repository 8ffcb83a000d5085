//! What to do: the runbook as steps.
//!
//! | module | what |
//! |---|---|
//! | [`chapters`] | the runbook's chapters, one file each, each with its `STEPS` table |
//! | [`distro`] | every distribution, one row each |
//! | [`proxies`] | every reverse proxy, one file each |
//! | [`firewalls`] | the host's own firewalls, one file each |
//! | [`repositories`] | package repositories of third parties: keys, files, mirrors |
//! | [`made`] | what is taken back because it was written down before it was done |
//! | [`gone`] | files below `secrets/` that are there no more |
//! | [`packaging`], [`engine_version`], [`containers`], [`answer`], [`recent`], `cloudflare`, `evidence` | what several chapters judge by |
//! | [`engine`], `walk` | the loop: check → apply → check |
//! | [`outside`] | what the controller sees from outside, and what it means |
//! | [`output`] | what a step's commands write, scrubbed and capped |
//! | [`diagnosis`], [`drift`] | what is wrong and why, and what is not as it was left |
//! | [`plan`] | the same steps, asked without any effect |
//! | [`approval`] | what was approved, against what would be done now |
//!
//! A step is a desired state. Running the whole runbook again *is* recovery; there is no other resume path.

pub mod answer;
pub mod approval;
pub mod chapters;
mod cloudflare;
pub mod containers;
pub mod diagnosis;
pub mod distro;
pub mod drift;
pub mod engine;
pub mod engine_version;
mod evidence;
pub mod firewalls;
pub mod gone;
pub mod made;
pub mod output;
pub mod outside;
pub mod packaging;
pub mod patience;
pub mod plan;
pub mod proxies;
pub mod recent;
pub mod repositories;
pub mod route;
mod walk;

#[cfg(test)]
mod laws;

use crate::host::{Act, HostError, Look};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::names::StepId;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::{Secrets, Site};
use distro::Distro;
use std::collections::BTreeMap;
use std::time::Duration;

/// The version of the recipe: raised whenever a step's meaning changes, so that an old approval does not cover it.
pub const RECIPE: u32 = 1;

/// One step of the runbook: a desired state, how to see it, and how to bring it about.
#[async_trait]
pub trait Step: Sync {
    /// Its stable name, `chapter.step`.
    fn id(&self) -> &'static str;

    /// What it is about, in a few words for people.
    fn title(&self) -> &'static str;

    /// Whether this site has it at all.
    fn applies(&self, _site: &Site) -> bool {
        true
    }

    /// Whether this site has it on this distribution.
    fn applies_to(&self, intent: &Intent<'_>) -> bool {
        self.applies(intent.site)
    }

    /// The step without which its check has no meaning yet.
    fn after(&self) -> Option<&'static str> {
        None
    }

    /// What applying it does, one line each: part of what is approved. Empty for a probe.
    fn effects(&self, _intent: &Intent<'_>) -> Vec<String> {
        Vec::new()
    }

    /// The packages that applying it may install: what a policy judges by.
    fn packages(&self, _intent: &Intent<'_>) -> Vec<&'static str> {
        Vec::new()
    }

    /// The package repositories of third parties that applying it may add: what a policy judges by.
    fn repositories(&self, _intent: &Intent<'_>) -> Vec<&'static str> {
        Vec::new()
    }

    /// How long applying it may take.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// How long an unsatisfied check is repeated before it is believed: after applying, and for a probe.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    /// How long what may pass by itself is tried again, where that is less than for others.
    fn budget(&self) -> Duration {
        Duration::MAX
    }

    /// Looks at the effect, never at what we wrote.
    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError>;

    /// Brings it about; safe to repeat and to be cut off anywhere. A probe has nothing to apply.
    async fn apply(&self, _cx: &ActCx<'_>) -> Result<Applied, StepError> {
        Err(StepError::Probe(self.id()))
    }

    /// The id as it travels.
    fn step_id(&self) -> StepId {
        StepId::known(self.id())
    }
}

/// What applying a step leaves to be remembered, besides its effect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Facts for later checks and the handover, kept with the outcome: `commit`, `installer.public_url`, …
    pub remember: BTreeMap<String, String>,
}

/// How long applying a step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// All of it.
    pub deadline: Duration,
    /// Silence on its output.
    pub idle: Duration,
    /// Whether it may be ended on request before it is done.
    pub interruptible: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_mins(10),
            idle: Duration::from_mins(10),
            interruptible: true,
        }
    }
}

/// What a plan is made from: nothing that could change under way.
#[derive(Clone, Copy)]
pub struct Intent<'a> {
    /// The site.
    pub site: &'a Site,
    /// The host's distribution.
    pub distro: &'static Distro,
}

/// All that a check may touch.
#[derive(Clone, Copy)]
pub struct Cx<'a> {
    /// The site.
    pub site: &'a Site,
    /// The host's distribution.
    pub distro: &'static Distro,
    /// The host, to be read.
    pub host: &'a dyn Look,
    /// What earlier steps and deployments of this site left to be remembered.
    pub memory: &'a BTreeMap<String, String>,
    /// Keyed tags of the site's secrets: equal exactly when the secrets are.
    pub secret_tags: &'a BTreeMap<String, String>,
}

/// All that an effect may touch.
#[derive(Clone, Copy)]
pub struct ActCx<'a> {
    /// The same that the check saw.
    pub look: Cx<'a>,
    /// The host, to be changed.
    pub host: &'a dyn Act,
    /// The site's secrets.
    pub secrets: &'a Secrets,
}

/// Why a step could not be checked or applied.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A finding with its fix; trying again changes nothing.
    #[error("{}", .0.code)]
    Final(Box<Advice>),
    /// A finding that may pass by itself, such as a network that is away: tried again for a while.
    #[error("{}", .0.code)]
    Passing(Box<Advice>),
    /// The host could not be asked or told.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A probe was applied, which only a mistake in the engine can do.
    #[error("`{0}` only looks; it has nothing to apply")]
    Probe(&'static str),
}

impl StepError {
    /// A finding that trying again does not change.
    pub fn last(advice: Advice) -> Self {
        Self::Final(Box::new(advice))
    }

    /// A finding that may pass by itself.
    pub fn passing(advice: Advice) -> Self {
        Self::Passing(Box::new(advice))
    }
}

/// The chapters in the order of the runbook, flattened: every step there is.
pub fn steps() -> impl Iterator<Item = &'static dyn Step> {
    chapters::CHAPTERS
        .iter()
        .flat_map(|chapter| chapter.steps.iter().copied())
}

/// A step by its name: of a deployment, of its undoing, or of opening its route.
pub fn step(id: &str) -> Option<&'static dyn Step> {
    let others = chapters::uninstall::STEPS
        .iter()
        .chain(chapters::uninstall::WITH_DATA)
        .chain(chapters::opening::STEPS)
        .chain(chapters::opening::WATCHED);
    steps().chain(others.copied()).find(|step| step.id() == id)
}
