//! Everything there is on a fake host.

use super::installer::Installer;
use super::outside::Outside;
use super::turn::Turn;
use crate::host::{
    Answers, Command, Container, Engine, FetchError, Fetched, HostError, Output, Owner, PortOwner, Records,
    Resources, Strictly, System, Transport, Unit,
};
use crate::policy;
use crate::runbook::distro::Distro;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

/// What a small VPS has.
const AMPLE: Resources = Resources {
    memory: 2_000_000_000,
    disk: 40 << 30,
    disk_free: 36 << 30,
    inodes: 2_500_000,
    inodes_free: 2_400_000,
    writable: true,
};

/// A git repository elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remote {
    /// `refs/heads/main` and the like, each with its commit.
    pub refs: BTreeMap<String, String>,
    /// The files of each commit.
    pub trees: BTreeMap<String, BTreeMap<String, String>>,
}

/// A git repository on the host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkout {
    /// Its remote.
    pub url: Option<String>,
    /// The commit that is checked out.
    pub head: Option<String>,
    /// What was fetched: names with their commits.
    pub fetched: BTreeMap<String, String>,
    /// Tracked files with local changes.
    pub changed: BTreeSet<String>,
    /// Whether its configuration says that the agent made it.
    pub made: bool,
}

/// How the Docker Engine stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineState {
    /// Not installed.
    Absent,
    /// Installed and not running.
    Down,
    /// Running.
    Up,
}

/// Everything there is. A test sets what it wants to be otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is the thing that it is named after")]
pub struct World {
    pub distro: &'static Distro,
    pub system: System,
    pub resources: Resources,
    pub now_ms: i64,
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    pub folders: BTreeSet<PathBuf>,
    /// Whose files and folders are, where they are not root's with the usual mode.
    pub owners: BTreeMap<PathBuf, Owner>,
    pub programs: BTreeSet<String>,
    /// Whether the package lists were fetched.
    pub lists: bool,
    pub packages: BTreeSet<String>,
    /// Packages whose installation was cut off.
    pub half_installed: BTreeSet<String>,
    /// Packages that were cut off while they were unpacked.
    pub torn: BTreeSet<String>,
    pub units: BTreeMap<String, Unit>,
    pub engine: EngineState,
    pub engine_version: String,
    pub compose: Option<String>,
    pub containers: BTreeMap<String, Container>,
    pub logs: BTreeMap<String, Vec<String>>,
    pub volumes: BTreeSet<String>,
    pub database_up: bool,
    /// Who has registered, and whether as an administrator; nothing where the database does not tell.
    pub accounts: Option<Vec<(String, bool)>>,
    /// Foreign listeners; those of containers and of Caddy follow from them.
    pub ports: BTreeMap<(Transport, u16), PortOwner>,
    pub addresses: Vec<IpAddr>,
    pub seen_address: Option<IpAddr>,
    pub dns: BTreeMap<String, Vec<Answers>>,
    /// Whether the internet can be reached.
    pub network: bool,
    pub remotes: BTreeMap<String, Remote>,
    pub checkouts: BTreeMap<PathBuf, Checkout>,
    pub installer: Installer,
    pub turn: Turn,
    /// How the world stands to it.
    pub outside: Outside,
    /// The token that the registry wants of `deploy-alice`; anybody is served without.
    pub registry_token: Option<String>,
    /// The configuration that Caddy runs with.
    pub caddy_loaded: Option<String>,
    /// The sites that it has certificates for, and whether a staging authority's.
    pub caddy_signed: BTreeMap<String, bool>,
    /// The configuration that nginx runs with.
    pub nginx_loaded: Option<String>,
    /// Why the authority does not sign, if it does not.
    pub acme_refuses: Option<String>,
    pub logins: BTreeMap<String, BTreeSet<String>>,
    /// When, which unit, what.
    pub journal: Vec<(i64, String, String)>,
    /// Pages that answer otherwise than they would, by their address.
    pub pages: BTreeMap<String, Result<Fetched, FetchError>>,
    /// Commands that end otherwise than they would and have no effect, by how they begin.
    pub outputs: BTreeMap<String, Output>,
    /// Commands that never end by themselves and have no effect, by how they begin.
    pub hangs: BTreeSet<String>,
    pub said: Vec<String>,
    /// Commands that nobody has taught this host.
    pub unknown: Vec<String>,
}

impl World {
    pub(super) fn fresh(distro: &'static Distro) -> Self {
        let own = Ipv4Addr::new(203, 0, 113, 42);
        let base = [distro.query, distro.audit, distro.repair, distro.install];
        let programs = base.iter().filter_map(|argv| argv.first()).chain(&["systemctl"]);
        let agent = Unit {
            exists: true,
            active: true,
            enabled: true,
        };
        Self {
            distro,
            system: system(distro),
            resources: AMPLE,
            now_ms: 1_790_000_000_000,
            files: BTreeMap::from([(policy::PATH.into(), policy::written(policy::Origin::Alone).into())]),
            // The agent's own.
            folders: ["/", "/var", "/var/lib", "/var/lib/chatalot-agent"]
                .map(PathBuf::from)
                .into(),
            owners: BTreeMap::new(),
            programs: programs.map(|name| (*name).to_owned()).collect(),
            lists: false,
            packages: BTreeSet::new(),
            half_installed: BTreeSet::new(),
            torn: BTreeSet::new(),
            units: BTreeMap::from([("chatalot-agent.service".to_owned(), agent)]),
            engine: EngineState::Absent,
            engine_version: "26.1.5+dfsg1".to_owned(),
            compose: None,
            containers: BTreeMap::new(),
            logs: BTreeMap::new(),
            volumes: BTreeSet::new(),
            database_up: true,
            accounts: Some(Vec::new()),
            ports: BTreeMap::new(),
            addresses: vec![IpAddr::V4(own), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5))],
            seen_address: None,
            dns: BTreeMap::from([
                ("chat.example.com".to_owned(), answers(own)),
                (
                    "tunnel.example.com".to_owned(),
                    answers(Ipv4Addr::new(104, 16, 0, 1)),
                ),
            ]),
            network: true,
            remotes: super::git::remotes(),
            checkouts: BTreeMap::new(),
            installer: Installer::default(),
            turn: Turn::default(),
            outside: Outside::default(),
            registry_token: Some("registry-token-1".to_owned()),
            caddy_loaded: None,
            caddy_signed: BTreeMap::new(),
            nginx_loaded: None,
            acme_refuses: None,
            logins: BTreeMap::from([("alice".to_owned(), BTreeSet::from(["alice".to_owned()]))]),
            journal: Vec::new(),
            pages: BTreeMap::new(),
            outputs: BTreeMap::new(),
            hangs: BTreeSet::new(),
            said: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// What stays when time and talk are left out.
    pub(super) fn lasting(&self) -> Self {
        let mut world = self.clone();
        world.now_ms = 0;
        world.journal.clear();
        world.said.clear();
        world.unknown.clear();
        // Nothing but times.
        let asked = Path::new("/var/lib/chatalot-agent/acme.asked");
        world.files.remove(asked);
        world.owners.remove(asked);
        world
    }

    /// Starts the host anew: what is enabled runs, and nothing else.
    pub fn reboot(&mut self) {
        self.system.boot_id.push('+');
        for unit in self.units.values_mut() {
            unit.active = unit.enabled;
        }
        let docker = self
            .units
            .get(self.distro.engine_unit)
            .is_some_and(|unit| unit.active);
        if self.engine != EngineState::Absent {
            self.engine = if docker {
                EngineState::Up
            } else {
                EngineState::Down
            };
        }
        for container in self.containers.values_mut() {
            let stays = matches!(container.restart_policy.as_str(), "always" | "unless-stopped");
            let state = if stays && docker { "running" } else { "exited" };
            state.clone_into(&mut container.state);
        }
        self.load_caddy();
        self.load_nginx();
    }

    /// Writes a file and makes the folders above it.
    pub fn put(&mut self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = path.as_ref();
        self.folders.extend(path.ancestors().skip(1).map(Path::to_owned));
        self.files.insert(path.to_owned(), content.as_ref().to_vec());
    }

    /// A file as text.
    pub fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let content = self.files.get(path.as_ref())?;
        Some(String::from_utf8_lossy(content).into_owned())
    }

    /// Whose a file or folder is.
    pub fn owner(&self, path: &Path) -> Option<Owner> {
        const ROOTS: Owner = Owner { uid: 0, mode: 0o755 };
        let there = self.files.contains_key(path) || self.folders.contains(path);
        there.then(|| self.owners.get(path).copied().unwrap_or(ROOTS))
    }

    pub(super) fn strictly(&self, path: &Path) -> Strictly {
        let Some(content) = self.files.get(path) else {
            return Strictly::Absent;
        };
        let places = [path.parent().unwrap_or(path), path];
        let why = places.into_iter().find_map(|place| {
            let owner = self.owners.get(place).copied();
            owner?.distrusted(place, true)
        });
        why.map_or_else(|| Strictly::Content(content.clone()), Strictly::Unsafe)
    }

    pub(super) fn list(&self, folder: &Path) -> Vec<String> {
        if folder == Path::new("/var/lib/docker/volumes") {
            return self.volumes.iter().cloned().collect();
        }
        let children = self.files.keys().chain(&self.folders).filter_map(|path| {
            let first = path.strip_prefix(folder).ok()?.components().next()?;
            Some(first.as_os_str().to_string_lossy().into_owned())
        });
        children.collect::<BTreeSet<String>>().into_iter().collect()
    }

    pub(super) fn engine(&self) -> Engine {
        match self.engine {
            EngineState::Absent => Engine::Absent,
            EngineState::Down => Engine::Down {
                why: "connection refused".to_owned(),
            },
            EngineState::Up => Engine::Up {
                version: self.engine_version.clone(),
                api: "1.45".to_owned(),
            },
        }
    }

    pub(super) fn containers_of(&self, folder: Option<&str>) -> Result<Vec<Container>, HostError> {
        if self.engine != EngineState::Up {
            return Err(HostError::Engine("it is down".to_owned()));
        }
        let wanted = |one: &&Container| folder.is_none_or(|folder| one.folder == folder);
        Ok(self.containers.values().filter(wanted).cloned().collect())
    }

    pub(super) fn resolve(&self, name: &str) -> Vec<Answers> {
        let nothing = || vec![answer("1.1.1.1", Vec::new())];
        self.dns.get(name).cloned().unwrap_or_else(nothing)
    }

    /// Runs a command; `may_act` is whether it was run as an effect.
    pub(super) fn command(&mut self, command: &Command, may_act: bool) -> Result<Output, HostError> {
        let line = super::shown(command);
        if self.hangs.iter().any(|start| line.starts_with(start.as_str())) {
            return Err(HostError::Deadline {
                program: command.program.clone(),
                seconds: command.deadline.as_secs(),
                said: Vec::new(),
            });
        }
        let set = self
            .outputs
            .iter()
            .find(|(start, _)| line.starts_with(start.as_str()));
        if let Some((_, output)) = set {
            return Ok(output.clone());
        }
        let read = self
            .package_query(command)
            .or_else(|| self.git_query(command))
            .or_else(|| self.installer_help(command))
            .or_else(|| self.firewall_query(command))
            .or_else(|| self.compose_query(command))
            .or_else(|| self.other_query(command));
        if let Some(output) = read {
            return Ok(output);
        }
        let done = may_act.then(|| {
            self.package_change(command)
                .or_else(|| self.git_change(command))
                .or_else(|| self.installer_run(command))
                .or_else(|| self.nginx_change(command))
                .or_else(|| self.compose_change(command))
                .or_else(|| self.firewall_change(command))
                .or_else(|| self.other_change(command))
        });
        Ok(done.flatten().unwrap_or_else(|| {
            self.unknown.push(line);
            output(127, "the fake host does not know this command")
        }))
    }

    fn other_query(&self, command: &Command) -> Option<Output> {
        let args: Vec<&str> = command.args.iter().map(String::as_str).collect();
        match (command.program.as_str(), args.as_slice()) {
            ("id", ["-nG", "--", login]) => Some(self.logins.get(*login).map_or_else(
                || output(1, "no such user"),
                |groups| output(0, &groups.iter().cloned().collect::<Vec<_>>().join(" ")),
            )),
            ("docker", ["compose", "config", "--services"]) => Some(self.compose_services(command)),
            ("journalctl", ["-u", unit, ..]) => Some(self.journal_of(unit)),
            ("docker", _) => self.docker_query(&args),
            _ => None,
        }
    }

    fn journal_of(&self, unit: &str) -> Output {
        let recent = self
            .journal
            .iter()
            .filter(|(at, of, _)| of == unit && *at > self.now_ms - 3_600_000);
        let lines: Vec<String> = recent
            .map(|(at, of, text)| format!("{}.000000 vps {of}[501]: {text}", at / 1000))
            .collect();
        output(0, &lines.join("\n"))
    }

    fn other_change(&mut self, command: &Command) -> Option<Output> {
        let args: Vec<&str> = command.args.iter().map(String::as_str).collect();
        match (command.program.as_str(), args.as_slice()) {
            ("systemctl", ["enable", "--now", unit]) => Some(self.start(unit)),
            ("systemctl", ["disable", "--now", unit]) => {
                let unit = self.units.get_mut(*unit)?;
                (unit.active, unit.enabled) = (false, false);
                Some(output(0, ""))
            }
            ("systemctl", ["reload", "caddy.service"]) => Some(self.reload_caddy()),
            ("caddy", ["validate", ..]) => Some(self.validate_caddy()),
            ("docker", ["compose", "up", "-d"]) => Some(output(0, "")),
            ("docker", ["compose", "restart", service]) => Some(self.restart_service(service)),
            ("chown", [like, "--", path]) => self.own_like(like, path),
            ("usermod", ["-aG", group, "--", login]) => {
                let groups = self.logins.get_mut(*login)?;
                groups.insert((*group).to_owned());
                Some(output(0, ""))
            }
            ("gpasswd", ["-d", login, group]) => {
                self.logins.get_mut(*login)?.remove(*group);
                Some(output(0, ""))
            }
            _ => self.removal(command.program.as_str(), &args),
        }
    }

    fn start(&mut self, name: &str) -> Output {
        let Some(unit) = self.units.get_mut(name) else {
            return output(1, "Failed to enable unit: Unit file does not exist.");
        };
        let was_active = unit.active;
        unit.active = true;
        unit.enabled = true;
        if name == self.distro.engine_unit {
            self.engine = EngineState::Up;
        } else if name == "caddy.service" && !was_active {
            self.load_caddy();
        } else if name == "nginx.service" && !was_active {
            self.load_nginx();
        }
        output(0, "")
    }
}

pub(super) fn output(code: i32, text: &str) -> Output {
    Output {
        code,
        stdout: text.to_owned(),
        stderr: String::new(),
    }
}

fn system(distro: &Distro) -> System {
    System {
        id: distro.id.to_owned(),
        version: distro.versions.first().map_or("", |version| version).to_owned(),
        pretty: distro.name.to_owned(),
        architecture: "x86_64".to_owned(),
        hostname: "vps".to_owned(),
        boot_id: "boot-1".to_owned(),
        systemd: true,
        root: true,
        ..System::default()
    }
}

fn answers(ip: Ipv4Addr) -> Vec<Answers> {
    ["system", "1.1.1.1", "9.9.9.9"]
        .map(|who| answer(who, vec![ip]))
        .to_vec()
}

fn answer(resolver: &str, a: Vec<Ipv4Addr>) -> Answers {
    Answers {
        resolver: resolver.to_owned(),
        a: Records::Found(a),
        aaaa: Records::Found(Vec::new()),
    }
}
