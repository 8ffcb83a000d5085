//! The local socket: the same questions and deployments as over the link, for root on this host. See
//! [`chatalot_protocol::api`].

mod routes;
mod watch;

use crate::service::Service;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nix::unistd::geteuid;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

/// How many callers are served at once; more wait their turn.
const CALLERS: usize = 16;
/// How long no caller is accepted after one could not be, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Binds the socket, 0600, in a folder that nobody else can put another one into, or exchange.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let facts = fs::symlink_metadata(folder)?;
    let others = facts.mode() & 0o022 != 0 || !may_call(facts.uid());
    if !facts.is_dir() || others {
        let why = format!("`{}` is a link, or others may write there", folder.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves callers until told to stop.
pub async fn serve(listener: UnixListener, service: Arc<Service>, stop: CancellationToken) {
    let places = Arc::new(tokio::sync::Semaphore::new(CALLERS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let caller = tokio::select! {
            caller = listener.accept() => caller, // cancel-safe per docs on `accept`
            () = stop.cancelled() => return,      // cancel-safe: level-triggered
        };
        match caller {
            Ok((stream, _)) => match caller_of(&stream) {
                Some(uid) if may_call(uid) => {
                    let (service, stop) = (service.clone(), stop.clone());
                    tokio::spawn(async move {
                        answer(stream, service, uid, stop).await;
                        drop(place);
                    });
                }
                uid => log::warn!(uid:? = uid; "a caller on the local socket was not root"),
            },
            Err(error) => {
                log::warn!(error = crate::chain(&error); "a caller could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Who is at the other end, as the kernel says.
fn caller_of(stream: &UnixStream) -> Option<u32> {
    stream.peer_cred().ok().map(|peer| peer.uid())
}

/// Only root, and whoever the agent itself runs as, whatever the socket's mode has become.
fn may_call(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw()
}

async fn answer(stream: UnixStream, service: Arc<Service>, uid: u32, stop: CancellationToken) {
    let routes = service_fn(move |request| routes::route(request, service.clone(), uid));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), routes);
    tokio::select! {
        ended = connection => if let Err(error) = ended { // dropped only when stopping
            log::debug!(error = crate::chain(&error); "a caller on the local socket went away");
        },
        () = stop.cancelled() => {} // cancel-safe: level-triggered
    }
}

#[cfg(test)]
mod tests;
