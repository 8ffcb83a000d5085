//! How the controller was started, and what it means.

use crate::access::Role;
use crate::api::routes::Effect;
use crate::outside::names::Server;
use crate::outside::reach::Network;
use clap::Args;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the state is when nothing is said.
pub const STATE: &str = "/var/lib/chatalotctl";
/// The processors that agents are built for.
pub const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

/// What was typed after `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The folder of the controller's state
    #[arg(long, value_name = "DIR", default_value = STATE)]
    pub state: PathBuf,
    /// The address to listen on, for agents, bootstrap and enrolment
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:8443")]
    pub listen: SocketAddr,
    /// What hosts reach this controller at, when it is not the address of this machine
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
    /// What hosts may reach this controller at one day, should it be restored elsewhere; they learn it beforehand
    #[arg(long, value_name = "HOST:PORT", requires = "address")]
    pub standby: Vec<String>,
    /// The agent's binary for this machine's architecture
    #[arg(long, value_name = "PATH")]
    pub agent_binary: Option<PathBuf>,
    /// How many days an agent's certificate is valid
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub certificate_days: u64,
    /// How many days events and output of deployments are kept; the latest of each host stays
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub keep_days: u64,
    /// Have everything that changes a host approved by somebody else, who has this role
    #[arg(long, value_name = "ROLE", value_enum)]
    pub require_approval_by: Option<Role>,
    /// Have what cannot be taken back approved by somebody else, who has this role
    #[arg(long, value_name = "ROLE", value_enum)]
    pub second_approver: Option<Role>,
    /// A resolver to ask for a site's addresses when it is looked at from outside, in place of the system's
    #[arg(long = "resolver", value_name = "IP[:PORT]")]
    pub resolvers: Vec<Server>,
    /// A network whose private addresses are looked at too, for hosts that are not on the internet
    #[arg(long = "look-at", value_name = "NETWORK")]
    pub reach: Vec<Network>,
}

/// What it means.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder of the controller's state.
    pub state: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// What hosts reach us at, unless it is found out from where we listen.
    pub address: Option<String>,
    /// What they may reach us at one day.
    pub standby: Vec<String>,
    /// The agent's binary for each architecture, whether it is there or not.
    pub binaries: Vec<(&'static str, PathBuf)>,
    /// How long an agent's certificate is valid.
    pub certificate_life: Duration,
    /// After how long a host that is kept out may try again.
    pub refused_retry: Duration,
    /// How long the key of a host that is readmitted is taken.
    pub readmit_time: Duration,
    /// How long a join token is valid where nothing is said.
    pub token_life: Duration,
    /// How long a job may wait for its host.
    pub job_life: Duration,
    /// How long events and output of deployments are kept.
    pub keep: Duration,
    /// The role of whoever must approve what changes a host, if it must be somebody else.
    pub approval_by: Option<Role>,
    /// The role of whoever must approve what cannot be taken back, if it must be somebody else.
    pub second_approver: Option<Role>,
    /// How long a request may wait for approval.
    pub approval_life: Duration,
    /// Who is asked for a site's addresses; the system's resolvers, where nobody is named.
    pub resolvers: Vec<Server>,
    /// The networks that are looked at although they are not public.
    pub reach: Vec<Network>,
}

impl From<ServeArgs> for Config {
    fn from(typed: ServeArgs) -> Self {
        let binaries = ARCHITECTURES
            .iter()
            .map(|architecture| {
                let ours = *architecture == std::env::consts::ARCH;
                let given = typed.agent_binary.clone().filter(|_| ours);
                (
                    *architecture,
                    given.unwrap_or_else(|| installed(architecture, ours)),
                )
            })
            .collect();
        Self {
            state: typed.state,
            listen: typed.listen,
            address: typed.address,
            standby: typed.standby,
            binaries,
            certificate_life: Duration::from_hours(24 * typed.certificate_days),
            refused_retry: Duration::from_mins(5),
            readmit_time: Duration::from_hours(1),
            token_life: Duration::from_mins(15),
            job_life: Duration::from_mins(15),
            keep: Duration::from_hours(24 * typed.keep_days),
            approval_by: typed.require_approval_by,
            second_approver: typed.second_approver,
            approval_life: Duration::from_hours(24),
            resolvers: typed.resolvers,
            reach: typed.reach,
        }
    }
}

impl Config {
    /// The socket of the operator's commands.
    pub fn socket(&self) -> PathBuf {
        socket_in(&self.state)
    }

    /// The role of whoever else must approve something with this effect; nobody, where nothing is said.
    pub fn second(&self, effect: Effect) -> Option<Role> {
        let wanted = match effect {
            Effect::Looks | Effect::Changes => None,
            Effect::ChangesHost => self.approval_by,
            Effect::Destroys => self.second_approver.max(self.approval_by),
        };
        // Whoever approves must at least be let in to do so.
        wanted.map(|role| role.max(Role::Approve))
    }

    /// What hosts are told to reach us at besides where they joined: nothing that is only guessed.
    pub fn addresses(&self) -> Vec<String> {
        self.address.iter().chain(&self.standby).cloned().collect()
    }

    /// What hosts reach us at, given where we listen.
    pub fn reached_at(&self, listening: SocketAddr) -> String {
        self.address.clone().unwrap_or_else(|| {
            let ip = listening.ip();
            let ip = if ip.is_unspecified() { outward() } else { ip };
            SocketAddr::new(ip, listening.port()).to_string()
        })
    }
}

/// The socket of the operator's commands, in a state folder.
pub fn socket_in(state: &Path) -> PathBuf {
    state.join("operator.sock")
}

/// Beside ourselves, or where the package puts it.
fn installed(architecture: &str, ours: bool) -> PathBuf {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.join("chatalot-agent")))
        .filter(|path| ours && path.exists());
    beside.unwrap_or_else(|| PathBuf::from(format!("/usr/lib/chatalot/chatalot-agent-{architecture}")))
}

/// The address that packets to the outside leave from; nothing is sent to find it out.
fn outward() -> IpAddr {
    let found = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).map(|()| socket))
        .and_then(|socket| socket.local_addr());
    found.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}
