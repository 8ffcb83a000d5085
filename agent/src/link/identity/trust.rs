//! Whether somebody who is trusted says whom to trust.

use super::{Identity, IdentityError};
use base64::{Engine, engine::general_purpose::STANDARD};
use chatalot_protocol::enrol::hex;
use chatalot_protocol::secret::Secret;
use chatalot_protocol::trust::{Bundle, SignedBundle};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Why a bundle is not taken.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It cannot be read.
    #[error("what is to be trusted cannot be read")]
    Unreadable(#[from] serde_json::Error),
    /// Nobody who is trusted has signed it.
    #[error("what is to be trusted is not signed by whom this host trusts")]
    Unsigned,
    /// It is another controller's.
    #[error("what is to be trusted is for another cluster")]
    Elsewhere,
    /// There is no root in it, or one that is none.
    #[error("there is nobody in it to be trusted")]
    Nobody,
    /// It cannot be stored.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// The bundle, if it may be taken over; `None` where it is no news.
pub(super) fn judge(before: &Identity, signed: &SignedBundle) -> Result<Option<Bundle>, TrustError> {
    let body = SignedBundle::signed(&signed.bundle);
    let proofs: Vec<Vec<u8>> = signed.signatures.iter().filter_map(|text| unhex(text)).collect();
    if !before.authorities.iter().any(|root| has_signed(root, &body, &proofs)) {
        return Err(TrustError::Unsigned);
    }
    let bundle = signed.read()?;
    if bundle.cluster != before.membership.cluster {
        return Err(TrustError::Elsewhere);
    }
    if bundle.version <= before.membership.trusts {
        return Ok(None);
    }
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bundle.authorities.as_bytes()).collect();
    let usable = |root: &CertificateDer<'_>| X509Certificate::from_der(root).is_ok_and(|(_, root)| root.is_ca());
    match roots {
        Ok(roots) if !roots.is_empty() && roots.iter().all(usable) => Ok(Some(bundle)),
        _ => Err(TrustError::Nobody),
    }
}

fn has_signed(root: &CertificateDer<'_>, body: &[u8], proofs: &[Vec<u8>]) -> bool {
    X509Certificate::from_der(root).is_ok_and(|(_, root)| {
        let key = &root.public_key().subject_public_key.data;
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key);
        proofs.iter().any(|proof| key.verify(body, proof).is_ok())
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let bytes: Option<Vec<u8>> = (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect();
    bytes.filter(|bytes| hex(bytes) == text)
}

/// Certificates in PEM.
pub(super) fn pem(certificates: &[CertificateDer<'_>]) -> String {
    certificates.iter().map(|der| armour("CERTIFICATE", der)).collect()
}

/// A key in PEM.
pub(super) fn key_pem(key: &PrivateKeyDer<'_>) -> Secret {
    let kind = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    Secret::new(armour(kind, key.secret_der()))
}

fn armour(kind: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {kind}-----\n");
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text + "-----END " + kind + "-----\n"
}
