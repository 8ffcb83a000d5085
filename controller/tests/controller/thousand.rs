//! A thousand agents come back after the controller was killed, each by the agent's own rule and none told when.

use crate::agent::Agent;
use crate::measure::{Reaped, enrolled};
use crate::world::{World, config, exchange, tls};
use chatalot_agent::link::dial::jittered;
use chatalot_protocol::identity::{ALPN_CHANNEL, CONTROLLER_NAME};
use chatalotctl::config::Config;
use chatalotctl::model::HostView;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use uuid::Uuid;

const AGENTS: usize = 1000;
const ALL_BACK: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_agents_are_back_within_a_minute_of_a_restart() {
    let world = World::start().await;
    let mut players = Vec::new();
    for number in 0..AGENTS {
        let identity = enrolled(&world, number).await;
        players.push((tls(world.pin(), &[ALPN_CHANNEL], Some(identity)), Uuid::new_v4()));
    }
    let folder = world.stop().await;
    let mut config = config(folder.path());
    config.listen = TcpListener::bind(config.listen).unwrap().local_addr().unwrap();
    let serving = serve(&config).await;
    let (tell, mut welcomed) = mpsc::channel(AGENTS);
    let mut living = JoinSet::new();
    for (tls, life) in players {
        living.spawn(live(tls, config.listen.to_string(), life, tell.clone()));
    }
    all(&mut welcomed).await;
    drop(serving);
    let began = Instant::now();
    let _serving = serve(&config).await;
    timeout(ALL_BACK, all(&mut welcomed)).await.expect("all are back");
    println!("{AGENTS} agents back in {:?}", began.elapsed());
    let stream = UnixStream::connect(config.socket()).await.unwrap();
    let (_, hosts) = exchange(stream, "GET", "/v1/hosts", Vec::new()).await;
    let hosts: Vec<HostView> = serde_json::from_slice(&hosts).unwrap();
    assert_eq!(hosts.iter().filter(|host| host.connected).count(), AGENTS);
}

async fn serve(config: &Config) -> Reaped {
    let child = Command::new(env!("CARGO_BIN_EXE_chatalotctl"))
        .args(["serve", "--listen", &config.listen.to_string(), "--state"])
        .arg(&config.state)
        .env("CHATALOTCTL_LOG", "warn")
        .spawn();
    let child = Reaped(child.unwrap());
    while UnixStream::connect(config.socket()).await.is_err() {
        tokio::task::yield_now().await;
    }
    child
}

async fn all(welcomed: &mut mpsc::Receiver<()>) {
    for _ in 0..AGENTS {
        welcomed.recv().await.unwrap();
    }
}

/// Has a session, and another one when it has ended, for ever.
async fn live(tls: Arc<ClientConfig>, address: String, life: Uuid, tell: mpsc::Sender<()>) {
    let (mut failures, mut spread) = (0, Duration::ZERO);
    loop {
        if let Some(stream) = dial(&tls, &address).await {
            let mut agent = Agent { stream };
            if let Some(welcome) = agent.try_greet(life).await {
                (failures, spread) = (0, Duration::from_secs(welcome.spread_secs));
                tell.send(()).await.unwrap();
                while agent.hear().await.is_some() {}
            }
        }
        failures += 1;
        sleep(jittered(failures, spread)).await;
    }
}

async fn dial(tls: &Arc<ClientConfig>, address: &str) -> Option<tokio_rustls::client::TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.ok()?;
    let name = ServerName::try_from(CONTROLLER_NAME).unwrap();
    let connector = TlsConnector::from(Arc::clone(tls));
    connector.connect(name, stream).await.ok()
}
