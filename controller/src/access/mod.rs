//! Who asks, and how far they may go: roles, reach, and the API tokens that carry both.

mod token;
pub mod view;

pub use token::{ApiToken, ApiTokenError};

use chatalot_protocol::enrol::hex;
use chatalot_protocol::names::{HostId, HostName};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What somebody may do. Each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look at hosts and deployments
    Read,
    /// Ask a host what a deployment would do
    Plan,
    /// Have an approved plan carried out
    Approve,
    /// Add and revoke hosts, hand out tokens
    Admin,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 4] = [Self::Read, Self::Plan, Self::Approve, Self::Admin];

    /// The word that is stored and typed.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Plan => "plan",
            Self::Approve => "approve",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The hosts that somebody's role counts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// All, and the controller itself.
    Everywhere,
    /// One, whatever it is called.
    Host(HostId),
    /// Those that carry a label at that moment.
    Label(HostName),
}

impl Reach {
    /// Whether a host is within it.
    pub fn covers(&self, host: HostId, labels: &[HostName]) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Host(one) => *one == host,
            Self::Label(label) => labels.contains(label),
        }
    }
}

/// By what somebody is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Whoever may use the socket: this user of the machine.
    Local(u32),
    /// Whoever holds this token.
    Token([u8; 8]),
}

impl Identity {
    /// What tells one person from another: everybody at the socket counts as one, for root can be anybody.
    pub fn key(self) -> String {
        match self {
            Self::Local(_) => "local".to_owned(),
            Self::Token(id) => format!("token {}", hex(&id)),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(uid) => write!(f, "local uid {uid}"),
            Self::Token(id) => write!(f, "token {}", hex(id)),
        }
    }
}

/// Somebody who was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// By what.
    pub identity: Identity,
    /// The name in the record: of the token, or of the door.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Where.
    pub reach: Reach,
    /// When that ends, in milliseconds since 1970.
    pub until_ms: Option<i64>,
}

impl Caller {
    /// Whoever the kernel lets use the socket may do everything.
    pub fn local(uid: u32) -> Self {
        Self {
            identity: Identity::Local(uid),
            name: if uid == 0 {
                "root".to_owned()
            } else {
                format!("uid {uid}")
            },
            role: Role::Admin,
            reach: Reach::Everywhere,
            until_ms: None,
        }
    }

    /// Who it is, for the record of a job.
    pub fn signature(&self) -> String {
        format!("{} ({})", self.name, self.identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_do_what_the_lesser_ones_may_and_has_the_word_that_is_stored() {
        assert!(Role::ALL.is_sorted());
        for role in Role::ALL {
            let word = serde_json::to_value(role).unwrap();
            assert_eq!(word, role.word());
        }
    }

    #[test]
    fn a_reach_covers_its_host_and_its_label_and_nothing_else() {
        let (ours, other) = (HostId::fresh(), HostId::fresh());
        let label: HostName = "staging".parse().unwrap();
        assert!(Reach::Everywhere.covers(other, &[]));
        assert!(Reach::Host(ours).covers(ours, &[]) && !Reach::Host(ours).covers(other, &[]));
        let staging = Reach::Label(label.clone());
        assert!(staging.covers(other, &[label]) && !staging.covers(ours, &[]));
    }
}
