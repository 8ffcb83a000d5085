//! What an operator is told when something is not as it should be.

use crate::site::ProxyChoice;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// The code of a finding that another reverse proxy is there already and can be used: its fix names the `--proxy`.
pub const ADOPTABLE: &str = "PROXY_ADOPTABLE";

/// One finding with its fix. The code is stable and may be matched on; the texts are for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// Stable, upper case: `DNS_WRONG_ADDRESS`.
    pub code: Cow<'static, str>,
    /// What was seen.
    pub saw: String,
    /// What is wanted instead.
    pub wanted: String,
    /// The exact thing to do.
    pub fix: String,
    /// Whether the agent may do it itself.
    #[serde(default)]
    pub fixable: bool,
    /// The last lines of output, an exit code: what the finding rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

impl Advice {
    /// A finding that a person has to act on.
    pub fn new(
        code: &'static str,
        saw: impl Into<String>,
        wanted: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            code: Cow::Borrowed(code),
            saw: saw.into(),
            wanted: wanted.into(),
            fix: fix.into(),
            fixable: false,
            evidence: Vec::new(),
        }
    }

    /// The same finding, with what it rests on.
    #[must_use]
    pub fn with_evidence(mut self, lines: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.evidence.extend(lines.into_iter().map(Into::into));
        self
    }
}

impl Advice {
    /// The proxy that the finding offers instead of the chosen one, for [`ADOPTABLE`]: the one that its fix names.
    pub fn offered_proxy(&self) -> Option<ProxyChoice> {
        let (_, flag) = self
            .fix
            .split_once("--proxy ")
            .filter(|_| self.code == ADOPTABLE)?;
        flag.split(|c: char| !c.is_ascii_lowercase()).next()?.parse().ok()
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: saw {}; wanted {}; fix: {}",
            self.code, self.saw, self.wanted, self.fix
        )
    }
}

impl std::error::Error for Advice {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offered_proxy_is_read_from_the_fix_of_that_finding_alone() {
        let offer = |code, fix: &str| Advice::new(code, "x", "y", fix).offered_proxy();
        assert_eq!(
            offer(ADOPTABLE, "deploy with `--proxy nginx`: it"),
            Some(ProxyChoice::Nginx)
        );
        assert_eq!(offer(ADOPTABLE, "deploy with `--proxy evil`"), None);
        assert_eq!(offer("PORT_TAKEN", "deploy with `--proxy nginx`"), None);
    }
}
