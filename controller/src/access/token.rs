//! The API token: `cat1_<pin>_<id>_<secret>_<check>`, made like a join token, so that whoever holds one knows whom
//! to show it to, and a scanner for leaked secrets knows it.

use chatalot_protocol::enrol::{Pins, TokenError, hex, seal, unhex, unseal};
use chatalot_protocol::secret::Secret;
use std::str::FromStr;

const PREFIX: &str = "cat1";

/// A permission to speak to a controller from afar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// The controller's roots.
    pub pins: Pins,
    /// Which token.
    pub id: [u8; 8],
    /// What proves it, in hex.
    pub secret: Secret,
}

/// Why a text is not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiTokenError {
    /// Something else altogether.
    #[error("this is no API token: one starts with `cat1_` and is printed by `chatalotctl token add`")]
    Shape,
    /// A token with an error in it.
    #[error("the API token is damaged: copy it again, whole")]
    Damaged,
}

impl ApiToken {
    /// A token with this secret.
    pub fn new(pins: impl Into<Pins>, id: [u8; 8], secret: [u8; 32]) -> Self {
        Self {
            pins: pins.into(),
            id,
            secret: Secret::new(hex(&secret)),
        }
    }

    /// The token as it is handed on.
    pub fn text(&self) -> Secret {
        seal(PREFIX, &self.pins, &self.id, &self.secret)
    }

    /// The bytes of its secret: what is hashed.
    pub fn proof(&self) -> [u8; 32] {
        unhex(self.secret.expose()).unwrap_or_default()
    }
}

impl FromStr for ApiToken {
    type Err = ApiTokenError;
    fn from_str(text: &str) -> Result<Self, ApiTokenError> {
        match unseal(PREFIX, text) {
            Ok((pins, id, secret)) => Ok(Self { pins, id, secret }),
            Err(TokenError::Shape) => Err(ApiTokenError::Shape),
            Err(_) => Err(ApiTokenError::Damaged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatalot_protocol::enrol::JoinToken;

    #[test]
    fn a_token_comes_back_as_it_went_and_is_never_taken_for_a_join_token() {
        let token = ApiToken::new([7; 32], [1; 8], [9; 32]);
        let text = token.text();
        assert_eq!(text.expose().parse(), Ok(token));
        assert!(text.expose().parse::<JoinToken>().is_err());
        assert_eq!("hunter2".parse::<ApiToken>(), Err(ApiTokenError::Shape));
        let cut = &text.expose()[..text.expose().len() - 1];
        assert_eq!(cut.parse::<ApiToken>(), Err(ApiTokenError::Damaged));
    }
}
