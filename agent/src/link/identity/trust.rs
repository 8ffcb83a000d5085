//! Whether somebody who is trusted says whom to trust.

use super::{Identity, IdentityError};
use base64::{Engine, engine::general_purpose::STANDARD};
use chatalot_protocol::enrol::unhex_all;
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
    let proofs: Vec<Vec<u8>> = signed
        .signatures
        .iter()
        .filter_map(|text| unhex_all(text))
        .collect();
    if !before
        .authorities
        .iter()
        .any(|root| has_signed(root, &body, &proofs))
    {
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
    let usable =
        |root: &CertificateDer<'_>| X509Certificate::from_der(root).is_ok_and(|(_, root)| root.is_ca());
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

/// Certificates in PEM.
pub(super) fn pem(certificates: &[CertificateDer<'_>]) -> String {
    certificates
        .iter()
        .map(|der| armour("CERTIFICATE", der))
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::identity::{load, store, trust};
    use chatalot_protocol::enrol::{JoinReply, hex};
    use chatalot_protocol::names::HostId;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, SigningKey};
    use uuid::Uuid;

    struct Root {
        key: KeyPair,
        pem: String,
    }

    fn root() -> Root {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Root { key, pem }
    }

    /// A host that trusts a root, and that root.
    fn joined(state: &std::path::Path) -> (Root, Identity) {
        let (root, key) = (root(), KeyPair::generate().unwrap());
        let reply = JoinReply {
            host: HostId::fresh(),
            name: "chat-1".parse().unwrap(),
            cluster: Uuid::new_v4(),
            certificate: root.pem.clone(),
            authorities: root.pem.clone(),
            trusts: 3,
            bundle: None,
            domains: Vec::new(),
            git_remotes: Vec::new(),
            renew_after_secs: Some(1000),
        };
        store(state, "one:1", &key.serialize_pem(), &reply).unwrap();
        (root, load(state).unwrap().unwrap())
    }

    fn signed(version: u64, cluster: Uuid, roots: &[&Root], by: &[&Root]) -> SignedBundle {
        let authorities = roots.iter().map(|root| root.pem.as_str()).collect();
        let bundle = Bundle {
            version,
            cluster,
            authorities,
        };
        let bundle = serde_json::to_string(&bundle).unwrap();
        let body = SignedBundle::signed(&bundle);
        let signatures = by
            .iter()
            .map(|root| hex(&root.key.sign(&body).unwrap()))
            .collect();
        SignedBundle { bundle, signatures }
    }

    #[test]
    fn f18_whom_to_trust_is_taken_from_whom_is_trusted_only_once_and_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (old, before) = joined(folder.path());
        let (new, cluster) = (root(), before.membership.cluster);
        let good = signed(4, cluster, &[&old, &new], &[&new, &old]);
        assert_eq!(trust(folder.path(), &before, &good).unwrap(), 4);
        let now = load(folder.path()).unwrap().unwrap();
        assert_eq!((now.authorities.len(), now.membership.trusts), (2, 4));
        assert_eq!(
            (&now.chain, &now.key),
            (&before.chain, &before.key),
            "who we are stays"
        );
        assert_eq!(now.membership.stream, before.membership.stream);
        // An older one, or the same again, changes nothing.
        for version in [1, 4] {
            let known = signed(version, cluster, &[&old], &[&old]);
            assert_eq!(trust(folder.path(), &now, &known).unwrap(), 4);
        }
        // What was dropped has no say any more.
        let dropped = signed(5, cluster, &[&new], &[&old, &new]);
        assert_eq!(trust(folder.path(), &now, &dropped).unwrap(), 5);
        let then = load(folder.path()).unwrap().unwrap();
        let again = signed(6, cluster, &[&old], &[&old]);
        assert!(matches!(judge(&then, &again), Err(TrustError::Unsigned)));
    }

    #[test]
    fn f18_whom_to_trust_is_refused_from_anybody_else_for_anybody_else_and_without_anybody() {
        let folder = tempfile::tempdir().unwrap();
        let (old, before) = joined(folder.path());
        let (thief, cluster) = (root(), before.membership.cluster);
        let refused = |bundle: &SignedBundle| judge(&before, bundle).unwrap_err();
        let stolen = signed(4, cluster, &[&thief], &[&thief]);
        assert!(matches!(refused(&stolen), TrustError::Unsigned));
        let good = signed(4, cluster, &[&old, &thief], &[&old]);
        let mut changed = good.clone();
        changed.bundle = stolen.bundle;
        assert!(matches!(refused(&changed), TrustError::Unsigned));
        let mut senseless = good;
        senseless.signatures = vec!["é0".to_owned(), "3".to_owned(), String::new()];
        assert!(matches!(refused(&senseless), TrustError::Unsigned));
        let elsewhere = signed(4, Uuid::new_v4(), &[&old], &[&old]);
        assert!(matches!(refused(&elsewhere), TrustError::Elsewhere));
        let mut nobody = root();
        nobody.pem = "no certificate".to_owned();
        assert!(matches!(
            refused(&signed(4, cluster, &[&nobody], &[&old])),
            TrustError::Nobody
        ));
        let unreadable = SignedBundle {
            bundle: "{}".to_owned(),
            signatures: vec![hex(&old.key.sign(&SignedBundle::signed("{}")).unwrap())],
        };
        assert!(matches!(refused(&unreadable), TrustError::Unreadable(_)));
    }
}
