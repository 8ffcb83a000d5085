//! Whom we trust on the control channel: the controller's private authority, by its key. Never a public one.

use super::identity::Identity;
use crate::host::linux::LinuxHost;
use chatalot_protocol::enrol::Pins;
use chatalot_protocol::identity::{ALPN_CHANNEL, ALPN_HTTP, CONTROLLER_NAME};
use ring::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer, X509Certificate};

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The configuration of the control channel.
pub(super) fn channel(identity: &Identity) -> Result<ClientConfig, rustls::Error> {
    let mut config =
        trusting(identity)?.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?;
    config.alpn_protocols = vec![ALPN_CHANNEL.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// The configuration for renewing: the certificate is not shown, for it may have expired.
pub(super) fn renewing(identity: &Identity) -> Result<ClientConfig, rustls::Error> {
    let mut config = trusting(identity)?.with_no_client_auth();
    config.alpn_protocols = vec![ALPN_HTTP.to_vec()];
    Ok(config)
}

fn trusting(identity: &Identity) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for authority in &identity.authorities {
        roots.add(authority.clone())?;
    }
    let floor = identity.signed().map_or(Duration::ZERO, |(_, at)| at);
    let builder = ClientConfig::builder_with_details(provider(), Arc::new(NotBefore(floor)))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots);
    Ok(builder)
}

/// The system's clock, but never earlier than a moment that has been: a clock that was reset does not end the link.
#[derive(Debug)]
struct NotBefore(Duration);

impl TimeProvider for NotBefore {
    fn current_time(&self) -> Option<UnixTime> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(UnixTime::since_unix_epoch(now.max(self.0)))
    }
}

/// The configuration for joining: nobody is trusted but the authorities whose keys the token names.
pub(super) fn joining(pins: Pins) -> Result<ClientConfig, rustls::Error> {
    let verifier = Arc::new(Pinned {
        pins,
        provider: provider(),
    });
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_HTTP.to_vec()];
    Ok(config)
}

/// Connects to `host:port` and finishes the handshake; whatever address was dialled, the name is the controller's.
pub(super) async fn connect(
    host: &LinuxHost,
    address: &str,
    config: Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let tcp = host.connect(address).await?;
    tcp.set_nodelay(true)?;
    let name = ServerName::try_from(CONTROLLER_NAME).map_err(io::Error::other)?;
    TlsConnector::from(config).connect(name, tcp).await
}

/// Trusts exactly the authorities with the pinned keys, and what they have signed for the controller's name.
#[derive(Debug)]
struct Pinned {
    pins: Pins,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn is_pinned(&self, der: &CertificateDer<'_>) -> bool {
        X509Certificate::from_der(der).is_ok_and(|(_, certificate)| {
            let pin = digest::digest(&digest::SHA256, certificate.public_key().raw);
            self.pins.has(pin.as_ref())
        })
    }

    fn verifier(&self, sent: &[CertificateDer<'_>]) -> Result<Arc<WebPkiServerVerifier>, rustls::Error> {
        let mut roots = RootCertStore::empty();
        for root in sent.iter().filter(|der| self.is_pinned(der)) {
            roots.add(root.clone().into_owned())?;
        }
        if roots.is_empty() {
            let unknown = rustls::CertificateError::UnknownIssuer;
            return Err(rustls::Error::InvalidCertificate(unknown));
        }
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verifier(intermediates)?.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
