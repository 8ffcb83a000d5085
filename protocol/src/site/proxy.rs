//! Which reverse proxy stands in front of a site.

use super::{BadValue, refuse};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The reverse proxy in front of chatalot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyChoice {
    /// Caddy, with its own certificates.
    #[default]
    Caddy,
    /// nginx, with certificates by certbot.
    Nginx,
    /// A Traefik that runs in a container already.
    Traefik,
    /// One that the operator sets up, here or elsewhere.
    None,
}

impl ProxyChoice {
    const ALL: [Self; 4] = [Self::Caddy, Self::Nginx, Self::Traefik, Self::None];

    /// The word for it among the inputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caddy => "caddy",
            Self::Nginx => "nginx",
            Self::Traefik => "traefik",
            Self::None => "none",
        }
    }

    /// Left out where it is stored and hashed, so that an older agent's approval stays what it was.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl FromStr for ProxyChoice {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        Self::ALL
            .into_iter()
            .find(|choice| choice.as_str() == text)
            .map_or_else(|| refuse(text, "one of caddy, nginx, traefik, none"), Ok)
    }
}
