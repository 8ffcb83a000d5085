//! What the user is told when the site runs, as data; its words are the console's.

use crate::site::{AdminName, Domain, Folder};
use serde::{Deserialize, Serialize};

/// How a duty stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DutyStanding {
    /// Seen to be in place.
    InPlace,
    /// Seen not to be in place.
    NotInPlace,
    /// Cannot be told from this host.
    #[serde(other)]
    CannotBeTold,
}

/// Something that the user owns and must keep up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duty {
    /// Short name: DNS, firewall, …
    pub name: String,
    /// How it stands.
    pub standing: DutyStanding,
    /// What was seen.
    pub saw: String,
    /// What the user has to do.
    pub todo: String,
}

/// A file or folder that the user must know of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportantFile {
    /// Where.
    pub path: String,
    /// What it is, and what follows.
    pub what: String,
}

/// The whole handover.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// The public domain.
    pub domain: Domain,
    /// The username that is meant to register first.
    pub admin: AdminName,
    /// The version that answers.
    pub version: String,
    /// The commit that was installed.
    pub commit: String,
    /// Where chatalot lives.
    pub folder: Folder,
    /// Whether managed updates are on.
    pub updates: bool,
    /// Whether nobody has registered yet, so that whoever comes first becomes the administrator.
    pub open_to_first_comer: Option<bool>,
    /// Who alone is let in until the administrator has registered; nothing where everybody is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub let_in: Option<String>,
    /// The important files.
    pub files: Vec<ImportantFile>,
    /// The five durable duties.
    pub duties: Vec<Duty>,
}
