//! The operator's API on the unix socket: `chatalot_protocol::api` and [`crate::model`].

mod deployments;
mod hosts;
mod lifecycle;
mod refusals;

use crate::centre::Centre;
use crate::http::{self, Reply};
use crate::web::bootstrap::Bootstrap;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The longest request: an order, at most.
const LONGEST: usize = 1 << 20;

/// Binds the socket that only we may use; whatever lies there is ours, for the state folder is locked.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// The API of one controller.
pub struct Api {
    centre: Arc<Centre>,
    bootstrap: Arc<Bootstrap>,
}

impl Api {
    /// For a controller.
    pub fn new(centre: Arc<Centre>, bootstrap: Arc<Bootstrap>) -> Arc<Self> {
        Arc::new(Self { centre, bootstrap })
    }

    /// Serves until `stop`; the connections are in `tasks`.
    pub async fn run(self: Arc<Self>, listener: UnixListener, tasks: TaskTracker, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, _)) if is_operator(&stream) => {
                    tasks.spawn(Arc::clone(&self).serve(stream, stop.clone()));
                }
                Ok(_) => log::warn!("somebody else has tried the operator's socket"),
                Err(error) => {
                    log::warn!(error:% = error; "cannot accept a command");
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
            }
        }
    }

    async fn serve(self: Arc<Self>, stream: UnixStream, stop: CancellationToken) {
        let service = service_fn(|request| {
            let api = Arc::clone(&self);
            async move { Ok::<_, std::convert::Infallible>(api.answer(request).await) }
        });
        let connection = http::builder()
            .header_read_timeout(None)
            .half_close(false)
            .serve_connection(TokioIo::new(stream), service);
        let ended = tokio::select! {
            ended = connection => ended,
            () = stop.cancelled() => return,
        };
        if let Err(error) = ended {
            log::debug!(error:% = crate::chain(&error); "a command broke off");
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let path = request.uri().path().to_owned();
        let mut parts = path.trim_matches('/').split('/');
        if parts.next() != Some("v1") {
            return http::nothing_here();
        }
        let rest: Vec<&str> = parts.collect();
        let get = request.method() == Method::GET;
        let post = request.method() == Method::POST;
        match rest.as_slice() {
            ["hosts"] if get => self.list().await,
            ["hosts"] if post => self.add(request).await,
            ["hosts", name] if get => self.show_host(name, request.uri().query()).await,
            ["hosts", name, "revoke"] if post => self.revoke(name).await,
            ["hosts", name, "readmit"] if post => self.readmit(name).await,
            ["hosts", name, "rename"] if post => self.rename(name, request).await,
            ["hosts", name, "ask"] if post => self.ask(name, request).await,
            ["hosts", name, "deployments"] if post => self.deploy(name, request).await,
            ["deployments", id] if get => self.show(id).await,
            ["deployments", id, "watch"] if get => self.watch(id, request.uri().query()).await,
            ["deployments", id, "cancel"] if post => self.cancel(id).await,
            _ => http::nothing_here(),
        }
    }
}

/// Whether root or our own user is at the other end.
fn is_operator(stream: &UnixStream) -> bool {
    let ours = nix::unistd::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == ours)
}

/// One value of a query.
fn asked<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    query?
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}
