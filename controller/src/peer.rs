//! Who is at the other end: read from the certificate that TLS has verified, and from nothing else.

use chatalot_protocol::identity::agent_of;
use chatalot_protocol::names::HostId;
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
        })
    }
}
