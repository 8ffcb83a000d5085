//! A controller in a folder of its own, and ways to speak to it.

use chatalot_protocol::enrol::JoinToken;
use chatalotctl::centre::Centre;
use chatalotctl::config::Config;
use chatalotctl::model::{AddHost, Added};
use chatalotctl::serve::Controller;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

pub(crate) struct World {
    folder: TempDir,
    pub(crate) centre: Arc<Centre>,
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    async fn start_in(folder: TempDir) -> Self {
        let controller = Controller::start(config(folder.path())).await.unwrap();
        let (centre, address) = (Arc::clone(controller.centre()), controller.address());
        let stop = CancellationToken::new();
        let running = tokio::spawn(controller.run(stop.clone().cancelled_owned()));
        Self {
            folder,
            centre,
            address,
            stop,
            running,
        }
    }

    /// The controller stops, and starts again over the same state.
    pub(crate) async fn restart(self) -> Self {
        Self::start_in(self.stop().await).await
    }

    /// The controller stops, and leaves its state.
    pub(crate) async fn stop(self) -> TempDir {
        self.stop.cancel();
        self.running.await.unwrap();
        while Arc::strong_count(&self.centre) > 1 {
            tokio::task::yield_now().await;
        }
        self.folder
    }

    pub(crate) async fn add(&self, name: &str) -> Added {
        let add = AddHost {
            name: name.parse().unwrap(),
            domains: Vec::new(),
            git_remotes: Vec::new(),
            ttl_secs: None,
        };
        self.command("POST", "/v1/hosts", &add).await.1.unwrap()
    }

    pub(crate) fn pin(&self) -> [u8; 32] {
        self.centre.authority.root_pin()
    }

    /// A command over the operator's socket.
    pub(crate) async fn command<B: Serialize, T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: &B,
    ) -> (StatusCode, Result<T, serde_json::Value>) {
        let stream = UnixStream::connect(self.centre.config.socket()).await.unwrap();
        let (status, bytes) = exchange(stream, method, path, serde_json::to_vec(body).unwrap()).await;
        let answer = serde_json::from_slice(&bytes).map_err(|_| serde_json::from_slice(&bytes).unwrap());
        (status, answer)
    }

    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> (StatusCode, Result<T, serde_json::Value>) {
        self.command("GET", path, &()).await
    }

    /// All that the operator's socket says to a question.
    pub(crate) async fn visit_socket(&self, path: &str) -> String {
        let stream = UnixStream::connect(self.centre.config.socket()).await.unwrap();
        let (_, bytes) = exchange(stream, "GET", path, Vec::new()).await;
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    /// A visit to the one port over HTTPS.
    pub(crate) async fn visit(&self, method: &str, path: &str, body: Vec<u8>) -> (StatusCode, Bytes) {
        let stream = self.dial(&tls(self.pin(), &[b"http/1.1"], None)).await.unwrap();
        exchange(stream, method, path, body).await
    }

    pub(crate) async fn dial(
        &self,
        config: &Arc<ClientConfig>,
    ) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("controller.chatalot.internal").unwrap();
        TlsConnector::from(Arc::clone(config)).connect(name, stream).await
    }
}

pub(crate) fn config(folder: &Path) -> Config {
    let agent = folder.join("chatalot-agent");
    std::fs::write(&agent, b"an agent").unwrap();
    Config {
        state: folder.join("state"),
        listen: "127.0.0.1:0".parse().unwrap(),
        address: None,
        binaries: vec![("x86_64", agent), ("aarch64", folder.join("none"))],
        certificate_life: Duration::from_hours(24),
        token_life: Duration::from_mins(15),
        job_life: Duration::from_mins(15),
    }
}

pub(crate) fn token(added: &Added) -> JoinToken {
    added.token.parse().unwrap()
}

pub(crate) async fn exchange<S>(stream: S, method: &str, path: &str, body: Vec<u8>) -> (StatusCode, Bytes)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "x")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let reply = sender.send_request(request).await.unwrap();
    let status = reply.status();
    (status, reply.into_body().collect().await.unwrap().to_bytes())
}

pub(crate) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A client that knows nothing but the pin of the root's key, as an agent does.
pub(crate) fn tls(pin: [u8; 32], protocols: &[&[u8]], identity: Option<Identity>) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(pin)));
    let mut config = match identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

#[derive(Debug)]
struct Pinned([u8; 32]);

impl Pinned {
    fn verifier(&self, sent: &[CertificateDer<'_>]) -> Result<Arc<WebPkiServerVerifier>, rustls::Error> {
        let root = sent.iter().find(|certificate| {
            let (_, certificate) = x509_parser::parse_x509_certificate(certificate).unwrap();
            chatalotctl::ca::sha256(certificate.public_key().raw) == self.0
        });
        let root = root.ok_or_else(|| rustls::Error::General("nobody we know".to_owned()))?;
        let mut roots = RootCertStore::empty();
        roots.add(root.clone().into_owned())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        verifier.map_err(|error| rustls::Error::General(error.to_string()))
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
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        unreachable!("TLS 1.3 only")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
