//! A controller in a folder of its own, and ways to speak to it.

use chatalot_protocol::audit::{Entry, Record};
use chatalot_protocol::enrol::{JoinToken, Pins};
use chatalotctl::access::Role;
use chatalotctl::api::Api;
use chatalotctl::centre::Centre;
use chatalotctl::config::Config;
use chatalotctl::model::{AddHost, Added};
use chatalotctl::serve::Controller;
use chatalotctl::web::Web;
use chatalotctl::web::bootstrap::Bootstrap;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
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
        Self::start_with(folder, |_| ()).await
    }

    pub(crate) async fn start_with(folder: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config(folder.path());
        change(&mut config);
        let controller = Controller::start(config).await.unwrap();
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

    /// The same with a changed configuration.
    pub(crate) async fn restart_with(self, change: impl FnOnce(&mut Config)) -> Self {
        Self::start_with(self.stop().await, change).await
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
            labels: Vec::new(),
            git_remotes: Vec::new(),
            ttl_secs: None,
            approve: false,
        };
        self.command("POST", "/v1/hosts", &add).await.1.unwrap()
    }

    /// What visitors are served, to be asked without a connection.
    pub(crate) fn web(&self) -> Arc<Web> {
        let (api, bootstrap) = self.api();
        Web::new(Arc::clone(&self.centre), bootstrap, api)
    }

    /// What operators are served, likewise.
    pub(crate) fn api(&self) -> (Arc<Api>, Arc<Bootstrap>) {
        let bootstrap = Arc::new(Bootstrap::new("ctl:1".into(), String::new, &[]));
        (
            Api::new(Arc::clone(&self.centre), Arc::clone(&bootstrap)),
            bootstrap,
        )
    }

    pub(crate) fn pin(&self) -> [u8; 32] {
        self.centre.authority.now().root.pin()
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

    /// A command over the one port, with a token.
    pub(crate) async fn remote<B: Serialize>(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: &B,
    ) -> (StatusCode, serde_json::Value) {
        let stream = self.dial(&tls(self.pin(), &[b"http/1.1"], None)).await.unwrap();
        let body = serde_json::to_vec(body).unwrap();
        let (status, bytes) = exchange_as(stream, token, method, path, body).await;
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// An API token, made by the operator at the socket.
    pub(crate) async fn token(&self, name: &str, role: Role, of: serde_json::Value) -> String {
        let mut add = serde_json::json!({"name": name, "role": role, "ttl_secs": 3600});
        add.as_object_mut()
            .unwrap()
            .extend(of.as_object().unwrap().clone());
        let (status, added) = self
            .command::<_, serde_json::Value>("POST", "/v1/tokens", &add)
            .await;
        assert_eq!(status, StatusCode::CREATED, "{added:?}");
        added.unwrap()["token"].as_str().unwrap().to_owned()
    }

    /// What the audit says, in order.
    pub(crate) async fn audit(&self) -> Vec<Entry> {
        let (_, records) = self.get::<Vec<Record>>("/v1/audit").await;
        let records = records.unwrap();
        chatalot_protocol::audit::verify(&records, None).unwrap();
        records
            .iter()
            .map(|record| serde_json::from_str(&record.body).unwrap())
            .collect()
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
        standby: Vec::new(),
        binaries: vec![("x86_64", agent), ("aarch64", folder.join("none"))],
        certificate_life: Duration::from_hours(24),
        refused_retry: Duration::from_mins(5),
        readmit_time: Duration::from_hours(1),
        token_life: Duration::from_mins(15),
        job_life: Duration::from_mins(15),
        keep: Duration::from_hours(24),
        approval_by: None,
        second_approver: None,
        approval_life: Duration::from_hours(24),
        resolvers: Vec::new(),
        reach: Vec::new(),
    }
}

pub(crate) fn token(added: &Added) -> JoinToken {
    added.token.parse().unwrap()
}

pub(crate) async fn exchange<S>(stream: S, method: &str, path: &str, body: Vec<u8>) -> (StatusCode, Bytes)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    exchange_as(stream, "", method, path, body).await
}

pub(crate) async fn exchange_as<S>(
    stream: S,
    token: &str,
    method: &str,
    path: &str,
    body: Vec<u8>,
) -> (StatusCode, Bytes)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "x")
        .header("authorization", format!("Bearer {token}"))
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let reply = sender.send_request(request).await.unwrap();
    let status = reply.status();
    (status, reply.into_body().collect().await.unwrap().to_bytes())
}

pub(crate) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A client that knows nothing but the pin of the root's key, as an agent does.
pub(crate) fn tls(
    pins: impl Into<Pins>,
    protocols: &[&[u8]],
    identity: Option<Identity>,
) -> Arc<ClientConfig> {
    Arc::new(chatalotctl::pin::config(pins, protocols, identity).unwrap())
}
