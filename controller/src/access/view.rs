//! What the operator's API says about access, approvals and the audit:
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/whoami` | | [`WhoAmI`] |
//! | `GET /v1/tokens` | | a list of [`TokenView`]s |
//! | `POST /v1/tokens` | [`AddToken`] | [`AddedToken`] |
//! | `POST /v1/tokens/NAME/revoke` | | [`TokenView`] |
//! | `POST /v1/hosts/NAME/labels` | [`Labels`] | [`crate::model::HostView`] |
//! | `GET /v1/approvals` | | a list of [`ApprovalView`]s, the newest first |
//! | `GET /v1/approvals/ID` | | [`ApprovalView`] |
//! | `POST /v1/approvals/ID/approve`, `…/reject` | | [`ApprovalView`] |
//! | `GET /v1/audit?after=N&host=NAME` | | a list of [`chatalot_protocol::audit::Record`]s |

use super::Role;
use chatalot_protocol::names::HostName;
use chatalot_protocol::plan::PlanHash;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// A token that is to be handed out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AddToken {
    /// What to call it: the person or program that will hold it.
    pub name: HostName,
    /// What it may do.
    pub role: Role,
    /// The one host that it counts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// The label of the hosts that it counts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<HostName>,
    /// How long it is valid.
    pub ttl_secs: u64,
}

/// A token that was made. Its text is in it, once and never again: hence no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub struct AddedToken {
    /// The token itself.
    pub token: String,
    /// Where the controller believes that it is reached.
    pub controller: String,
    /// What is known of it.
    #[serde(flatten)]
    pub view: TokenView,
}

/// What is known of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    /// Its id, as the audit names it.
    pub id: String,
    /// What it is called.
    pub name: HostName,
    /// What it may do.
    pub role: Role,
    /// The one host that it counts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The label of the hosts that it counts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// Who made it.
    pub created_by: String,
    /// When it ends.
    pub expires_ms: i64,
    /// When it was last shown, to the minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_ms: Option<i64>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_ms: Option<i64>,
}

/// Who the controller takes the caller for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoAmI {
    /// The name in the record.
    pub name: String,
    /// By what: `local uid 0`, `token 3f2a…`.
    pub identity: String,
    /// What they may do.
    pub role: Role,
    /// Whether that counts for every host.
    pub everywhere: bool,
    /// When it ends, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
    /// The controller's cluster.
    pub cluster: Uuid,
}

/// The labels of a host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Labels {
    /// All of them, from now on.
    pub labels: Vec<HostName>,
}

/// How a request stands that somebody else has to approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// Nobody has said anything to it.
    Pending,
    /// It was approved and is being carried out.
    Approved,
    /// It was carried out; the answer says how that went.
    Done,
    /// It was rejected.
    Rejected,
    /// Nobody has said anything to it in time.
    Expired,
    /// A newer word than this build knows.
    #[serde(other)]
    Unknown,
}

/// A request that somebody else has to approve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApprovalView {
    /// Which one.
    pub id: Uuid,
    /// What was asked for, in the words of the table of endpoints.
    pub action: String,
    /// What it is about.
    pub subject: String,
    /// The plan, where one is to be carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanHash>,
    /// Who asked.
    pub requested_by: String,
    /// The role that whoever approves must have.
    pub needs: Role,
    /// How it stands.
    pub state: ApprovalState,
    /// When it was asked for, in milliseconds since 1970.
    pub created_ms: i64,
    /// When nobody can approve it any more.
    pub expires_ms: i64,
    /// Who approved or rejected it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// The HTTP status of what was carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The answer to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
}
