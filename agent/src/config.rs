//! `/etc/chatalot-agent/config.toml`: what was typed, and what it means. The file may be absent or empty.

use crate::host::linux;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// Where the configuration is.
pub const PATH: &str = "/etc/chatalot-agent/config.toml";
/// Where the state is, unless the configuration says otherwise.
pub const STATE: &str = "/var/lib/chatalot-agent";
/// Where the local socket is, unless the configuration says otherwise.
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
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawConfig {
    state: Option<PathBuf>,
    socket: Option<PathBuf>,
    resolvers: Vec<IpAddr>,
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
        let raw: RawConfig = toml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            state: raw.state.unwrap_or_else(|| PathBuf::from(STATE)),
            socket: raw.socket.unwrap_or_else(|| PathBuf::from(SOCKET)),
            resolvers: raw.resolvers,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
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
        assert!(parse(include_str!("../../packaging/config.toml")).is_ok());
    }

    #[test]
    fn a_word_that_is_not_known_is_an_error() {
        assert!(matches!(parse("stat = \"/x\""), Err(ConfigError::Parse { .. })));
    }
}
