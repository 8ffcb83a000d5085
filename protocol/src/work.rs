//! What a job does with its site.

use serde::{Deserialize, Serialize};

/// What a job does with its site; approved together with its plan, whose steps and effects differ for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Puts it there, or brings it up to date.
    #[default]
    Deploy,
    /// Lets everybody in where a deployment has let in only a few until its administrator has registered.
    Open,
    /// Takes away what deployments have made, and leaves what users have put in.
    Uninstall,
    /// The same with its database, uploads and secrets, for ever.
    UninstallWithData,
    /// A newer word than this build knows: it is refused.
    #[serde(other)]
    Unknown,
}

impl Work {
    /// Whether it puts the site there.
    pub const fn is_deploy(&self) -> bool {
        matches!(self, Self::Deploy)
    }

    /// Whether it takes the site away.
    pub const fn takes_away(&self) -> bool {
        matches!(self, Self::Uninstall | Self::UninstallWithData)
    }

    /// The word that it is stored as.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Open => "open",
            Self::Uninstall => "uninstall",
            Self::UninstallWithData => "uninstall_with_data",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_works_word_is_the_one_that_travels_and_a_newer_one_is_no_deployment() {
        for work in [
            Work::Deploy,
            Work::Open,
            Work::Uninstall,
            Work::UninstallWithData,
            Work::Unknown,
        ] {
            let travels = serde_json::to_value(work).unwrap();
            assert_eq!(travels, work.word());
            assert_eq!(serde_json::from_value::<Work>(travels).unwrap(), work);
        }
        assert_eq!(
            serde_json::from_str::<Work>("\"renovate\"").unwrap(),
            Work::Unknown
        );
    }
}
