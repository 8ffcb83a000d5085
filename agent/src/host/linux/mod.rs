//! The real host.
//!
//! | module | what |
//! |---|---|
//! | `system`, `resources`, `files`, `addresses` | small facts, read without a child process |
//! | `process`, `run`, `unit` | programs: their own process group, a deadline, capped output |
//! | `docker` | the Engine's API and compose's version |
//! | `ports`, `sock_diag`, `cgroup` | who listens on a port |
//! | `dns`, `names` | resolvers asked one by one, and names for our own connections |
//! | `fetch`, `tls` | pages, and the certificates that are served with them
//! | `probe` | answering the controller's look from outside |
//! | `turn` | relays, asked for over UDP, TCP and TLS |
//!
//! [`LinuxHost`] only reads and lives in the daemon: it starts no thread, and what it needs for a single question
//! (a trust store, a Docker client, a resolver) is dropped with the answer. [`LinuxActor`] changes the host and
//! lives in the short process of one effect.

mod actor;
mod addresses;
mod cgroup;
mod dns;
mod docker;
mod fetch;
pub(crate) mod files;
mod names;
mod ports;
mod probe;
mod process;
mod resources;
mod run;
mod sock_diag;
mod system;
mod tls;
mod turn;
mod unit;

pub use actor::LinuxActor;

/// What is read of the host's files, tables and programs: functions of bytes that others may have written.
pub mod reading {
    pub use super::cgroup::{Home, home};
    pub use super::names::{hosts, resolvers};
    pub use super::ports::listener;
    pub use super::resources::is_writable;
    pub use super::sock_diag::collect;
    pub use super::system::os_release;
    pub use super::unit::parse as unit;
}

use super::{
    Answers, Command, Container, Engine, Fetch, FetchError, Fetched, HostError, Look, Output, Owner,
    PortOwner, Resources, Strictly, System, Transport, TurnAsk, TurnError, Unit,
};
use crate::outside::Way;
use crate::stun::dialogue::Relay;
use async_trait::async_trait;
use chatalot_protocol::outside::{Look as OutsideLook, Told};
use docker::compose::{Seen, SeenServices};
use futures_util::Stream;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::net::TcpStream;

/// Lets nobody read this process's memory, in which there may be secrets, nor a core dump of it, however it ends.
pub fn keep_memory_private() -> std::io::Result<()> {
    nix::sys::prctl::set_dumpable(false).map_err(Into::into)
}

/// Where things are on this host.
#[derive(Debug, Clone)]
pub struct Config {
    /// The public resolvers that are asked besides the system's.
    pub resolvers: Vec<SocketAddr>,
    /// The file that names the system's resolvers.
    pub resolv_conf: PathBuf,
    /// The names that the system knows without asking.
    pub hosts: PathBuf,
    /// The Docker Engine's socket.
    pub docker_socket: PathBuf,
    /// Where Docker looks for its plugins.
    pub plugin_folders: Vec<PathBuf>,
    /// A PEM file that is trusted instead of the system's trust store.
    pub trust: Option<PathBuf>,
    /// Whom to ask for a look from outside.
    pub outside: Way,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            resolvers: vec![
                SocketAddr::from(([1, 1, 1, 1], 53)),
                SocketAddr::from(([9, 9, 9, 9], 53)),
            ],
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            hosts: PathBuf::from("/etc/hosts"),
            docker_socket: PathBuf::from("/run/docker.sock"),
            plugin_folders: [
                "/root/.docker/cli-plugins",
                "/usr/local/lib/docker/cli-plugins",
                "/usr/local/libexec/docker/cli-plugins",
                "/usr/lib/docker/cli-plugins",
                "/usr/libexec/docker/cli-plugins",
            ]
            .map(PathBuf::from)
            .to_vec(),
            trust: None,
            outside: Way::default(),
        }
    }
}

/// This host, to be read. A clone is another handle on the same host.
#[derive(Debug, Clone)]
pub struct LinuxHost {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    compose: Mutex<Option<Seen>>,
    services: Mutex<Option<SeenServices>>,
    seen_address: Mutex<Option<IpAddr>>,
}

impl LinuxHost {
    /// This host; nothing is read yet.
    pub fn new(config: Config) -> Self {
        Self {
            inner: Arc::new(Inner {
                config,
                compose: Mutex::new(None),
                services: Mutex::new(None),
                seen_address: Mutex::new(None),
            }),
        }
    }

    /// Remembers the address that the controller sees this host at; `None` once the link is down.
    pub fn set_seen_address(&self, address: Option<IpAddr>) {
        *self
            .inner
            .seen_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = address;
    }

    /// Connects to `host:port`; a name is looked up as for our own pages.
    pub async fn connect(&self, address: &str) -> std::io::Result<TcpStream> {
        let (name, port) = address.rsplit_once(':').unwrap_or((address, "443"));
        let port: u16 = port.parse().map_err(std::io::Error::other)?;
        let mut last = std::io::Error::other(format!("{name} does not resolve"));
        for ip in names::addresses(&self.inner.config, name.trim_matches(['[', ']'])).await {
            match TcpStream::connect((ip, port)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// What happens to containers from now on: `(name, action)`, until the Engine goes away.
    pub fn container_events(&self) -> impl Stream<Item = Result<(String, String), HostError>> + Send + use<> {
        docker::events::events(self.inner.config.docker_socket.clone())
    }
}

#[async_trait]
impl Look for LinuxHost {
    async fn system(&self) -> Result<System, HostError> {
        system::system()
    }

    async fn resources(&self, path: &Path) -> Result<Resources, HostError> {
        resources::resources(path)
    }

    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, HostError> {
        files::read(path)
    }

    async fn read_strictly(&self, path: &Path) -> Result<Strictly, HostError> {
        files::read_strictly(path)
    }

    async fn list(&self, path: &Path) -> Result<Vec<String>, HostError> {
        files::list(path)
    }

    async fn owner(&self, path: &Path) -> Result<Option<Owner>, HostError> {
        files::owner(path)
    }

    async fn program(&self, name: &str) -> Result<Option<PathBuf>, HostError> {
        Ok(files::program(name))
    }

    async fn query(&self, command: Command) -> Result<Output, HostError> {
        process::query(&command).await
    }

    async fn unit(&self, name: &str) -> Result<Unit, HostError> {
        unit::unit(name).await
    }

    async fn engine(&self) -> Result<Engine, HostError> {
        Ok(docker::engine(&self.inner.config.docker_socket).await)
    }

    async fn compose(&self) -> Result<Option<String>, HostError> {
        let docker = files::program("docker");
        docker::compose::version(&self.inner.config.plugin_folders, docker, &self.inner.compose).await
    }

    async fn compose_services(&self, folder: &str) -> Result<Option<Vec<String>>, HostError> {
        let ask = super::ask_for_services(folder);
        docker::compose::services(
            &self.inner.config.plugin_folders,
            folder,
            &ask,
            &self.inner.services,
        )
        .await
    }

    async fn containers(&self, folder: Option<&str>) -> Result<Vec<Container>, HostError> {
        docker::containers::containers(&self.inner.config.docker_socket, folder).await
    }

    async fn container_log(&self, name: &str, lines: u32) -> Result<Vec<String>, HostError> {
        docker::containers::log(&self.inner.config.docker_socket, name, lines).await
    }

    async fn port_owner(&self, transport: Transport, port: u16) -> Result<Option<PortOwner>, HostError> {
        ports::owner(&self.inner.config.docker_socket, transport, port).await
    }

    async fn port_is_taken(&self, transport: Transport, port: u16) -> Result<bool, HostError> {
        ports::is_taken(&self.inner.config.docker_socket, transport, port).await
    }

    async fn addresses(&self) -> Result<Vec<IpAddr>, HostError> {
        addresses::addresses()
    }

    fn seen_address(&self) -> Option<IpAddr> {
        *self
            .inner
            .seen_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn resolve(&self, name: &str) -> Result<Vec<Answers>, HostError> {
        dns::resolve(&self.inner.config, name).await
    }

    async fn fetch(&self, fetch: Fetch) -> Result<Fetched, FetchError> {
        fetch::fetch(&self.inner.config, &fetch).await
    }

    async fn turn(&self, ask: TurnAsk) -> Result<Relay, TurnError> {
        turn::ask(&self.inner.config, &ask).await
    }

    async fn outside(&self, look: OutsideLook) -> Told {
        self.inner.config.outside.ask(look).await
    }
}

/// An error with its causes, in one line that is safe to show: some of them quote what a stranger sent.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    super::plain_line(&chatalot_protocol::chain(error))
}

#[cfg(test)]
mod tests {
    #[test]
    fn f59_the_memory_of_the_process_is_nobody_elses() {
        super::keep_memory_private().unwrap();
        assert!(!nix::sys::prctl::get_dumpable().unwrap());
    }
}
