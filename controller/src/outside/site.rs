//! The site's own pages, over TLS. Whether the certificate is trusted is the agent's to judge, who knows which authority
//! it is to be of; here it counts that the way is open.

use super::knock::{Answer, PATIENCE, connect, unanswered};
use chatalot_protocol::identity::ALPN_HTTP;
use chatalot_protocol::outside::{self, Page, Saw};
use chatalot_protocol::site::Domain;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde::Deserialize;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

/// The most that is read of a page.
const PAGE: usize = 16 << 10;
/// The longest version that is passed on.
const VERSION: usize = 40;

/// Why there was no answer.
pub type Trouble = Box<dyn Error + Send + Sync>;

/// How the site answers at an address.
pub(super) async fn ask(to: SocketAddr, domain: &Domain, page: Page) -> Answer {
    let stream = match connect(to).await {
        Ok(stream) => stream,
        Err(error) => return unanswered(&error),
    };
    match timeout(PATIENCE, over_tls(stream, domain, page)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(trouble)) => {
            log::debug!(to:% = to, error:% = crate::chain(&*trouble); "a site does not answer over TLS");
            (Saw::Broken, "no answer over TLS".to_owned())
        }
        Err(_) => (Saw::Broken, "no answer in time".to_owned()),
    }
}

async fn over_tls(stream: TcpStream, domain: &Domain, page: Page) -> Result<Answer, Trouble> {
    let name = ServerName::try_from(domain.as_str().to_owned())?;
    let stream = TlsConnector::from(Arc::new(config()?))
        .connect(name, stream)
        .await?;
    over(stream, domain, page).await
}

/// How a site answers over a connection that is there; an error where it does not.
pub async fn over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    domain: &Domain,
    page: Page,
) -> Result<Answer, Trouble> {
    let response = requested(stream, domain, page).await?;
    match (page, response.0.status()) {
        (Page::Websocket, StatusCode::SWITCHING_PROTOCOLS) => Ok((Saw::Answered, String::new())),
        (Page::Health, StatusCode::OK) => health(response.0.into_body()).await,
        (_, status) => Ok((Saw::Other, outside::status(status.as_u16()))),
    }
}

async fn requested(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    domain: &Domain,
    page: Page,
) -> Result<(Response<Incoming>, AbortOnDropHandle<()>), Trouble> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the answer: whoever is upgraded says nothing more.
    let connection = AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            log::debug!(error:% = crate::chain(&error); "a site's connection ended");
        }
    }));
    let path = if page == Page::Websocket {
        "/ws"
    } else {
        "/api/health"
    };
    let mut request = Request::get(path).header(header::HOST, domain.as_str());
    if page == Page::Websocket {
        request = request
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==");
    }
    let response = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    Ok((response, connection))
}

#[derive(Deserialize)]
struct Health {
    db_healthy: bool,
    version: String,
}

/// chatalot answers any path with status 200, so it is the body that counts.
async fn health(body: Incoming) -> Result<Answer, Trouble> {
    let body = Limited::new(body, PAGE).collect().await?.to_bytes();
    Ok(match serde_json::from_slice::<Health>(&body) {
        Ok(health) if health.db_healthy => {
            let plain = health.version.chars().filter(char::is_ascii_graphic);
            (Saw::Answered, plain.take(VERSION).collect())
        }
        Ok(_) => (Saw::Other, "its database is not well".to_owned()),
        Err(_) => (Saw::Other, "a page that is not chatalot's health".to_owned()),
    })
}

fn config() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Whoever(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_HTTP.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// Takes any certificate whose key is at the other end.
#[derive(Debug)]
struct Whoever(Arc<CryptoProvider>);

impl ServerCertVerifier for Whoever {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
