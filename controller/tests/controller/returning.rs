//! Rows 21 and 70: told to end with all its sessions, and everybody comes back at once. `CHATALOT_AGENTS=10000` for as many; a thousand where nothing is said.

use crate::agent::Agent;
use crate::measure::{Reaped, enrolled};
use crate::world::{World, config, tls};
use chatalot_protocol::identity::ALPN_CHANNEL;
use chatalot_protocol::message::{ToAgent, ToController};
use rustls::ClientConfig;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use uuid::Uuid;

const ADDRESS: &str = "127.0.0.1:18997";
/// The target, which a release build on a machine of its own has to meet.
const TARGET: Duration = Duration::from_mins(1);
/// All have to be back by then, in a debug build on a busy machine too.
const ALL_BACK: Duration = Duration::from_mins(5);

/// How long it takes at most, but for one in a hundred, from the first attempt to the welcome.
const LET_IN: Duration = Duration::from_secs(30);
/// What systemd is told to wait for the end.
const ENDED: Duration = Duration::from_secs(10);

type Connected = Agent<tokio_rustls::client::TlsStream<TcpStream>>;

async fn serve(state: &Path, socket: &Path) -> Reaped {
    let child = Command::new(env!("CARGO_BIN_EXE_chatalotctl"))
        .args(["serve", "--listen", ADDRESS, "--state"])
        .arg(state)
        .env("CHATALOTCTL_LOG", "warn")
        .spawn();
    let child = Reaped(child.unwrap());
    while UnixStream::connect(socket).await.is_err() {
        tokio::task::yield_now().await;
    }
    child
}

/// One attempt, to the welcome.
async fn attempt(config: Arc<ClientConfig>, epoch: Uuid) -> Option<Connected> {
    let stream = TcpStream::connect(ADDRESS).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let name = rustls_pki_types::ServerName::try_from("controller.chatalot.internal").unwrap();
    let stream = tokio_rustls::TlsConnector::from(config)
        .connect(name, stream)
        .await
        .ok()?;
    let mut agent = Agent { stream };
    let hello = Box::new(crate::agent::hello(epoch));
    let mut bytes = Vec::new();
    chatalot_protocol::frame::put_message(&ToController::Hello(hello), &mut bytes).unwrap();
    agent.stream.write_all(&bytes).await.ok()?;
    let welcomed = matches!(agent.hear().await, Some(ToAgent::Welcome(_)));
    welcomed.then_some(agent)
}

/// As the agent does it: again after a pause drawn from zero to a ceiling that doubles.
async fn come(config: Arc<ClientConfig>) -> (Connected, Duration) {
    let (epoch, mut ceiling) = (Uuid::new_v4(), 2.0);
    let began = Instant::now();
    loop {
        if let Some(agent) = attempt(config.clone(), epoch).await {
            return (agent, began.elapsed());
        }
        let dice = f64::from(Uuid::new_v4().as_fields().0) / f64::from(u32::MAX);
        tokio::time::sleep(Duration::from_secs_f64(ceiling * dice)).await;
        ceiling = f64::min(ceiling * 2.0, 60.0);
    }
}

/// Everybody comes at once; the sessions, and how long each took, all its attempts together.
async fn all_come(configs: &[Arc<ClientConfig>]) -> (Vec<Connected>, String) {
    let began = Instant::now();
    let mut coming = JoinSet::new();
    for config in configs {
        coming.spawn(come(config.clone()));
    }
    let (mut agents, mut took) = (Vec::new(), Vec::new());
    while let Some(there) = coming.join_next().await {
        let (agent, time) = there.unwrap();
        agents.push(agent);
        took.push(time);
    }
    took.sort_unstable();
    let p = |hundredth: usize| took[(took.len() - 1) * hundredth / 100];
    let told = format!(
        "{} sessions in {:?}, target {TARGET:?}: {}; from the first attempt to the welcome p50 {:?}, p99 {:?}",
        took.len(),
        began.elapsed(),
        if began.elapsed() < TARGET { "met" } else { "missed" },
        p(50),
        p(99)
    );
    assert!(
        p(99) < LET_IN,
        "one in a hundred waits longer than {LET_IN:?} to be let in: {told}"
    );
    assert!(
        began.elapsed() < ALL_BACK,
        "all are back after {:?}",
        began.elapsed()
    );
    (agents, told)
}

/// SIGTERM, with all these sessions: it ends by itself and in time.
fn ends_when_told(mut child: Reaped) {
    let began = Instant::now();
    let pid = nix::unistd::Pid::from_raw(child.0.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let status = child.0.wait().unwrap();
    assert!(status.success(), "{status}");
    assert!(
        began.elapsed() < ENDED,
        "f70: it took {:?} to end",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f21_f70_all_agents_come_back_after_a_restart_that_ends_in_time_and_no_session_is_lost() {
    let agents = std::env::var("CHATALOT_AGENTS").map_or(1000, |text| text.parse().unwrap());
    let world = World::start().await;
    let pin = world.pin();
    let mut configs = Vec::new();
    for number in 0..agents {
        let identity = enrolled(&world, number).await;
        configs.push(tls(pin, &[ALPN_CHANNEL], Some(identity)));
    }
    let folder = world.stop().await;
    let config = config(folder.path());
    let child = serve(&config.state, &config.socket()).await;
    let (before, told) = all_come(&configs).await;
    println!("{told}");
    ends_when_told(child);
    let child = serve(&config.state, &config.socket()).await;
    drop(before);
    let (mut sessions, told) = all_come(&configs).await;
    println!("{told}");
    assert_eq!(sessions.len(), agents);
    for agent in &mut sessions {
        agent.say(&ToController::Ping { n: 1 }).await;
        assert_eq!(agent.hear().await, Some(ToAgent::Pong { n: 1 }));
    }
    drop(child);
}
