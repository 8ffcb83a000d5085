//! An agent that does as the test tells it: over TLS, or over a pipe in memory.

use crate::world::{Identity, World, tls, token};
use chatalot_protocol::enrol::{JoinReply, JoinRequest, JoinToken, hex};
use chatalot_protocol::event::{Event, What};
use chatalot_protocol::frame::{self, Frame, MAX_CONTROL};
use chatalot_protocol::identity::ALPN_CHANNEL;
use chatalot_protocol::message::{Hello, ToAgent, ToController, Welcome};
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::plan::PlanHash;
use chatalot_protocol::stream;
use chatalotctl::peer::Peer;
use chatalotctl::session::{self, Ended, SessionError};
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use uuid::Uuid;

pub(crate) fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

pub(crate) fn request(token: &JoinToken, key: &KeyPair, params: &CertificateParams) -> Vec<u8> {
    let request = JoinRequest {
        token_id: hex(&token.id),
        token_secret: Some(token.secret.clone()),
        csr: params.serialize_request(key).unwrap().pem().unwrap(),
    };
    serde_json::to_vec(&request).unwrap()
}

/// Joins over HTTPS.
pub(crate) async fn join(world: &World, token: &JoinToken, key: &KeyPair) -> Option<JoinReply> {
    let body = request(token, key, &CertificateParams::default());
    let (status, reply) = world.visit("POST", "/v1/join", body).await;
    status
        .is_success()
        .then(|| serde_json::from_slice(&reply).unwrap())
}

pub(crate) fn identity(reply: &JoinReply, key: &KeyPair) -> Identity {
    let certificate = CertificateDer::from_pem_slice(reply.certificate.as_bytes()).unwrap();
    let key: PrivateKeyDer<'static> = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    (vec![certificate], key)
}

/// A host that has joined, as the session sees it.
pub(crate) async fn joined(world: &World, name: &str) -> (Peer, Identity) {
    let key = key();
    let reply = join(world, &token(&world.add(name).await), &key).await.unwrap();
    let identity = identity(&reply, &key);
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let peer = Peer::of(&identity.0[0], reply.cluster, address).unwrap();
    (peer, identity)
}

pub(crate) struct Agent<S> {
    pub(crate) stream: S,
}

impl Agent<tokio_rustls::client::TlsStream<tokio::net::TcpStream>> {
    pub(crate) async fn dial(world: &World, identity: Identity) -> Self {
        let config = tls(world.pin(), &[ALPN_CHANNEL], Some(identity));
        Self {
            stream: world.dial(&config).await.unwrap(),
        }
    }
}

pub(crate) type Running = JoinHandle<Result<Ended, SessionError>>;

impl Agent<DuplexStream> {
    /// A session without TLS, in memory.
    pub(crate) fn pipe(world: &World, peer: Peer) -> (Self, Running) {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let session = session::run(Arc::clone(&world.centre), theirs, peer, ());
        (Self { stream: ours }, tokio::spawn(session))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Agent<S> {
    pub(crate) async fn say(&mut self, message: &ToController) {
        let mut bytes = Vec::new();
        frame::put_message(message, &mut bytes).unwrap();
        self.raw(&bytes).await;
    }

    /// The same to somebody who may have hung up; whether it was taken.
    pub(crate) async fn try_say(&mut self, message: &ToController) -> bool {
        let mut bytes = Vec::new();
        frame::put_message(message, &mut bytes).unwrap();
        self.stream.write_all(&bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub(crate) async fn log(&mut self, deployment: DeploymentId, number: u32, offset: u64, output: &[u8]) {
        let mut bytes = Vec::new();
        frame::put_log(deployment, number, offset, output, &mut bytes).unwrap();
        self.raw(&bytes).await;
    }

    pub(crate) async fn events(&mut self, events: Vec<Event>) {
        self.say(&ToController::Events { events }).await;
    }

    pub(crate) async fn hear(&mut self) -> Option<ToAgent> {
        match stream::read(&mut self.stream, MAX_CONTROL).await.ok()?? {
            Frame::Control(body) => Some(frame::message(&body).unwrap()),
            Frame::Log(_) => panic!("a controller sends no logs"),
        }
    }

    /// Says hello, and hears the welcome.
    pub(crate) async fn greet(&mut self, epoch: Uuid) -> Welcome {
        self.say(&ToController::Hello(Box::new(hello(epoch)))).await;
        match self.hear().await {
            Some(ToAgent::Welcome(welcome)) => welcome,
            other => panic!("no welcome but {other:?}"),
        }
    }

    /// The same with somebody who may hang up; the welcome, if there was one.
    pub(crate) async fn try_greet(&mut self, epoch: Uuid) -> Option<Welcome> {
        let greeting = ToController::Hello(Box::new(hello(epoch)));
        if !self.try_say(&greeting).await {
            return None;
        }
        match self.hear().await {
            Some(ToAgent::Welcome(welcome)) => Some(welcome),
            _ => None,
        }
    }

    /// Hears until events up to this one are acknowledged.
    pub(crate) async fn hear_acked(&mut self, seq: u64) {
        while self.hear().await.expect("the session goes on") != (ToAgent::Acked { seq }) {}
    }
}

/// Dials, says hello, and hears what it is told.
pub(crate) async fn knocks(world: &World, identity: Identity) -> Option<ToAgent> {
    let mut agent = Agent::dial(world, identity).await;
    let greeting = ToController::Hello(Box::new(hello(Uuid::new_v4())));
    agent.say(&greeting).await;
    agent.hear().await
}

pub(crate) fn hello(epoch: Uuid) -> Hello {
    Hello {
        protocol_min: 1,
        protocol_max: 1,
        agent: "0.1.0".into(),
        boot_id: "boot".into(),
        stream_epoch: epoch,
        hostname: "vps\u{1b}[31m".into(),
        system: "Debian GNU/Linux 13".into(),
        architecture: "x86_64".into(),
        steps: Vec::new(),
        acked: 0,
        trusts: 0,
    }
}

pub(crate) fn event(seq: u64, deployment: DeploymentId, what: What) -> Event {
    Event {
        seq,
        at_ms: 1,
        deployment: Some(deployment),
        what,
    }
}

pub(crate) fn started() -> What {
    What::DeploymentStarted {
        work: chatalot_protocol::work::Work::Deploy,
        plan: PlanHash::of(&[7; 32]),
        domain: "chat.example.com".into(),
        steps: Vec::new(),
    }
}

pub(crate) fn resumed(because: &str) -> What {
    What::DeploymentResumed {
        because: because.into(),
    }
}
