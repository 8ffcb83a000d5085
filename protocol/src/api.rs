//! The operator's API, as far as a controller and a lone agent have it in common: JSON over HTTP/1.1 on a unix
//! socket. Below a base path (`/v1` on an agent, `/v1/hosts/NAME` on a controller):
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST {base}/ask` | [`crate::message::Ask`] | [`crate::message::Answer`] |
//! | `POST {base}/deployments` | [`DeployRequest`] | [`Deployed`] |
//! | `GET /v1/deployments/ID` | | [`DeploymentView`] |
//! | `GET /v1/deployments/ID/watch?logs=0\|1` | | [`WatchLine`]s, one a line, from the start to the end |
//! | `POST /v1/deployments/ID/cancel` | | [`DeploymentView`] |
//!
//! A refusal is any status from 400 on with an [`crate::advice::Advice`] as its body.

use crate::advice::Advice;
use crate::event::Event;
use crate::handover::Handover;
use crate::message::Order;
use crate::names::DeploymentId;
use crate::plan::PlanHash;
use crate::report::DeploymentState;
use crate::work::Work;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A request to execute an approved plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeployRequest {
    /// What was planned.
    pub order: Order,
    /// The hash of the plan that was shown and approved.
    pub plan: PlanHash,
    /// What is done with the site.
    #[serde(default, skip_serializing_if = "Work::is_deploy")]
    pub work: Work,
}

/// The answer to it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Deployed {
    /// What to watch or show.
    pub deployment: DeploymentId,
}

/// A deployment as `deployment show` ends with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentView {
    /// Which one.
    pub deployment: DeploymentId,
    /// The host's name, at a controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The domain.
    pub domain: String,
    /// What was to be done with the site.
    #[serde(default, skip_serializing_if = "Work::is_deploy")]
    pub work: Work,
    /// How it stands.
    pub state: DeploymentState,
    /// What to do, where it did not end well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
    /// What a look at the host found behind it, causes first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnosis: Vec<Advice>,
    /// The installer's own `key=value` lines.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// The handover, when it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<Box<Handover>>,
}

/// One line of a watched deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum WatchLine {
    /// Something happened.
    Event {
        /// What.
        event: Box<Event>,
    },
    /// Output of a step; whole only together with its neighbours.
    Log {
        /// The stream within the deployment.
        stream: u32,
        /// Where in the stream it begins.
        offset: u64,
        /// The output, with invalid UTF-8 replaced.
        text: String,
    },
    /// Nothing new, but the line is alive.
    Alive,
    /// Nothing more will come.
    End {
        /// How it ended.
        view: Box<DeploymentView>,
    },
    /// A newer kind of line.
    #[serde(other)]
    Unknown,
}

/// How much of an output may go on a line: all but a character at its end that has only begun. What is no text at all
/// is not waited for.
pub fn whole(output: &[u8]) -> usize {
    let last = output.len().saturating_sub(3);
    let begun = output[last..].iter().rposition(|byte| *byte >= 0xc0);
    match begun.map(|at| last + at) {
        Some(at) if output.len() - at < width(output[at]) => at,
        _ => output.len(),
    }
}

/// How many bytes a character has, by its first one.
const fn width(first: u8) -> usize {
    match first {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f42_output_is_cut_between_characters_and_what_is_no_text_goes_on() {
        let euro = "ab\u{20ac}".as_bytes();
        assert_eq!([whole(euro), whole(&euro[..4]), whole(&euro[..3])], [5, 2, 2]);
        assert_eq!([whole(b""), whole(b"\xff\xfe\xfd\xfc")], [0, 3]);
    }
}
