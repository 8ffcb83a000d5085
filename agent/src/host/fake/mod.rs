//! A host made of maps that behaves: what is installed can be started, what is loaded is served.
//!
//! | module | what |
//! |---|---|
//! | `world` | everything there is, to be set and looked at by a test |
//! | `meter` | counts the calls, and fails, loses or never answers the nth |
//! | `packages` | the package manager, by the distribution's own row |
//! | `git` | repositories and checkouts |
//! | `installer` | chatalot's installer, as the runbook describes it |
//! | `removal` | what takes things away again |
//! | `nginx` | nginx and certbot |
//! | `firewall` | ufw, firewalld and `SELinux` |
//! | `outside` | a controller that looks from outside |
//! | `ports` | who listens where |
//! | `traefik` | compose's view of an override, and Traefik, which reads labels |
//! | `turn` | the TURN server, with the manners of coturn |
//! | `web` | Caddy, chatalot, and what they answer |
//!
//! Nothing in here is right because a step expects it: it imitates what was observed of the real programs, but `SELinux`,
//! coturn's relay on another address and Arch's nginx, which are assumed after their documentation.

mod firewall;
mod git;
mod installer;
mod meter;
mod nginx;
mod outside;
mod packages;
mod ports;
mod removal;
mod traefik;
mod turn;
mod web;
mod world;

pub use installer::{Installer, Outcome};
pub use meter::Mode;
pub use outside::Outside;
pub use turn::Turn;
pub use world::{Checkout, EngineState, Remote, World};

use super::{
    Act, Answers, Command, Container, Engine, Fetch, FetchError, Fetched, HostError, Look, Output, Owner,
    PortOwner, Resources, Strictly, System, Transport, TurnAsk, TurnError, Unit,
};
use crate::runbook::distro::Distro;
use crate::stun::dialogue::Relay;
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::outside::{self as outside_look, Door, LookAt, Nonce, Told};
use chatalot_protocol::site::Domain;
use meter::Meter;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The keys that third parties publish for their repositories, by their fingerprints; `keys/README.md` has their source.
pub const PUBLISHED_KEYS: &[(&str, &str)] = &[
    (
        "9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
        include_str!("keys/docker-apt.asc"),
    ),
    (
        "060A61C51B558A7F742B77AAC52FEB6B621E9F35",
        include_str!("keys/docker-rpm.asc"),
    ),
    (
        "65760C51EDEA2017CEA2CA15155B6D79CA56EA34",
        include_str!("keys/caddy-apt.asc"),
    ),
    (
        "FF8AD1344597106ECE813B918A3872BF3228467C",
        include_str!("keys/epel-9.asc"),
    ),
    (
        "7D8D15CBFC4E62688591FB2633D98517E37ED158",
        include_str!("keys/epel-10.asc"),
    ),
];

/// A host made of maps. Clones share one world.
#[derive(Debug, Clone)]
pub struct FakeHost {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    world: World,
    meter: Meter,
}

impl FakeHost {
    /// A freshly installed host of a distribution: nothing on it, its domain leads to it, the network is well.
    pub fn fresh(distro: &'static Distro) -> Self {
        let inner = Inner {
            world: World::fresh(distro),
            meter: Meter::default(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the world or changes it, uncounted.
    pub fn world<T>(&self, touch: impl FnOnce(&mut World) -> T) -> T {
        touch(&mut self.inner().world)
    }

    /// The world without what only time and talk have left in it: equal for hosts in the same state.
    pub fn snapshot(&self) -> World {
        self.inner().world.lasting()
    }

    /// Lets the nth call from now on (from one) go wrong, once.
    pub fn fail_nth(&self, n: usize, mode: Mode) {
        self.inner().meter.set_trap(n, mode);
    }

    /// Lets the nth call from now on (from one) never answer: the place to drop what waits for it.
    pub fn kill_nth(&self, n: usize, mode: Mode) {
        self.inner().meter.set_trap(n, mode.unanswered());
    }

    /// Tells when the nth call from now on (from one) is made, before its answer.
    pub fn bell_at(&self, n: usize) -> Arc<tokio::sync::Notify> {
        self.inner().meter.set_bell(n)
    }

    /// Takes a trap away that was not stepped on; whether there was one.
    pub fn heal(&self) -> bool {
        self.inner().meter.heal()
    }

    /// How many calls there were: looks and effects.
    pub fn calls(&self) -> usize {
        self.inner().meter.calls
    }

    /// How many of them were effects: zero for a run that writes nothing.
    pub fn writes(&self) -> usize {
        self.inner().meter.writes
    }

    /// Every call in order, for a message when a law is broken.
    pub fn log(&self) -> Vec<String> {
        self.inner().meter.log.clone()
    }

    /// Lets time pass.
    pub fn advance(&self, seconds: i64) {
        self.inner().world.now_ms += seconds * 1000;
    }

    async fn look<T>(&self, what: String, see: impl FnOnce(&mut World) -> T) -> Result<T, HostError> {
        match self.enter(&what, false) {
            None => Ok(see(&mut self.inner().world)),
            Some(mode) => Err(lost(mode, &what).await),
        }
    }

    async fn act<T>(&self, what: String, change: impl FnOnce(&mut World) -> T) -> Result<T, HostError> {
        let mode = self.enter(&what, true);
        if mode.is_none_or(Mode::has_effect) {
            let done = change(&mut self.inner().world);
            if mode.is_none() {
                return Ok(done);
            }
        }
        Err(lost(mode.unwrap_or(Mode::NoEffect), &what).await)
    }

    fn enter(&self, what: &str, effect: bool) -> Option<Mode> {
        self.inner().meter.enter(what, effect)
    }
}

/// The error of a call that went wrong; never comes for one that is never answered.
async fn lost(mode: Mode, what: &str) -> HostError {
    if mode.never_answers() {
        std::future::pending::<()>().await;
    }
    HostError::Unknown {
        what: "what the fake host was told to fail",
        why: what.to_owned(),
    }
}

/// A call that went wrong tells nothing, as a controller that is away.
fn lost_sight(error: &HostError) -> Advice {
    Advice::new(
        "OUTSIDE_NOT_CONNECTED",
        error.to_string(),
        "a look from outside",
        "ask again",
    )
}

fn shown(command: &Command) -> String {
    format!("{} {}", command.program, command.args.join(" "))
}

#[async_trait]
impl Look for FakeHost {
    async fn system(&self) -> Result<System, HostError> {
        self.look("system".into(), |world| world.system.clone()).await
    }

    async fn resources(&self, path: &Path) -> Result<Resources, HostError> {
        self.look(format!("resources {}", path.display()), |world| world.resources)
            .await
    }

    fn now_ms(&self) -> i64 {
        self.inner().world.now_ms
    }

    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, HostError> {
        self.look(format!("read {}", path.display()), |world| {
            world.files.get(path).cloned()
        })
        .await
    }

    async fn read_strictly(&self, path: &Path) -> Result<Strictly, HostError> {
        self.look(format!("read_strictly {}", path.display()), |world| {
            world.strictly(path)
        })
        .await
    }

    async fn list(&self, path: &Path) -> Result<Vec<String>, HostError> {
        self.look(format!("list {}", path.display()), |world| world.list(path))
            .await
    }

    async fn owner(&self, path: &Path) -> Result<Option<Owner>, HostError> {
        self.look(format!("owner {}", path.display()), |world| world.owner(path))
            .await
    }

    async fn program(&self, name: &str) -> Result<Option<PathBuf>, HostError> {
        self.look(format!("program {name}"), |world| {
            world
                .programs
                .contains(name)
                .then(|| PathBuf::from(format!("/usr/bin/{name}")))
        })
        .await
    }

    async fn query(&self, command: Command) -> Result<Output, HostError> {
        self.look(format!("query {}", shown(&command)), |world| {
            world.command(&command, false)
        })
        .await?
    }

    async fn unit(&self, name: &str) -> Result<Unit, HostError> {
        self.look(format!("unit {name}"), |world| {
            world.units.get(name).cloned().unwrap_or_default()
        })
        .await
    }

    async fn engine(&self) -> Result<Engine, HostError> {
        self.look("engine".into(), |world| world.engine()).await
    }

    async fn compose(&self) -> Result<Option<String>, HostError> {
        self.look("compose".into(), |world| world.compose.clone()).await
    }

    async fn containers(&self, folder: Option<&str>) -> Result<Vec<Container>, HostError> {
        self.look(format!("containers {}", folder.unwrap_or("of all")), |world| {
            world.containers_of(folder)
        })
        .await?
    }

    async fn container_log(&self, name: &str, lines: u32) -> Result<Vec<String>, HostError> {
        self.look(format!("container_log {name}"), |world| {
            let log = world.logs.get(name).cloned().unwrap_or_default();
            let keep = usize::try_from(lines).unwrap_or(usize::MAX);
            log[log.len().saturating_sub(keep)..].to_vec()
        })
        .await
    }

    async fn port_owner(&self, transport: Transport, port: u16) -> Result<Option<PortOwner>, HostError> {
        self.look(format!("port_owner {port}"), |world| {
            world.port_owner(transport, port)
        })
        .await
    }

    async fn addresses(&self) -> Result<Vec<IpAddr>, HostError> {
        self.look("addresses".into(), |world| world.addresses.clone())
            .await
    }

    fn seen_address(&self) -> Option<IpAddr> {
        self.inner().world.seen_address
    }

    async fn resolve(&self, name: &str) -> Result<Vec<Answers>, HostError> {
        self.look(format!("resolve {name}"), |world| world.resolve(name))
            .await
    }

    async fn fetch(&self, fetch: Fetch) -> Result<Fetched, FetchError> {
        let what = format!("fetch {}", fetch.url);
        let answer = self.look(what, |world| world.fetch(&fetch)).await;
        answer.unwrap_or_else(|error| Err(FetchError::Http(error.to_string())))
    }

    async fn turn(&self, ask: TurnAsk) -> Result<Relay, TurnError> {
        let what = format!("turn {:?} {}", ask.over, ask.server);
        let answer = self.look(what, |world| world.turn(&ask)).await;
        answer.unwrap_or_else(|error| Err(TurnError::Silent(error.to_string())))
    }

    async fn outside(&self, look: outside_look::Look) -> Told {
        let what = format!("outside {}", look.domain);
        let told = self.look(what, |world| world.told(&look, &[])).await;
        told.unwrap_or_else(|error| Told::declined(lost_sight(&error)))
    }
}

#[async_trait]
impl Act for FakeHost {
    async fn run(&self, command: Command) -> Result<Output, HostError> {
        self.act(format!("run {}", shown(&command)), |world| {
            world.command(&command, true)
        })
        .await?
    }

    async fn write(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), HostError> {
        self.act(format!("write {}", path.display()), |world| {
            world.put(path, content);
            world.owners.insert(path.to_owned(), Owner { uid: 0, mode });
        })
        .await
    }

    async fn rewrite(&self, path: &Path, content: &[u8]) -> Result<(), HostError> {
        self.act(format!("rewrite {}", path.display()), |world| {
            world.put(path, content);
        })
        .await
    }

    async fn remove(&self, path: &Path) -> Result<(), HostError> {
        self.act(format!("remove {}", path.display()), |world| {
            world.files.remove(path);
            world.owners.remove(path);
        })
        .await
    }

    async fn make_folder(&self, path: &Path, _mode: u32) -> Result<(), HostError> {
        self.act(format!("make_folder {}", path.display()), |world| {
            world.folders.insert(path.to_owned());
        })
        .await
    }

    async fn answer_outside(&self, domain: &Domain, doors: &[Door]) -> Result<(Vec<Door>, Told), HostError> {
        self.act(format!("answer_outside {domain}"), |world| {
            let free = |door: &&Door| world.port_owner(door.transport, door.port).is_none();
            let opened: Vec<Door> = doors.iter().filter(free).copied().collect();
            let look = outside_look::Look {
                domain: domain.clone(),
                at: LookAt::Probe {
                    nonce: Nonce::fresh(),
                    doors: doors.to_vec(),
                },
            };
            let told = world.told(&look, &opened);
            (opened, told)
        })
        .await
    }

    async fn say(&self, line: &str) {
        self.inner().world.said.push(line.to_owned());
    }
}
