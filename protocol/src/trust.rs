//! Whom the agents of a controller trust: its root, or two of them while one follows the other.
//!
//! A bundle travels down the session as [`SignedBundle`]; an agent takes it if a root that it trusts already has signed
//! it and it is newer than what it has, stores it, and answers with its version. Versions only grow, by the controller's
//! clock, so that a controller that was restored from a backup does not give one version to two bundles.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What agents trust from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Newer ones are greater.
    pub version: u64,
    /// The controller's cluster.
    pub cluster: Uuid,
    /// The roots, in PEM.
    pub authorities: String,
}

/// A bundle with the word of those who may say so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedBundle {
    /// A [`Bundle`] as JSON: the signatures cover this text.
    pub bundle: String,
    /// ECDSA with SHA-256 over [`SignedBundle::signed`] by each root that was at hand, as ASN.1 in hex.
    pub signatures: Vec<String>,
}

impl SignedBundle {
    /// The bytes that the signatures cover.
    pub fn signed(bundle: &str) -> Vec<u8> {
        format!("chatalot-trust-v1\n{bundle}").into_bytes()
    }

    /// What it says; whether anybody has signed it is for the reader to see.
    pub fn read(&self) -> Result<Bundle, serde_json::Error> {
        serde_json::from_str(&self.bundle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_read_with_fields_of_the_next_version() {
        let bundle = Bundle {
            version: 2,
            cluster: Uuid::nil(),
            authorities: "roots".to_owned(),
        };
        let mut text = serde_json::to_value(&bundle).unwrap();
        text["of_the_next_version"] = true.into();
        let signed = SignedBundle {
            bundle: text.to_string(),
            signatures: Vec::new(),
        };
        assert_eq!(signed.read().unwrap(), bundle);
        assert!(SignedBundle::signed("x") != SignedBundle::signed("y"));
    }
}
