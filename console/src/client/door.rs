//! Where a daemon is reached: its socket on this machine, or whatever else a command line knows a way to.

use super::Peer;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::secret::Secret;
use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

/// A connection to a daemon.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A connection that is being made.
pub type Dialling<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Wire>>> + Send + 'a>>;

/// A way to a daemon.
pub trait Door: Debug + Send + Sync {
    /// Connects.
    fn dial(&self) -> Dialling<'_>;

    /// What is shown there, where the kernel does not vouch for us.
    fn token(&self) -> Option<&Secret> {
        None
    }

    /// What a person can do when nobody answers.
    fn advice(&self, peer: Peer, cause: &io::Error) -> Advice;
}

/// A unix socket.
#[derive(Debug)]
pub(super) struct Socket(pub(super) PathBuf);

impl Door for Socket {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async { Ok(Box::new(UnixStream::connect(&self.0).await?) as Box<dyn Wire>) })
    }

    fn advice(&self, peer: Peer, cause: &io::Error) -> Advice {
        let socket = self.0.display();
        if cause.kind() == io::ErrorKind::PermissionDenied {
            return Advice::new(
                "NOT_ALLOWED",
                format!("permission denied at {socket}"),
                "access to the daemon's socket",
                "run the command as root (`sudo …`)",
            );
        }
        let (code, wanted, fix) = match peer {
            Peer::Controller => (
                "CONTROLLER_NOT_RUNNING",
                "the controller behind this socket",
                "start `chatalotctl serve` on this machine, name its socket, or reach one elsewhere with `chatalotctl login`",
            ),
            Peer::Agent => (
                "AGENT_NOT_RUNNING",
                "the agent behind this socket",
                "start it: `systemctl start chatalot-agent`; `journalctl -u chatalot-agent` says why it stopped",
            ),
        };
        Advice::new(code, format!("{socket}: {cause}"), wanted, fix)
    }
}
