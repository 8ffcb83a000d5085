//! The Docker Engine, as whoever listens on its socket.

use super::{parts, runtime, scratch};
use chatalot_agent::host::Look;
use chatalot_agent::host::linux::{Config, LinuxHost};
use futures_util::StreamExt;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};
use tokio::net::UnixListener;
use tokio::runtime::Runtime;

struct Docker {
    runtime: Runtime,
    host: LinuxHost,
}

/// What the Engine says: its head, its containers, one of them, its log, its events.
static WORDS: Mutex<[Vec<u8>; 5]> = Mutex::new([const { Vec::new() }; 5]);

static DOCKER: LazyLock<Docker> = LazyLock::new(|| {
    let (runtime, socket) = (runtime(), scratch("engine").join("docker.sock"));
    let at: PathBuf = socket.clone();
    runtime.block_on(async move {
        let listener = UnixListener::bind(&at).unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let served =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(engine_says));
                tokio::spawn(served);
            }
        });
    });
    let config = Config {
        docker_socket: socket,
        ..Config::default()
    };
    Docker {
        runtime,
        host: LinuxHost::new(config),
    }
});

async fn engine_says(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let [head, list, one, log, events] = WORDS.lock().unwrap().clone();
    let path = request.uri().path().to_owned();
    let reply = Response::builder();
    if path.ends_with("/_ping") {
        let head = String::from_utf8_lossy(&head).into_owned();
        let (version, api) = head.split_once(' ').unwrap_or(("26.1.5", "1.45"));
        let reply = reply
            .header("server", format!("Docker/{version}"))
            .header("api-version", api);
        return Ok(reply.body(Full::default()).unwrap_or_default());
    }
    let body = match path.rsplit('/').next().unwrap_or_default() {
        "json" if path.ends_with("/containers/json") => list,
        "json" => one,
        "logs" => log,
        "events" => events,
        _ => head,
    };
    Ok(reply
        .header("content-type", "application/json")
        .body(Full::from(body))
        .unwrap())
}

pub(super) fn open() {
    LazyLock::force(&DOCKER);
}

pub(super) fn engine(input: &[u8]) {
    *WORDS.lock().unwrap() = parts(input).map(<[u8]>::to_vec);
    let Docker { runtime, host } = &*DOCKER;
    runtime.block_on(async {
        let _ = host.engine().await;
        for container in host.containers(Some("/srv/chatalot")).await.unwrap_or_default() {
            let words = [
                &container.name,
                &container.image,
                &container.service,
                &container.version,
            ];
            assert!(
                !words
                    .iter()
                    .any(|word| word.contains(|c: char| c.is_control() && c != '\t'))
            );
        }
        for line in host
            .container_log("chatalot-server", 50)
            .await
            .unwrap_or_default()
        {
            assert!(!line.contains(|c: char| c.is_control() && c != '\t'));
        }
        let mut events = std::pin::pin!(host.container_events());
        while let Some(Ok((name, action))) = events.next().await {
            assert!(
                ![name, action]
                    .concat()
                    .contains(|c: char| c.is_control() && c != '\t')
            );
        }
    });
}
