//! What the operator's API says about hosts, on top of `chatalot_protocol::api`:
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /v1/hosts` | [`AddHost`] | [`Added`] |
//! | `POST /v1/hosts/NAME/revoke`, `…/readmit` | | [`HostView`] |
//! | `POST /v1/hosts/NAME/rename` | [`RenameHost`] | [`HostView`] |
//! | `GET /v1/joins` | | [`Joins`] |
//! | `POST /v1/joins/ID/approve` | [`ApproveJoin`] | [`HostView`] |
//! | `POST /v1/joins/ID/deny` | | [`JoinView`] |
//! | `GET /v1/hosts` | | a list of [`HostView`]s |
//! | `GET /v1/hosts/NAME?wait=connected&secs=N&since=MS` | | [`HostView`], once it has joined since and is connected, or the time is over |

use crate::waiting::Waiter;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::names::{DeploymentId, HostId, HostName};
use chatalot_protocol::report::{CheckState, DeploymentState, Level};
use chatalot_protocol::site::{Domain, GitRemote};
use serde::{Deserialize, Serialize};

/// A host that is to join.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AddHost {
    /// What the operator calls it.
    pub name: HostName,
    /// The domains that it may serve; empty means any.
    #[serde(default)]
    pub domains: Vec<Domain>,
    /// The labels that API tokens may reach it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<HostName>,
    /// Where its source may come from; empty means chatalot's own repository only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub git_remotes: Vec<GitRemote>,
    /// How long the join token is valid; a quarter of an hour where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_secs: Option<u64>,
    /// Whether it joins without a secret, by a key that the operator approves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approve: bool,
}

/// Who wants to join without a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joins {
    /// The hosts that are awaited.
    pub awaited: Vec<HostName>,
    /// The keys that wait, the first come first.
    pub waiting: Vec<JoinView>,
}

/// A key that waits for approval. What the host calls itself is untrusted text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinView {
    /// Its id.
    pub id: String,
    /// The six words that the host shows, if it is the right one.
    pub words: String,
    /// Where it asks from.
    pub address: String,
    /// What the host calls itself.
    #[serde(default)]
    pub hostname: String,
    /// Since when it waits, in milliseconds since 1970.
    pub since_ms: i64,
}

impl From<Waiter> for JoinView {
    fn from(waiter: Waiter) -> Self {
        Self {
            id: waiter.id,
            words: waiter.words,
            address: waiter.address.to_string(),
            hostname: waiter.hostname,
            since_ms: waiter.since_ms,
        }
    }
}

/// Which host a key is to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApproveJoin {
    /// The host: one that is awaited.
    pub host: HostName,
    /// The six words as they were read on the host.
    pub fingerprint: String,
}

/// Another name for a host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RenameHost {
    /// What to call it.
    pub to: HostName,
}

/// How a host joins. The token is in it, once and never again: hence no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Added {
    /// The host's id.
    pub host: HostId,
    /// What the operator calls it.
    pub name: HostName,
    /// Whether a host of this name has joined before: its identity ends when the token is used.
    #[serde(default)]
    pub again: bool,
    /// The command that root runs on the host.
    pub one_liner: String,
    /// The first half of it: what fetches the script as `chatalot-join.sh`, which takes the token from the
    /// environment as `CHATALOT_JOIN`.
    pub fetch: String,
    /// The join token; where the operator approves the key, the pin of the controller's root, which is no secret.
    pub token: String,
    /// When it was made, in milliseconds since 1970.
    pub issued_ms: i64,
    /// When it ends.
    pub expires_ms: i64,
}

/// Whether a host belongs to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Membership {
    /// It has not joined yet.
    Invited,
    /// It has.
    Active,
    /// No longer.
    Revoked,
    /// It has, and is kept out: its identity was seen where it should not be.
    Locked,
    /// A newer word than this build knows.
    #[serde(other)]
    Unknown,
}

/// The latest deployment of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latest {
    /// Which one.
    pub deployment: DeploymentId,
    /// How it stands.
    pub state: DeploymentState,
    /// Its domain.
    pub domain: String,
}

/// A host as the controller knows it. What the host says of itself is untrusted text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostView {
    /// Its id.
    pub id: HostId,
    /// What the operator calls it.
    pub name: HostName,
    /// Whether it belongs to us.
    pub membership: Membership,
    /// Whether it has a session now.
    pub connected: bool,
    /// How well it was when it last spoke.
    pub level: Level,
    /// The check that decided it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<CheckState>,
    /// The domains that it may serve; empty means any.
    #[serde(default)]
    pub domains: Vec<Domain>,
    /// The labels that API tokens may reach it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<HostName>,
    /// When it joined, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined_ms: Option<i64>,
    /// When its certificate ends, unless it is renewed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_until_ms: Option<i64>,
    /// Until when it may come back by itself, though it is kept out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readmit_until_ms: Option<i64>,
    /// When it was last connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_ms: Option<i64>,
    /// Where it dialled from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The agent's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Its own host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Its system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Its processor architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Its latest deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<Latest>,
    /// What a person must see, whatever else is well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<Advice>,
}
