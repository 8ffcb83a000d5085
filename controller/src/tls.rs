//! One port, two kinds of TLS, told apart by the application protocol that the client offers.

use chatalot_protocol::identity::{ALPN_CHANNEL, ALPN_HTTP};
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The root, the certificate or the key is refused.
    #[error("the authority's certificate or key is refused")]
    Refused(#[from] rustls::Error),
    /// The verifier of agents' certificates cannot be made.
    #[error("agents' certificates cannot be verified")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// The two ways to be spoken to.
#[derive(Clone)]
pub struct Tls {
    channel: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
}

impl Tls {
    /// Both: which roots hosts may have a certificate of, and what is shown to them.
    pub fn new(
        trusted: &[CertificateDer<'static>],
        chain: &[CertificateDer<'static>],
        key: &PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for root in trusted {
            roots.add(root.clone())?;
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
        let channel = builder(&provider)?.with_client_cert_verifier(verifier);
        let http = builder(&provider)?.with_no_client_auth();
        let finish = |with: rustls::ConfigBuilder<_, _>, protocol: &[u8]| {
            let mut config = with.with_single_cert(chain.to_vec(), key.clone_key())?;
            config.alpn_protocols = vec![protocol.to_vec()];
            // A resumed session would skip the verification of the client's certificate.
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(NoServerSessionStorage {});
            Ok::<_, TlsError>(Arc::new(config))
        };
        Ok(Self {
            channel: finish(channel, ALPN_CHANNEL)?,
            http: finish(http, ALPN_HTTP)?,
        })
    }

    /// The configuration for what the client offers, and whether it is the control channel.
    pub fn choose<'a>(&self, mut offered: impl Iterator<Item = &'a [u8]>) -> (Arc<ServerConfig>, bool) {
        if offered.any(|protocol| protocol == ALPN_CHANNEL) {
            (Arc::clone(&self.channel), true)
        } else {
            (Arc::clone(&self.http), false)
        }
    }
}

fn builder(
    provider: &Arc<CryptoProvider>,
) -> Result<rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>, rustls::Error> {
    ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
}
