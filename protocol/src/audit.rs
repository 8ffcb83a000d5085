//! An audit that shows whether it was tampered with: append-only records, each bound to all before it.
//!
//! `h(n) = SHA-256("chatalot-audit-v1" ‖ h(n−1) ‖ length as eight bytes, big end first ‖ body)`, and `h(0)` is 32 zero
//! bytes. What is hashed is the text as it is stored, so no byte of it can change unseen. A chain cannot show that its
//! end was cut off, nor that all of it was written anew: for that, somebody else keeps an [`Anchor`].

use crate::enrol::{hex, unhex};
use crate::names::shown;
use crate::plan::PlanHash;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

const DOMAIN: &[u8] = b"chatalot-audit-v1";

/// What binds a record to all records before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChainHash([u8; 32]);

impl FromStr for ChainHash {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        unhex(text)
            .filter(|_| lower)
            .map(Self)
            .ok_or_else(|| format!("`{}` is not the hash of an audit's record", shown(text)))
    }
}

impl TryFrom<String> for ChainHash {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ChainHash> for String {
    fn from(hash: ChainHash) -> Self {
        hex(&hash.0)
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// How far a chain has got: what somebody else keeps, so that a cut or a second chain shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// How many records there are.
    pub n: u64,
    /// The last one's hash.
    pub hash: ChainHash,
}

impl Anchor {
    /// Before the first record.
    pub const START: Self = Self {
        n: 0,
        hash: ChainHash([0; 32]),
    };

    /// After one more record with this body.
    #[must_use]
    pub fn after(self, body: &str) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(DOMAIN);
        context.update(&self.hash.0);
        context.update(&(body.len() as u64).to_be_bytes());
        context.update(body.as_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        Self {
            n: self.n + 1,
            hash: ChainHash(hash),
        }
    }

    /// What is wrong if a chain that has been seen at `self` now claims to be at `now`. Only a chain that has grown is
    /// not judged: its records have to be verified.
    pub fn contradiction(self, now: Self) -> Option<Broken> {
        if now.n < self.n {
            Some(Broken::Cut {
                n: now.n + 1,
                last: self.n,
            })
        } else if now.n == self.n && now.hash != self.hash {
            Some(Broken::Forked { n: now.n })
        } else {
            None
        }
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.n, self.hash)
    }
}

impl FromStr for Anchor {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (n, hash) = text
            .split_once(':')
            .ok_or_else(|| format!("`{}` is not an anchor: NUMBER:HASH", shown(text)))?;
        Ok(Self {
            n: n.parse()
                .map_err(|_| format!("`{}` is not a record's number", shown(n)))?,
            hash: hash.parse()?,
        })
    }
}

/// A record as it is stored. Nothing of it is trusted before it is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number, from one.
    pub n: u64,
    /// What is hashed: an [`Entry`] as JSON.
    pub body: String,
    /// Its hash, in hex.
    pub hash: String,
}

/// Who asked for what, what was said to it, and how it ended: two entries, where the end comes later.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Entry {
    /// The writer's clock, in milliseconds since 1970.
    pub at_ms: i64,
    /// What was asked for: `deploy`, `cancel`, `token.create`, …
    pub action: String,
    /// Who asked, in the words of whoever let them in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// The door that they came through: `controller`, `local uid 0`, `token 3f2a…`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub via: String,
    /// What it is about: a deployment, a host, a token.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// The plan that was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanHash>,
    /// What was said to it: `allowed`, a refusal's code, or how it ended.
    pub verdict: String,
    /// Anything else that a reader needs, such as the rule that decided.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// What is wrong with a chain, and with which record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A record does not follow from those before it.
    #[error("record {n} was edited, or the one before it was")]
    Edited {
        /// Which one.
        n: u64,
    },
    /// A record is not there, while later ones are.
    #[error("record {n} was removed")]
    Removed {
        /// Which one.
        n: u64,
    },
    /// A number is there twice, or out of order.
    #[error("record {n} is there twice")]
    Twice {
        /// Which one.
        n: u64,
    },
    /// The end is missing.
    #[error("records {n} to {last} were cut off")]
    Cut {
        /// The first that is missing.
        n: u64,
        /// The last that was seen elsewhere.
        last: u64,
    },
    /// Another record than the one that was seen elsewhere.
    #[error("record {n} is another one than was seen before: it, or one before it, was written anew")]
    Forked {
        /// Which one.
        n: u64,
    },
}

/// Verifies a chain, one record after another.
#[derive(Debug, Clone, Copy)]
pub struct Verifier {
    at: Anchor,
    seen: Option<Anchor>,
}

impl Verifier {
    /// From the first record on; `seen` is how far somebody else has seen the chain.
    pub const fn new(seen: Option<Anchor>) -> Self {
        Self::from(Anchor::START, seen)
    }

    /// From the record after one that is trusted.
    pub const fn from(at: Anchor, seen: Option<Anchor>) -> Self {
        Self { at, seen }
    }

    /// Takes the next record.
    pub fn take(&mut self, record: &Record) -> Result<(), Broken> {
        let n = self.at.n + 1;
        if record.n > n {
            return Err(Broken::Removed { n });
        }
        if record.n < n {
            return Err(Broken::Twice { n: record.n });
        }
        let next = self.at.after(&record.body);
        if record.hash != next.hash.to_string() {
            return Err(Broken::Edited { n });
        }
        if self
            .seen
            .is_some_and(|seen| seen.n == n && seen.hash != next.hash)
        {
            return Err(Broken::Forked { n });
        }
        self.at = next;
        Ok(())
    }

    /// Ends: how far the chain has got, if nothing is missing.
    pub fn end(self) -> Result<Anchor, Broken> {
        match self.seen.and_then(|seen| seen.contradiction(self.at)) {
            Some(broken) => Err(broken),
            None => Ok(self.at),
        }
    }
}

/// Verifies a whole chain.
pub fn verify<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    seen: Option<Anchor>,
) -> Result<Anchor, Broken> {
    let mut verifier = Verifier::new(seen);
    for record in records {
        verifier.take(record)?;
    }
    verifier.end()
}

#[cfg(test)]
mod tests;
