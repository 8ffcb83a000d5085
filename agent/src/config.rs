//! `/etc/chatalot-agent/config.toml`: what was typed, and what it means. The file may be absent or empty.
//!
//! State and socket have no key: systemd makes both folders for the unit, and leaving removes them whole.

use crate::host::linux;
use crate::runbook::patience::{Patience, RawPatience, TooImpatient};
use crate::runbook::repositories::mirrors::{MirrorError, Mirrors, RawMirrors};
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// Where the configuration is.
pub const PATH: &str = "/etc/chatalot-agent/config.toml";
/// Where the state is.
pub const STATE: &str = "/var/lib/chatalot-agent";
/// Where the local socket is.
pub const SOCKET: &str = "/run/chatalot-agent/agent.sock";

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file says something that is not understood.
    #[error("`{}` is not a configuration", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: toml::de::Error,
    },
    /// The file asks for less patience than is of any use.
    #[error("`{}` is not a configuration", path.display())]
    Patience {
        /// Which file.
        path: PathBuf,
        /// What is too little.
        #[source]
        source: TooImpatient,
    },
    /// The file names a mirror that cannot be one.
    #[error("`{}` is not a configuration", path.display())]
    Mirror {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: MirrorError,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawConfig {
    resolvers: Vec<IpAddr>,
    patience: RawPatience,
    repositories: RawMirrors,
}

/// What the agent is told about this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The state folder.
    pub state: PathBuf,
    /// The local socket.
    pub socket: PathBuf,
    /// The resolvers that are asked besides the system's; a public few if none are named.
    pub resolvers: Vec<IpAddr>,
    /// How long it waits for what may take long.
    pub patience: Patience,
}

impl Config {
    /// Where things are on this host.
    pub fn host(&self) -> linux::Config {
        let mut host = linux::Config::default();
        if !self.resolvers.is_empty() {
            host.resolvers = self
                .resolvers
                .iter()
                .map(|address| SocketAddr::new(*address, 53))
                .collect();
        }
        host
    }

    /// Reads a file; an absent one says nothing.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            other => other.map_err(|source| ConfigError::Read {
                path: path.to_owned(),
                source,
            })?,
        };
        let raw = parse(&text, path)?;
        checked(raw.repositories, path)?;
        let patience = Patience::try_from(raw.patience).map_err(|source| ConfigError::Patience {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            state: PathBuf::from(STATE),
            socket: PathBuf::from(SOCKET),
            resolvers: raw.resolvers,
            patience,
        })
    }
}

/// The mirrors that a configuration names. They are read where they are needed, when they are needed.
pub fn mirrors(text: &str) -> Result<Mirrors, ConfigError> {
    let path = Path::new(PATH);
    checked(parse(text, path)?.repositories, path)
}

fn parse(text: &str, path: &Path) -> Result<RawConfig, ConfigError> {
    toml::from_str(text).map_err(|source| ConfigError::Parse {
        path: path.to_owned(),
        source,
    })
}

fn checked(raw: RawMirrors, path: &Path) -> Result<Mirrors, ConfigError> {
    Mirrors::try_from(raw).map_err(|source| ConfigError::Mirror {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Config::read(file.path())
    }

    #[test]
    fn an_absent_file_says_nothing() {
        let config = Config::read(Path::new("/nonexistent/config.toml")).unwrap();
        assert_eq!(config.state, Path::new(STATE));
    }

    #[test]
    fn the_file_that_is_installed_is_understood() {
        assert!(read(include_str!("../../packaging/config.toml")).is_ok());
    }

    #[test]
    fn a_word_that_is_not_known_is_an_error() {
        assert!(matches!(read("stat = \"/x\""), Err(ConfigError::Parse { .. })));
    }

    #[test]
    fn patience_is_what_was_typed_but_never_too_little_to_be_of_use() {
        let patience = read("[patience]\nretry_secs = 20\n").unwrap().patience;
        assert_eq!(patience.retry.as_secs(), 20);
        let refused = read("[patience]\nsilence_secs = 1\n").unwrap_err();
        assert!(
            crate::chain(&refused).contains("silence_secs = 1 is less than 10"),
            "{refused}"
        );
    }
}
