//! The operator's API: `chatalot_protocol::api`, [`crate::model`] and [`crate::access::view`]. It is served on the
//! unix socket to whoever the kernel lets use it, and on the one port to whoever shows a token; both go through
//! the same [`gate`], which knows the endpoints from one table, [`routes`].

mod approvals;
mod audit;
mod ca;
mod deployments;
pub mod gate;
mod hosts;
mod lifecycle;
mod refusals;
pub mod routes;
mod tokens;

pub(crate) use approvals::expired as expired_approval;

use crate::access::Caller;
use crate::centre::Centre;
use crate::http;
use crate::limiter::Limiter;
use crate::web::bootstrap::Bootstrap;
use hyper::service::service_fn;
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
    failures: Limiter,
}

impl Api {
    /// For a controller.
    pub fn new(centre: Arc<Centre>, bootstrap: Arc<Bootstrap>) -> Arc<Self> {
        Arc::new(Self {
            centre,
            bootstrap,
            failures: Limiter::default(),
        })
    }

    /// Serves until `stop`; the connections are in `tasks`.
    pub async fn run(self: Arc<Self>, listener: UnixListener, tasks: TaskTracker, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            match accepted.map(|(stream, _)| (operator(&stream), stream)) {
                Ok((Some(caller), stream)) => {
                    tasks.spawn(Arc::clone(&self).serve(caller, stream, stop.clone()));
                }
                Ok((None, _)) => log::warn!("somebody else has tried the operator's socket"),
                Err(error) => {
                    log::warn!(error:% = error; "cannot accept a command");
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
            }
        }
    }

    async fn serve(self: Arc<Self>, caller: Caller, stream: UnixStream, stop: CancellationToken) {
        let service = service_fn(|request| {
            let (api, caller) = (Arc::clone(&self), caller.clone());
            async move { Ok::<_, std::convert::Infallible>(api.answer(caller, request).await) }
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
}

/// Who is at the other end, if that is root or our own user.
fn operator(stream: &UnixStream) -> Option<Caller> {
    let ours = nix::unistd::geteuid().as_raw();
    let uid = stream.peer_cred().ok()?.uid();
    admits(uid, ours).then(|| Caller::local(uid))
}

/// Whether a user of this machine is the operator.
fn admits(uid: u32, ours: u32) -> bool {
    uid == 0 || uid == ours
}

/// One value of a query.
fn asked<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    query?
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::admits;

    #[test]
    fn f11_only_root_and_the_controllers_own_user_are_the_operator() {
        assert!(admits(0, 998) && admits(998, 998));
        assert!(!admits(1000, 998) && !admits(1000, 0));
    }
}
