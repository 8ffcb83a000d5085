//! Where an operator's own mirror is used instead of a third party's repository: `[repositories.NAME]` in the agent's
//! configuration, which is root's on the host.

use crate::config;
use crate::host::{Look, Strictly};
use crate::runbook::StepError;
use crate::runbook::distro::{DISTROS, Repository};
use chatalot_protocol::advice::Advice;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What the configuration may say of one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawMirror {
    url: Option<String>,
    key: Option<String>,
    fingerprint: Option<String>,
}

/// What the configuration says of repositories, by their names.
pub type RawMirrors = BTreeMap<String, RawMirror>;

/// Why a mirror cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// No repository is called so.
    #[error("no repository is called `{name}`; there are {known}")]
    Name {
        /// What was typed.
        name: String,
        /// What there is.
        known: String,
    },
    /// No address.
    #[error("`{key}` of repository `{name}` is not an address that begins with https:// or http://")]
    Address {
        /// Of which repository.
        name: String,
        /// Which word.
        key: &'static str,
    },
    /// No fingerprint.
    #[error("`fingerprint` of repository `{name}` is not 40 or 64 hexadecimal digits: a whole fingerprint")]
    Fingerprint {
        /// Of which repository.
        name: String,
    },
}

/// Where a repository is and what it counts by, on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where its packages are.
    pub url: String,
    /// Where its key is.
    pub key: String,
    /// That key's fingerprint.
    pub fingerprint: String,
    /// Whether it is an operator's own.
    pub mirrored: bool,
}

/// Checked mirrors, by the names of what they stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrors(RawMirrors);

impl TryFrom<RawMirrors> for Mirrors {
    type Error = MirrorError;

    fn try_from(raw: RawMirrors) -> Result<Self, MirrorError> {
        for (name, mirror) in &raw {
            let mut known: Vec<&str> = all().map(|one| one.name).collect();
            known.sort_unstable();
            known.dedup();
            if !known.contains(&name.as_str()) {
                let (name, known) = (name.clone(), known.join(", "));
                return Err(MirrorError::Name { name, known });
            }
            for (key, address) in [("url", &mirror.url), ("key", &mirror.key)] {
                if address.as_ref().is_some_and(|address| !is_address(address)) {
                    let name = name.clone();
                    return Err(MirrorError::Address { name, key });
                }
            }
            if mirror.fingerprint.as_ref().is_some_and(|print| !is_whole(print)) {
                return Err(MirrorError::Fingerprint { name: name.clone() });
            }
        }
        Ok(Self(raw))
    }
}

impl Mirrors {
    /// What this host's configuration says. It counts only as root's own, like the policy: it decides whom we trust.
    pub async fn of(host: &dyn Look) -> Result<Self, StepError> {
        let refused = |why: String| {
            let wanted = "a configuration that is root's own and says where the mirror is";
            let fix = format!("as root on the host: mend {}, then deploy again", config::PATH);
            StepError::last(Advice::new("MIRROR_UNUSABLE", why, wanted, fix))
        };
        let content = match host.read_strictly(Path::new(config::PATH)).await? {
            Strictly::Content(content) => content,
            Strictly::Absent => return Ok(Self::default()),
            Strictly::Unsafe(why) => return Err(refused(why)),
        };
        config::mirrors(&String::from_utf8_lossy(&content)).map_err(|why| refused(crate::chain(&why)))
    }

    /// Where a repository is on this host.
    pub fn place(&self, repository: &Repository) -> Place {
        let own = self.0.get(repository.name).cloned().unwrap_or_default();
        let mirrored = own != RawMirror::default();
        let print = own.fingerprint.map(|print| print.to_uppercase());
        Place {
            url: own.url.unwrap_or_else(|| repository.url.to_owned()),
            key: own.key.unwrap_or_else(|| repository.key.to_owned()),
            fingerprint: print.unwrap_or_else(|| repository.fingerprint.to_owned()),
            mirrored,
        }
    }
}

fn all() -> impl Iterator<Item = &'static Repository> {
    DISTROS.iter().flat_map(|row| row.repositories.iter().copied())
}

/// An address that can stand in a file of apt's and of dnf's.
fn is_address(text: &str) -> bool {
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"\"'[]<>#\\".contains(&b))
    })
}

fn is_whole(fingerprint: &str) -> bool {
    [40, 64].contains(&fingerprint.len()) && fingerprint.bytes().all(|b| b.is_ascii_hexdigit())
}
