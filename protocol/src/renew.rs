//! Renewing an identity, and coming back with one that has ended: `POST /v1/renew` with [`RenewRequest`] answers
//! [`crate::enrol::JoinReply`].
//!
//! The certificate that is to be replaced may have expired, so that TLS could not verify it: the request itself is
//! signed with its key.

use crate::names::HostId;
use serde::{Deserialize, Serialize};

/// What a host sends for a certificate of its new key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RenewRequest {
    /// The host.
    pub host: HostId,
    /// The number of its certificate, in hex.
    pub serial: String,
    /// A PKCS#10 request in PEM; only its public key is taken.
    pub csr: String,
    /// ECDSA with SHA-256 by the certificate's key over [`RenewRequest::signed`], as ASN.1 in hex.
    pub proof: String,
}

impl RenewRequest {
    /// The bytes that the proof covers.
    pub fn signed(host: HostId, serial: &str, csr: &str) -> Vec<u8> {
        format!("chatalot-renew-v1\n{host}\n{serial}\n{csr}").into_bytes()
    }
}
