//! Who is at the other end: read from the certificate that TLS has verified, and from nothing else.

use crate::authority::Standing;
use crate::ca::{BACKDATE_SECS, pem, sha256};
use crate::clock::now_ms;
use crate::store::generations::Verified;
use chatalot_protocol::identity::agent_of;
use chatalot_protocol::names::HostId;
use rustls_pki_types::CertificateDer;
use std::net::IpAddr;
use uuid::Uuid;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// An agent whose certificate was verified. Whether it may come in is for the store to say.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The host.
    pub host: HostId,
    /// The number of its certificate.
    pub serial: [u8; 16],
    /// Where it dials from.
    pub address: IpAddr,
    /// When it had shown its certificate, in milliseconds since 1970.
    pub since_ms: i64,
}

/// Why a certificate names no agent of this cluster.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It cannot be read.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// It names somebody else, or nobody.
    #[error("the certificate names no agent of this cluster")]
    Stranger,
}

/// All that the store keeps of a verified certificate.
pub fn verified(der: &CertificateDer<'_>, by: &Standing) -> Result<Verified, PeerError> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| PeerError::Unreadable)?;
    let serial = certificate
        .raw_serial()
        .try_into()
        .map_err(|_| PeerError::Stranger)?;
    let validity = certificate.validity();
    let ms = |secs: i64| secs.saturating_mul(1000);
    Ok(Verified {
        serial,
        spki: sha256(certificate.public_key().raw),
        pem: pem(der),
        signed_ms: ms(validity.not_before.timestamp() + BACKDATE_SECS),
        not_after_ms: ms(validity.not_after.timestamp()),
        root: by.signer_of(&certificate),
    })
}

impl Peer {
    /// Reads the agent's id and serial out of a verified certificate.
    pub fn of(certificate: &[u8], cluster: Uuid, address: IpAddr) -> Result<Self, PeerError> {
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| PeerError::Unreadable)?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| PeerError::Unreadable)?
            .ok_or(PeerError::Stranger)?;
        let [GeneralName::URI(uri)] = names.value.general_names.as_slice() else {
            return Err(PeerError::Stranger);
        };
        let host = agent_of(uri, cluster).ok_or(PeerError::Stranger)?;
        let serial = certificate
            .raw_serial()
            .try_into()
            .map_err(|_| PeerError::Stranger)?;
        Ok(Self {
            host,
            serial,
            address,
            since_ms: now_ms(),
        })
    }
}
