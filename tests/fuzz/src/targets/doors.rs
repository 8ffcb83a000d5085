//! Requests at the agent's socket, and at the controller's socket and port: as they are on the wire, and put together
//! from their parts.

use super::{PATIENCE, parts, runtime, scratch};
use chatalot_agent::deployments::Deployments;
use chatalot_agent::effect::fake::FakeRunner;
use chatalot_agent::health::Health;
use chatalot_agent::host::fake::FakeHost;
use chatalot_agent::ledger::Ledger;
use chatalot_agent::local;
use chatalot_agent::outside::Desk;
use chatalot_agent::runbook::distro::DISTROS;
use chatalot_agent::runbook::engine::{Engine, Pace};
use chatalot_agent::service::Service;
use chatalotctl::api::{self, Api};
use chatalotctl::centre::Centre;
use chatalotctl::config::Config;
use chatalotctl::web::Web;
use chatalotctl::web::bootstrap::Bootstrap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What an input says on the wire. One that begins with a NUL byte is method and path, then headers, then the body:
/// framed as a client would, so that what is tried is behind the framing.
fn request(input: &[u8]) -> Vec<u8> {
    let Some(input) = input.strip_prefix(b"\0") else {
        return input.to_vec();
    };
    let [line, headers, body] = parts(input);
    let mut request = line
        .split(|byte| b"\r\n".contains(byte))
        .next()
        .unwrap_or_default()
        .to_vec();
    request.extend(b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
    for header in headers.split(|byte| b"\r\n".contains(byte)) {
        let name = header
            .split(|byte| *byte == b':')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let frames = [
            b"content-length".as_slice(),
            b"transfer-encoding",
            b"connection",
            b"expect",
        ];
        if !name.is_empty() && !frames.contains(&name.as_slice()) {
            request.extend(header);
            request.extend(b"\r\n");
        }
    }
    request.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
    request.extend(body);
    request
}

/// Says it and hears the answer out; a server ends it, or breaks it off.
async fn visit(mut stream: impl AsyncRead + AsyncWrite + Unpin, input: &[u8]) {
    let conversation = async {
        let request = request(input);
        let is_framed = input.starts_with(b"\0");
        if stream.write_all(&request).await.is_err() {
            return;
        }
        if !is_framed {
            let _ = stream.shutdown().await;
        }
        let mut answer = Vec::new();
        // A watched deployment has no end; what a door says of anything else is short.
        let _ = stream.take(4 << 20).read_to_end(&mut answer).await;
        if !answer.is_empty() {
            assert!(
                answer.starts_with(b"HTTP/1.1 ") || answer.starts_with(b"HTTP/1.0 "),
                "an answer is HTTP"
            );
            assert!(
                !answer.starts_with(b"HTTP/1.1 500"),
                "no request is our own failure: {}",
                String::from_utf8_lossy(&answer)
            );
        }
    };
    timeout(PATIENCE, conversation).await.expect("an answer in time");
}

struct Agent {
    runtime: Runtime,
    socket: PathBuf,
}

static AGENT: LazyLock<Agent> = LazyLock::new(|| {
    let (runtime, state) = (runtime(), scratch("agent"));
    let socket = state.join("agent.sock");
    runtime.block_on(async {
        let listener = local::bind(&socket).unwrap();
        tokio::spawn(local::serve(listener, service(&state), CancellationToken::new()));
    });
    Agent { runtime, socket }
});

fn service(state: &Path) -> Arc<Service> {
    let ledger = Ledger::open(&state.join("ledger.sqlite")).unwrap();
    let host = Arc::new(FakeHost::fresh(&DISTROS[0]));
    let engine = Engine {
        pulse: Arc::default(),
        ledger: ledger.clone(),
        host: host.clone(),
        runner: Arc::new(FakeRunner::new(host.clone())),
        steps: chatalot_agent::runbook::steps().collect(),
        pace: Pace::default(),
    };
    Arc::new(Service {
        ledger,
        host,
        deployments: Arc::new(Deployments::new(
            Arc::new(engine),
            state.to_owned(),
            "key".to_owned(),
        )),
        health: watch::channel(Health::default()).1,
        state: state.to_owned(),
        controller: None,
        connection: watch::channel(None).0,
        spread_secs: AtomicU64::default(),
        outside: Arc::new(Desk::new(false)),
        started: Instant::now(),
    })
}

pub(super) fn open_agent() {
    LazyLock::force(&AGENT);
}

pub(super) fn local_request(input: &[u8]) {
    AGENT.runtime.block_on(async {
        visit(UnixStream::connect(&AGENT.socket).await.unwrap(), input).await;
    });
}

struct Controller {
    runtime: Runtime,
    centre: Arc<Centre>,
    bootstrap: Arc<Bootstrap>,
}

static CONTROLLER: LazyLock<Controller> = LazyLock::new(|| {
    let (runtime, folder) = (runtime(), scratch("controller"));
    let centre = runtime.block_on(Centre::open(config(&folder))).unwrap();
    let pinned = Arc::clone(&centre);
    let bootstrap = Arc::new(Bootstrap::new(
        "controller.example.com:8443".to_owned(),
        move || pinned.authority.now().curl_pins(),
        &centre.config.binaries,
    ));
    runtime.block_on(async {
        let listener = api::bind(&centre.config.socket()).unwrap();
        let api = Api::new(Arc::clone(&centre), Arc::clone(&bootstrap));
        tokio::spawn(api.run(listener, TaskTracker::new(), CancellationToken::new()));
    });
    Controller {
        runtime,
        centre,
        bootstrap,
    }
});

fn config(folder: &Path) -> Config {
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

/// The controller, for whatever else needs one.
pub(super) fn centre() -> (&'static Runtime, &'static Arc<Centre>) {
    (&CONTROLLER.runtime, &CONTROLLER.centre)
}

pub(super) fn open_controller() {
    LazyLock::force(&CONTROLLER);
}

pub(super) fn operator_request(input: &[u8]) {
    let Controller { runtime, centre, .. } = &*CONTROLLER;
    runtime.block_on(async {
        visit(UnixStream::connect(centre.config.socket()).await.unwrap(), input).await;
    });
}

/// Every visitor comes from elsewhere, and none is slowed down for those before.
pub(super) fn visitor(input: &[u8]) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let Controller {
        runtime,
        centre,
        bootstrap,
    } = &*CONTROLLER;
    let from = u128::from(COUNT.fetch_add(1, Ordering::Relaxed)) << 64;
    let from = IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | from));
    runtime.block_on(async {
        let api = Api::new(Arc::clone(centre), Arc::clone(bootstrap));
        let web = Web::new(Arc::clone(centre), Arc::clone(bootstrap), api);
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let served = tokio::spawn(web.serve(theirs, from, CancellationToken::new()));
        visit(ours, input).await;
        timeout(PATIENCE, served)
            .await
            .expect("a visit ends")
            .expect("without a panic");
    });
}
