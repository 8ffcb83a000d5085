//! Values that must not be printed, stored in a database or sent by accident.

use serde::{Deserialize, Deserializer, Serializer};
use std::fmt;
use zeroize::Zeroize;

/// A secret text: no `Display`, no `Serialize`, and `Debug` shows nothing. `rg 'expose\('` is the audit.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a value, without the line end that a prompt or a file leaves behind.
    pub fn new(value: impl Into<String>) -> Self {
        let mut value = value.into();
        value.truncate(value.trim_end_matches(['\r', '\n']).len());
        Self(value)
    }

    /// The value itself. Every call is a place to look at.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// An empty secret is no secret.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// For the few fields that carry a secret to where it is needed: `#[serde(with = "carried")]`.
pub mod carried {
    use super::{Deserialize, Deserializer, Secret, Serializer};

    /// Writes the value out; only over the control channel, the local socket or into a 0600 file.
    pub fn serialize<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => serializer.serialize_some(secret.expose()),
            None => serializer.serialize_none(),
        }
    }

    /// Reads the value back.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
        Option::<Secret>::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown_by_debug() {
        assert_eq!(format!("{:?}", Secret::new("hunter2\n")), "Secret(…)");
        assert_eq!(Secret::new("hunter2\r\n").expose(), "hunter2");
    }
}
