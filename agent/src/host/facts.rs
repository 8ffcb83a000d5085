//! What the host says of itself, as plain data.

use crate::stun::dialogue::{Credentials, Refusal};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// The operating system.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct System {
    /// `ID` of os-release: `debian`.
    pub id: String,
    /// `ID_LIKE` of os-release, split.
    pub id_like: Vec<String>,
    /// `VERSION_ID` of os-release; empty for a rolling system.
    pub version: String,
    /// `VERSION_CODENAME` of os-release.
    pub codename: String,
    /// `PRETTY_NAME` of os-release.
    pub pretty: String,
    /// `x86_64`, `aarch64`, …
    pub architecture: String,
    /// The machine's host name.
    pub hostname: String,
    /// The kernel's id of this boot.
    pub boot_id: String,
    /// Whether systemd is the first process.
    pub systemd: bool,
    /// Whether we are root.
    pub root: bool,
}

/// Memory and disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resources {
    /// All memory.
    pub memory: u64,
    /// The disk's size.
    pub disk: u64,
    /// What of it is free for us.
    pub disk_free: u64,
    /// How many files the disk can hold; zero where there is no such limit.
    pub inodes: u64,
    /// How many more.
    pub inodes_free: u64,
    /// Whether the disk can be written.
    pub writable: bool,
}

/// A systemd unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unit {
    /// Whether systemd knows it.
    pub exists: bool,
    /// Whether it runs.
    pub active: bool,
    /// Whether it is started at boot.
    pub enabled: bool,
}

/// The Docker Engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// No socket and no program.
    Absent,
    /// Installed, but nobody answers on the socket.
    Down {
        /// What happened instead.
        why: String,
    },
    /// It answers.
    Up {
        /// `26.1.5`.
        version: String,
        /// The API version that both sides speak: `1.45`.
        api: String,
    },
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Container {
    /// Its name, without the slash.
    pub name: String,
    /// Its compose project.
    pub project: String,
    /// Its compose service.
    pub service: String,
    /// Its compose project's folder.
    pub folder: String,
    /// `running`, `exited`, `restarting`, `created`, …
    pub state: String,
    /// `healthy`, `unhealthy`, `starting`; `None` without a health check.
    pub health: Option<String>,
    /// Its exit code, when it is not running.
    pub exit_code: i64,
    /// Whether the kernel ended it for its memory.
    pub oom_killed: bool,
    /// How often the Engine has restarted it.
    pub restarts: u64,
    /// The restart policy's name.
    pub restart_policy: String,
    /// The image that it was made from.
    pub image: String,
    /// That image's id, a digest.
    pub image_id: String,
    /// The ports that it publishes on the host.
    pub ports: Vec<u16>,
    /// The port inside that each of them leads to, over TCP.
    pub inside: BTreeMap<u16, u16>,
    /// Those of them that it publishes on loopback alone.
    pub loopback: Vec<u16>,
    /// The version that its image names.
    pub version: String,
    /// What it was started with.
    pub command: Vec<String>,
    /// Of its environment what configures Traefik; other programs keep secrets there.
    pub environment: Vec<String>,
    /// The networks that it is in.
    pub networks: Vec<String>,
    /// Where folders and files of the host are inside: the source, then the target.
    pub mounts: Vec<(String, String)>,
    /// Of its labels those that configure Traefik.
    pub labels: BTreeMap<String, String>,
}

pub use chatalot_protocol::outside::Transport;

/// Who listens on a port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortOwner {
    /// The process's id, when it can be told.
    pub pid: Option<u32>,
    /// The process's name.
    pub process: String,
    /// The systemd unit that it belongs to.
    pub unit: Option<String>,
    /// The container that publishes the port.
    pub container: Option<String>,
}

/// What one resolver says of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// The resolver's address, or `system`.
    pub resolver: String,
    /// Its A records.
    pub a: Records<Ipv4Addr>,
    /// Its AAAA records.
    pub aaaa: Records<Ipv6Addr>,
}

/// An answer about one kind of record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records<T> {
    /// These, sorted; empty if the name exists without such records, or not at all.
    Found(Vec<T>),
    /// No answer.
    Failed(String),
}

/// A page to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// `http://…` or `https://…`.
    pub url: String,
    /// Where to connect, whatever the name resolves to.
    pub connect_to: Option<SocketAddr>,
    /// The address of this host to come from, where that matters.
    pub from: Option<IpAddr>,
    /// Headers to send besides `host` and `user-agent`.
    pub headers: Vec<(String, String)>,
    /// How long all of it may take.
    pub deadline: Duration,
    /// Whether the certificate is judged against the system's trust store (or only read).
    pub verify: bool,
}

impl Fetch {
    /// A page, within ten seconds, its certificate judged.
    pub fn page(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connect_to: None,
            from: None,
            headers: Vec::new(),
            deadline: Duration::from_secs(10),
            verify: true,
        }
    }

    /// A WebSocket upgrade; answered by status 101 where it works, and closed at once.
    #[must_use]
    pub fn websocket(mut self) -> Self {
        for (name, value) in [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "Y2hhdGFsb3QtYWdlbnQtMQ=="),
        ] {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

/// A page that was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fetched {
    /// The HTTP status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, at most 64 KiB of it.
    pub body: Vec<u8>,
    /// The certificate, over TLS.
    pub tls: Option<TlsFacts>,
}

impl Fetched {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The certificate that was served.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsFacts {
    /// Who signed it.
    pub issuer: String,
    /// When it ends, in seconds since 1970.
    pub not_after: i64,
    /// Why it is not trusted, where it is not.
    pub distrust: Option<String>,
}

/// Why a page could not be fetched, by the layer that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The name did not resolve.
    #[error("{0} does not resolve")]
    Name(String),
    /// Nobody accepted the connection.
    #[error("cannot connect to {0}")]
    Connect(String),
    /// TLS failed.
    #[error("no TLS: {0}")]
    Tls(String),
    /// It took too long.
    #[error("no answer within {0} s")]
    Deadline(u64),
    /// What answered was not HTTP.
    #[error("not HTTP: {0}")]
    Http(String),
}

/// How a TURN server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnOver {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP; whose certificate is not judged, for clients that use it do that themselves.
    Tls,
}

/// A TURN server to be asked for a relay, which is handed back at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnAsk {
    /// The server.
    pub server: SocketAddr,
    /// How it is spoken to.
    pub over: TurnOver,
    /// Who asks.
    pub credentials: Credentials,
}

/// Why a TURN server gave no relay, by the layer that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TurnError {
    /// Nobody answered.
    #[error("no answer: {0}")]
    Silent(String),
    /// TLS failed.
    #[error("no TLS: {0}")]
    Tls(String),
    /// It answered, and gave none.
    #[error(transparent)]
    Refused(#[from] Refusal),
}
