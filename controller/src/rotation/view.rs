//! What the operator is told of the authority:
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/ca` | | [`CaView`] |
//! | `POST /v1/ca/rotate` | [`Rotate`] | [`CaView`] |
//! | `POST /v1/ca/drop-old`, `/v1/ca/rollback` | | [`CaView`] |

use super::{Phase, Step};
use chatalot_protocol::names::{HostId, HostName};
use serde::{Deserialize, Serialize};

/// A step forward, named, so that what is done is what was asked about.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rotate {
    /// `publish`, `issue-new` or `serve-new`.
    pub to: Step,
}

/// A root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootView {
    /// Its number.
    pub number: u32,
    /// SHA-256 of its public key, in hex: what tokens carry.
    pub pin: String,
    /// When it ends by itself, in milliseconds since 1970.
    pub until_ms: i64,
}

/// What a host lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// It has not said that it trusts what it was told to.
    Trust,
    /// It has a certificate of the root that is to end.
    Certificate,
    /// A newer word than this build knows.
    #[serde(other)]
    Unknown,
}

/// A host that holds the next step up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Straggler {
    /// Its id.
    pub id: HostId,
    /// What the operator calls it.
    pub host: HostName,
    /// What it lacks.
    pub lacks: Lack,
    /// Whether it has a session now.
    pub connected: bool,
    /// When it was last connected, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_ms: Option<i64>,
}

/// How the authority stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaView {
    /// How far a rotation has got.
    pub phase: Phase,
    /// Since when, in milliseconds since 1970; zero where there never was one.
    pub since_ms: i64,
    /// The version of what agents are told to trust.
    pub version: u64,
    /// The root that counts, or counted before the rotation.
    pub root: RootView,
    /// The one that is to follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<RootView>,
    /// The step that would go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<Step>,
    /// The step that would go back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backward: Option<Step>,
    /// How many hosts may come in.
    pub hosts: u64,
    /// Those of them that hold up the step that goes on, or the end of the way back; after a rotation, those that have
    /// not heard of its end.
    pub stragglers: Vec<Straggler>,
    /// API tokens that know the old root alone: they end with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub old_tokens: Vec<String>,
}
