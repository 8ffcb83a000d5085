//! The runbook's chapters, in its order.

mod checkout;
pub mod handover;
mod install;
pub mod opening;
mod packages;
mod preflight;
mod proxy;
pub mod uninstall;
mod verify;

pub use checkout::{others as checkout_others, stands as checkout_stands};
pub(in crate::runbook) use install::bare;
pub(in crate::runbook) use packages::to_install;
pub(in crate::runbook) use preflight::turn::is_public_v4;
pub(in crate::runbook) use proxy::selinux::selinux_denies;

use super::Step;

/// A chapter: a name and its steps in order.
pub struct Chapter {
    /// The first half of its steps' names.
    pub name: &'static str,
    /// Its steps.
    pub steps: &'static [&'static dyn Step],
}

/// Every chapter.
pub const CHAPTERS: &[Chapter] = &[
    Chapter {
        name: "preflight",
        steps: preflight::STEPS,
    },
    Chapter {
        name: "packages",
        steps: packages::STEPS,
    },
    Chapter {
        name: "checkout",
        steps: checkout::STEPS,
    },
    Chapter {
        name: "install",
        steps: install::STEPS,
    },
    Chapter {
        name: "proxy",
        steps: proxy::STEPS,
    },
    Chapter {
        name: "verify",
        steps: verify::STEPS,
    },
    Chapter {
        name: "handover",
        steps: handover::STEPS,
    },
];
