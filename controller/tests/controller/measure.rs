//! What a thousand idle agents and a flood of output cost, as bounds that hold in a debug build too.

use crate::agent::{Agent, event, joined, key, started};
use crate::world::{Identity, World, config, tls};
use chatalot_protocol::event::What;
use chatalot_protocol::frame::MAX_LOG;
use chatalot_protocol::identity::ALPN_CHANNEL;
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::report::DeploymentState;
use chatalotctl::ca::Applicant;
use chatalotctl::clock::now_ms;
use chatalotctl::store::hosts;
use chatalotctl::store::tokens::{self, Shown, Token};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UnixStream;
use uuid::Uuid;

const ADDRESS: &str = "127.0.0.1:18999";

pub(crate) struct Reaped(pub(crate) Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn resident_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_agent_costs_the_controller_little_memory() {
    const AGENTS: usize = 200;
    let world = World::start().await;
    let mut identities = Vec::new();
    for number in 0..AGENTS {
        identities.push(enrolled(&world, number).await);
    }
    let pin = world.pin();
    let folder = world.stop().await;
    let config = config(folder.path());
    let child = Command::new(env!("CARGO_BIN_EXE_chatalotctl"))
        .args(["serve", "--listen", ADDRESS, "--state"])
        .arg(&config.state)
        .env("CHATALOTCTL_LOG", "warn")
        .spawn();
    let child = Reaped(child.unwrap());
    while UnixStream::connect(config.socket()).await.is_err() {
        tokio::task::yield_now().await;
    }
    let before = resident_kib(child.0.id());
    let (began, mut slowest) = (Instant::now(), Duration::ZERO);
    let mut open = Vec::new();
    for identity in identities {
        let since = Instant::now();
        let stream = dial(&tls(pin, &[ALPN_CHANNEL], Some(identity))).await;
        let mut agent = Agent { stream };
        agent.greet(Uuid::new_v4()).await;
        open.push(agent);
        slowest = slowest.max(since.elapsed());
    }
    println!(
        "{AGENTS} sessions one after another in {:?}, the slowest {slowest:?}",
        began.elapsed()
    );
    let after = resident_kib(child.0.id());
    assert!(
        after - before < 32 * AGENTS as u64,
        "{} KiB for {AGENTS} idle agents",
        after - before
    );
    println!(
        "resident: {before} KiB, then {after} KiB: {} KiB an idle agent",
        (after - before) / AGENTS as u64
    );
}

/// A host that has joined, without the visits that it takes: an address may only try twenty times a minute.
pub(crate) async fn enrolled(world: &World, number: usize) -> Identity {
    let (key, now) = (key(), now_ms());
    let request = rcgen::CertificateParams::default()
        .serialize_request(&key)
        .unwrap();
    let applicant = Applicant::read(&request.pem().unwrap()).unwrap();
    let id = u64::try_from(number).unwrap().to_be_bytes();
    let (secret, spki) = ([7; 32], applicant.fingerprint());
    let centre = Arc::clone(&world.centre);
    let joined = world.centre.store.write(move |c| {
        let name = format!("chat-{number}").parse().unwrap();
        let host = hosts::invite(c, &name, &[], now).unwrap();
        let expires_ms = now + 60_000;
        tokens::keep(
            c,
            host.host,
            &Token {
                id,
                secret,
                expires_ms,
            },
            now,
        )?;
        let life = centre.config.certificate_life;
        tokens::consume(c, &Shown { id, secret, spki }, now, |host| {
            centre
                .authority
                .issue(c, centre.cluster.id, host, (&applicant, life))
        })
    });
    let certificate = CertificateDer::from_pem_slice(joined.await.unwrap().certificate.as_bytes()).unwrap();
    (
        vec![certificate],
        PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
    )
}

async fn dial(config: &Arc<rustls::ClientConfig>) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    let stream = tokio::net::TcpStream::connect(ADDRESS).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let name = rustls_pki_types::ServerName::try_from("controller.chatalot.internal").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
    connector.connect(name, stream).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_output_reaches_a_watcher_whole() {
    const LINES: usize = 300_000;
    let world = World::start().await;
    let (_, identity) = joined(&world, "chat-1").await;
    let id = DeploymentId::fresh();
    let mut agent = Agent::dial(&world, identity).await;
    agent.greet(Uuid::new_v4()).await;
    let step = What::StepStarted {
        step: chatalot_protocol::names::StepId::known("install.run"),
        attempt: 1,
        stream: 1,
        why: String::new(),
    };
    agent
        .events(vec![event(1, id, started()), event(2, id, step)])
        .await;
    agent.hear_acked(2).await;
    let stream = UnixStream::connect(world.centre.config.socket()).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(format!("/v1/deployments/{id}/watch?logs=1")).body(Empty::<Bytes>::new());
    let mut body = sender.send_request(request.unwrap()).await.unwrap().into_body();
    let began = Instant::now();
    let line = [b'x'; 99];
    let piece: Vec<u8> = [line.as_slice(), b"\n"].concat().repeat(MAX_LOG / 100);
    let (mut reader, writer) = tokio::io::split(agent.stream);
    tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
    let sending = tokio::spawn(async move {
        let mut writer = tokio::io::join(tokio::io::empty(), writer);
        let mut agent = Agent { stream: &mut writer };
        let (total, mut at) = (LINES * 100, 0);
        while at < total {
            let size = piece.len().min(total - at);
            agent.log(id, 1, at as u64, &piece[..size]).await;
            at += size;
        }
        let over = What::DeploymentFinished {
            state: DeploymentState::Succeeded,
            advice: None,
            diagnosis: Vec::new(),
            values: std::collections::BTreeMap::new(),
            handover: None,
        };
        let finished = What::StepFinished {
            step: chatalot_protocol::names::StepId::known("install.run"),
            end: chatalot_protocol::event::StepEnd::Done,
            saw: String::new(),
            millis: 1,
            advice: None,
            stream: 1,
            output_bytes: total as u64,
        };
        agent
            .events(vec![event(3, id, finished), event(4, id, over)])
            .await;
        drop(writer);
    });
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        seen += frame.unwrap().data_ref().map_or(0, Bytes::len);
    }
    sending.await.unwrap();
    let secs = began.elapsed().as_secs_f64();
    println!("{LINES} lines of 100 bytes in {secs:.2} s, {seen} bytes at the watcher");
    assert!(seen > LINES * 100);
}
