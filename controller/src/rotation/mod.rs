//! From one root to the next, in phases that can be gone back until the last one:
//!
//! ```text
//! standby ──► publish ──► issue-new ──► serve-new ──(drop-old)──► standby, with the new root
//!                └────────────┴─────────────┴──(rollback)──► back ──(drop-new)──► standby, with the old root
//! ```
//!
//! In `publish` agents are told to trust both roots; no later phase begins while one that may come back has not said
//! that it does. From `issue-new` on the new root signs hosts' certificates, and renewals are hurried; from `serve-new`
//! on the controller shows a certificate of the new root. A root is dropped only when no host depends on it: neither by
//! what it trusts nor by the certificate that it has.
//!
//! Which phase it is stands in the database; the files of the authority are made before it begins and removed after it
//! has ended, so that a crash anywhere leaves a state that is of one phase or of the next.

mod drive;
mod replace;
mod turn;
pub mod view;

pub(crate) use drive::drive;
pub use replace::replace;
pub use turn::TurnError;

use serde::{Deserialize, Serialize};
use std::fmt;

/// How far it has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// There is one root.
    Standby,
    /// There are two, and agents learn to trust both.
    Publish,
    /// Certificates of hosts are of the new one.
    IssueNew,
    /// The controller's is, too.
    ServeNew,
    /// Everything is of the old one again, and what the new one has signed is being replaced.
    Back,
    /// A newer word than this build knows.
    #[serde(other)]
    Unknown,
}

/// What leads from one phase to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Make a root, and have agents trust it as well.
    Publish,
    /// Have the new root sign.
    IssueNew,
    /// Show a certificate of the new root.
    ServeNew,
    /// End the old root.
    DropOld,
    /// Use the old root for everything again.
    Rollback,
    /// End the new root, which is not wanted any more.
    DropNew,
    /// A newer word than this build knows.
    #[serde(other)]
    Unknown,
}

impl Step {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::IssueNew => "issue-new",
            Self::ServeNew => "serve-new",
            Self::DropOld => "drop-old",
            Self::Rollback => "rollback",
            Self::DropNew => "drop-new",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Phase {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Standby => "standby",
            Self::Publish => "publish",
            Self::IssueNew => "issue-new",
            Self::ServeNew => "serve-new",
            Self::Back => "back",
            Self::Unknown => "unknown",
        }
    }

    /// What goes on from here.
    pub const fn forward(self) -> Option<Step> {
        match self {
            Self::Standby => Some(Step::Publish),
            Self::Publish => Some(Step::IssueNew),
            Self::IssueNew => Some(Step::ServeNew),
            Self::ServeNew => Some(Step::DropOld),
            Self::Back | Self::Unknown => None,
        }
    }

    /// What goes back from here.
    pub const fn backward(self) -> Option<Step> {
        match self {
            Self::Publish | Self::IssueNew | Self::ServeNew => Some(Step::Rollback),
            Self::Back => Some(Step::DropNew),
            Self::Standby | Self::Unknown => None,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Where a controller is on its way. Roots and keys of the controller have numbers, which no other ever gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// How far it has got.
    pub phase: Phase,
    /// The root that it began with.
    pub root: u32,
    /// The one that is to follow.
    pub next: Option<u32>,
    /// The one before: what it has said for its successor is still shown, for hosts that missed that.
    pub before: Option<u32>,
    /// The last number that a root was given.
    pub made: u32,
    /// The controller's own key; the one after it is published as the next.
    pub key: u32,
    /// Of the bundle that counts.
    pub version: u64,
    /// Since when it is in this phase, in milliseconds since 1970.
    pub since_ms: i64,
    /// Since when tokens carry both pins.
    pub begun_ms: i64,
}

impl Rotation {
    /// A controller that was never rotated.
    pub const FIRST: Self = Self {
        phase: Phase::Standby,
        root: 1,
        next: None,
        before: None,
        made: 1,
        key: 1,
        version: 1,
        since_ms: 0,
        begun_ms: 0,
    };

    /// The root that signs hosts' certificates.
    pub fn issuer(&self) -> u32 {
        match (self.phase, self.next) {
            (Phase::IssueNew | Phase::ServeNew, Some(next)) => next,
            _ => self.root,
        }
    }

    /// The root whose certificates hosts are to be rid of.
    pub fn ending(&self) -> Option<u32> {
        match self.phase {
            Phase::IssueNew | Phase::ServeNew => Some(self.root),
            Phase::Back => self.next,
            Phase::Standby | Phase::Publish | Phase::Unknown => None,
        }
    }

    /// Whether the controller shows a certificate of the root that is to follow.
    pub fn serves_next(&self) -> bool {
        self.phase == Phase::ServeNew
    }

    /// Where a step leads to; `None` where it does not follow.
    pub fn after(&self, step: Step, now_ms: i64) -> Option<Self> {
        if self.phase.forward() != Some(step) && self.phase.backward() != Some(step) {
            return None;
        }
        let here = Self {
            since_ms: now_ms,
            ..*self
        };
        Some(match step {
            Step::Publish => Self {
                phase: Phase::Publish,
                next: Some(self.made + 1),
                made: self.made + 1,
                version: self.newer(now_ms),
                begun_ms: now_ms,
                ..here
            },
            Step::IssueNew => Self {
                phase: Phase::IssueNew,
                ..here
            },
            Step::ServeNew => Self {
                phase: Phase::ServeNew,
                ..here
            },
            Step::DropOld => Self {
                phase: Phase::Standby,
                root: self.next?,
                next: None,
                before: Some(self.root),
                key: self.key + 1,
                version: self.newer(now_ms),
                ..here
            },
            Step::Rollback => Self {
                phase: Phase::Back,
                ..here
            },
            Step::DropNew => Self {
                phase: Phase::Standby,
                next: None,
                version: self.newer(now_ms),
                ..here
            },
            Step::Unknown => return None,
        })
    }

    /// Where a controller is whose root and keys nobody is to believe any more.
    #[must_use]
    pub fn replaced(&self, now_ms: i64) -> Self {
        Self {
            phase: Phase::Standby,
            root: self.made + 1,
            next: None,
            before: None,
            made: self.made + 1,
            // The next key lay beside the one that is not to be believed.
            key: self.key + 2,
            version: self.newer(now_ms),
            since_ms: now_ms,
            begun_ms: now_ms,
        }
    }

    /// A version that no other life of this controller has given away.
    pub fn newer(&self, now_ms: i64) -> u64 {
        let seconds = u64::try_from(now_ms / 1000).unwrap_or_default();
        seconds.max(self.version + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Step; 6] = [
        Step::Publish,
        Step::IssueNew,
        Step::ServeNew,
        Step::DropOld,
        Step::Rollback,
        Step::DropNew,
    ];

    fn path(steps: &[Step]) -> Rotation {
        let go = |at: Rotation, step: &Step| at.after(*step, 5_000).unwrap();
        steps.iter().fold(Rotation::FIRST, go)
    }

    #[test]
    fn f18_each_phase_leads_to_the_next_one_or_back_and_nowhere_else() {
        for done in 0..4 {
            let at = path(&ALL[..done]);
            let follows: Vec<Step> = ALL
                .into_iter()
                .filter(|step| at.after(*step, 0).is_some())
                .collect();
            let wanted = match done {
                0 => vec![Step::Publish],
                _ => vec![ALL[done], Step::Rollback],
            };
            assert_eq!(follows, wanted, "{}", at.phase);
        }
        let back = path(&[Step::Publish, Step::IssueNew, Step::Rollback]);
        assert_eq!(
            (back.issuer(), back.ending(), back.phase.forward()),
            (1, Some(2), None)
        );
        let home = back.after(Step::DropNew, 5_000).unwrap();
        assert_eq!((home.root, home.next, home.phase), (1, None, Phase::Standby));
        // A root that was given up gives its number to no other.
        assert_eq!(home.after(Step::Publish, 0).unwrap().next, Some(3));
    }

    #[test]
    fn f18_whom_to_trust_gets_a_version_only_where_it_changes_and_never_an_old_one() {
        let versions: Vec<u64> = (0..=4).map(|done| path(&ALL[..done]).version).collect();
        assert_eq!(versions, [1, 5, 5, 5, 6]);
        let done = path(&ALL[..4]);
        assert_eq!(
            (done.root, done.before, done.key, done.issuer()),
            (2, Some(1), 2, 2)
        );
        assert_eq!(path(&ALL[..2]).issuer(), 2);
        assert!(path(&ALL[..3]).serves_next() && !path(&ALL[..2]).serves_next());
    }
}
