//! What one phase means.

use super::files::{self, Drawer};
use crate::ca::{self, CaError, pem, sha256};
use crate::rotation::Rotation;
use crate::rotation::view::RootView;
use crate::tls::Tls;
use base64::{Engine, engine::general_purpose::STANDARD};
use chatalot_protocol::enrol::{Pins, hex};
use chatalot_protocol::trust::{Bundle, SignedBundle};
use rcgen::{Issuer, KeyPair, PublicKeyData, SigningKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::path::Path;
use uuid::Uuid;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A root with its key.
pub struct Root {
    /// Its number.
    pub number: u32,
    /// Itself.
    pub certificate: CertificateDer<'static>,
    pub(super) issuer: Issuer<'static, KeyPair>,
}

impl Root {
    fn load(drawer: &Drawer<'_>, number: u32) -> Result<Self, CaError> {
        let (key_name, name) = files::root(number);
        let key = drawer.key(&key_name)?;
        let certificate = drawer.certificate(&name, || ca::root(number, &key))?;
        Ok(Self {
            number,
            issuer: Issuer::from_ca_cert_der(&certificate, key)?,
            certificate,
        })
    }

    /// SHA-256 of its public key: what tokens carry.
    pub fn pin(&self) -> [u8; 32] {
        sha256(&self.issuer.key().subject_public_key_info())
    }

    /// What the operator is told of it.
    pub fn view(&self) -> RootView {
        let parsed = X509Certificate::from_der(&self.certificate);
        let until = parsed.map_or(0, |(_, root)| root.validity().not_after.timestamp());
        RootView {
            number: self.number,
            pin: hex(&self.pin()),
            until_ms: until.saturating_mul(1000),
        }
    }

    fn has_signed(&self, certificate: &X509Certificate<'_>) -> bool {
        X509Certificate::from_der(&self.certificate)
            .is_ok_and(|(_, root)| root.subject().as_raw() == certificate.issuer().as_raw())
    }
}

/// Who signs, whom the controller trusts and what it shows.
pub struct Standing {
    /// How far a rotation has got.
    pub rotation: Rotation,
    /// The root that counts, or counted before the rotation.
    pub root: Root,
    /// The one that is to follow.
    pub next: Option<Root>,
    /// What agents are told to trust.
    pub bundle: SignedBundle,
    /// How the one port speaks.
    pub tls: Tls,
    keys: [KeyPair; 2],
}

impl Standing {
    /// Reads what a phase takes. What may be made: that which the phase has anew, and all that was there before.
    pub(super) fn load(folder: &Path, at: Rotation, (before, anew): (bool, bool)) -> Result<Self, CaError> {
        let kept = Drawer {
            folder,
            may_make: before,
        };
        let fresh = Drawer {
            folder,
            may_make: anew,
        };
        let root = Root::load(&kept, at.root)?;
        let keys = [
            kept.key(&files::key(at.key))?,
            fresh.key(&files::key(at.key + 1))?,
        ];
        let server = kept.certificate(&files::server(at.root), || ca::server(&keys[0], &root.issuer))?;
        let next = at.next.map(|number| Root::load(&fresh, number)).transpose()?;
        let mut chain = vec![server, root.certificate.clone()];
        let mut key = &keys[0];
        if let Some(next) = &next {
            let name = files::server(next.number);
            let theirs = fresh.certificate(&name, || ca::server(&keys[1], &next.issuer))?;
            let (there, back) = (bridge(&fresh, next, &root)?, bridge(&fresh, &root, next)?);
            chain.push(next.certificate.clone());
            if at.serves_next() {
                chain.push(there);
                (chain[0], key) = (theirs, &keys[1]);
            } else {
                chain.push(back);
            }
        }
        if let Some(before) = at.before {
            let name = files::bridge(root.number, before);
            chain.push(kept.certificate(&name, || Err(CaError::NoRoot(before)))?);
        }
        let trusted: Vec<_> = std::iter::once(&root)
            .chain(&next)
            .map(|root| root.certificate.clone())
            .collect();
        let key: PrivateKeyDer<'static> = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        Ok(Self {
            tls: Tls::new(&trusted, &chain, &key)?,
            rotation: at,
            root,
            next,
            bundle: SignedBundle {
                bundle: String::new(),
                signatures: Vec::new(),
            },
            keys,
        })
    }

    /// Signs what agents are to trust, with the roots that are here and these.
    pub(super) fn sign(&self, cluster: Uuid, also: &[&Root]) -> Result<SignedBundle, CaError> {
        let bundle = serde_json::to_string(&Bundle {
            version: self.rotation.version,
            cluster,
            authorities: self.roots_pem(),
        })?;
        let mut signers = self.roots();
        signers.extend(also.iter().filter(|root| self.by_number(root.number).is_none()));
        let body = SignedBundle::signed(&bundle);
        let signatures: Result<Vec<_>, rcgen::Error> = signers
            .iter()
            .map(|root| Ok(hex(&root.issuer.key().sign(&body)?)))
            .collect();
        Ok(SignedBundle {
            bundle,
            signatures: signatures?,
        })
    }

    /// The roots that count.
    pub fn roots(&self) -> Vec<&Root> {
        std::iter::once(&self.root).chain(&self.next).collect()
    }

    /// The root of this number.
    pub fn by_number(&self, number: u32) -> Option<&Root> {
        self.roots().into_iter().find(|root| root.number == number)
    }

    /// The number of the root that has signed a certificate which TLS has verified.
    pub fn signer_of(&self, certificate: &X509Certificate<'_>) -> u32 {
        let signer = self.roots().into_iter().find(|root| root.has_signed(certificate));
        signer.map_or(self.root.number, |root| root.number)
    }

    /// The roots that count, in PEM.
    pub fn roots_pem(&self) -> String {
        self.roots().iter().map(|root| pem(&root.certificate)).collect()
    }

    /// What tokens carry from now on.
    pub fn pins(&self) -> Pins {
        Pins {
            now: self.root.pin(),
            next: self.next.as_ref().map(Root::pin),
        }
    }

    /// curl's `--pinnedpubkey`: the current key and the next.
    pub fn curl_pins(&self) -> String {
        let pin = |key: &KeyPair| STANDARD.encode(sha256(&key.subject_public_key_info()));
        let [now, next] = &self.keys;
        format!("sha256//{};sha256//{}", pin(now), pin(next))
    }
}

fn bridge(drawer: &Drawer<'_>, to: &Root, by: &Root) -> Result<CertificateDer<'static>, CaError> {
    drawer.certificate(&files::bridge(to.number, by.number), || {
        ca::bridge(to.number, to.issuer.key(), &by.issuer)
    })
}

/// The files that a phase takes.
pub(super) fn names(at: &Rotation) -> Vec<String> {
    let mut names = vec![files::key(at.key), files::key(at.key + 1)];
    for number in std::iter::once(at.root).chain(at.next) {
        let (key, certificate) = files::root(number);
        names.extend([key, certificate, files::server(number)]);
    }
    if let Some(next) = at.next {
        names.extend([files::bridge(next, at.root), files::bridge(at.root, next)]);
    }
    if let Some(before) = at.before {
        names.push(files::bridge(at.root, before));
    }
    names
}
