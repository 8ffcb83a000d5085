//! The certificate that a server shows, judged by the system's trust store but always read.

use super::{Config, chain};
use crate::host::{TlsFacts, plain_line};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Where Debian, Fedora, SUSE and Alpine keep all they trust in one file.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Reads what a server shows; refuses what is not trusted only where that was asked for.
#[derive(Debug)]
pub(super) struct Judge {
    provider: Arc<CryptoProvider>,
    trust: Result<Arc<WebPkiServerVerifier>, String>,
    strict: bool,
    facts: Mutex<Option<TlsFacts>>,
}

impl Judge {
    /// With the trust store as it is now.
    pub(super) fn new(config: &Config, strict: bool) -> Arc<Self> {
        let provider = Arc::new(ring::default_provider());
        Arc::new(Self {
            trust: trust(config, Arc::clone(&provider)),
            provider,
            strict,
            facts: Mutex::new(None),
        })
    }

    /// What a client needs to connect under this judge.
    pub(super) fn client(self: &Arc<Self>) -> Result<ClientConfig, Error> {
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(self) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        client.resumption = rustls::client::Resumption::disabled();
        Ok(client)
    }

    /// What was seen; `None` before a certificate was shown.
    pub(super) fn facts(&self) -> Option<TlsFacts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut facts = read(end_entity);
        let verdict = match &self.trust {
            Ok(trust) => trust
                .verify_server_cert(end_entity, intermediates, name, ocsp, now)
                .map_err(|error| (reason(&error, &facts.issuer, name), error)),
            Err(why) => Err((why.clone(), CertificateError::UnknownIssuer.into())),
        };
        let verdict = verdict.map_err(|(why, error)| {
            facts.distrust = Some(why);
            error
        });
        *self.facts.lock().unwrap_or_else(PoisonError::into_inner) = Some(facts);
        match verdict {
            Err(error) if self.strict => Err(error),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The system's trust store, or the file that replaces it.
fn trust(config: &Config, provider: Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, String> {
    let found = match &config.trust {
        Some(file) => rustls_native_certs::load_certs_from_paths(Some(file), None),
        None => system(),
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err("this system has no trust store: install its package ca-certificates".to_owned());
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|e| chain(&e))
}

/// The distribution's bundle where there is one; it holds what the folder beside it holds once more in a hundred
/// files, and those are ten times the work.
fn system() -> rustls_native_certs::CertificateResult {
    let bundle = BUNDLES.iter().map(Path::new).find(|path| path.is_file());
    let found = bundle.map(|file| rustls_native_certs::load_certs_from_paths(Some(file), None));
    found
        .filter(|found| !found.certs.is_empty())
        .unwrap_or_else(rustls_native_certs::load_native_certs)
}

fn read(certificate: &CertificateDer<'_>) -> TlsFacts {
    match X509Certificate::from_der(certificate) {
        Ok((_, parsed)) => TlsFacts {
            issuer: plain_line(&parsed.issuer().to_string()),
            not_after: parsed.validity().not_after.timestamp(),
            distrust: None,
        },
        Err(_) => TlsFacts::default(),
    }
}

/// Why a certificate is not trusted, in words.
fn reason(error: &Error, issuer: &str, name: &ServerName<'_>) -> String {
    let Error::InvalidCertificate(problem) = error else {
        return chain(error);
    };
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet: is this host's clock right?".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("it is not for {}", name.to_str())
        }
        CertificateError::UnknownIssuer => format!("its issuer is not trusted here: {issuer}"),
        _ => chain(error),
    }
}
