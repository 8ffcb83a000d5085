//! A host: the agent's real ledger, deployments, engine and session, over a host made of maps.

use crate::centre::{Anything, Seat, copy};
use crate::chance::{self, millis};
use crate::net::Road;
use crate::rotation;
use crate::trace::Trace;
use crate::units::{self, Units};
use chatalot_agent::deployments::Deployments;
use chatalot_agent::health::Health;
use chatalot_agent::host::fake::FakeHost;
use chatalot_agent::host::linux::{self, LinuxHost};
use chatalot_agent::ledger::{Ledger, outbox};
use chatalot_agent::link::renewal::Keeper;
use chatalot_agent::link::session::{self, SessionEnd};
use chatalot_agent::link::{Member, dial, identity};
use chatalot_agent::outside::Desk;
use chatalot_agent::runbook::distro::DISTROS;
use chatalot_agent::runbook::engine::{Engine, Pace};
use chatalot_agent::service::Service;
use chatalot_agent::{chain, daemon};
use chatalot_protocol::event::Event;
use chatalotctl::peer::Peer;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

struct Life {
    service: Arc<Service>,
    tasks: JoinSet<()>,
}

/// All events that a stream ever had, by number:
/// a host that is restored may give one away twice.
pub(crate) type Produced = BTreeMap<Uuid, BTreeMap<u64, Vec<Event>>>;

/// One host.
pub(crate) struct Vps {
    pub(crate) name: String,
    pub(crate) peer: Peer,
    /// The number of its certificate, and of the root that has signed it.
    pub(crate) certificate: Mutex<([u8; 16], u32)>,
    /// Connections that came to nothing although both sides were there.
    pub(crate) parted: Mutex<Vec<String>>,
    pub(crate) road: Road,
    pub(crate) units: Arc<Units>,
    pub(crate) produced: Arc<Mutex<Produced>>,
    /// How far its clock is off.
    pub(crate) skew_ms: Mutex<i64>,
    host: FakeHost,
    pub(crate) folder: PathBuf,
    backup: PathBuf,
    joining: Uuid,
    life: Mutex<Option<Life>>,
    seat: Arc<Seat>,
    trace: Trace,
}

impl Vps {
    pub(crate) fn new(name: &str, folder: &Path, peer: Peer, seat: &Arc<Seat>, trace: &Trace) -> Arc<Self> {
        let host = FakeHost::fresh(&DISTROS[0]);
        let state = folder.join(name);
        let units = Units::new(host.clone(), &state, trace.clone(), name.to_owned());
        Arc::new(Self {
            name: name.to_owned(),
            peer,
            certificate: Mutex::new((peer.serial, 1)),
            parted: Mutex::default(),
            road: Road::new(),
            units: Arc::new(units),
            produced: Arc::default(),
            skew_ms: Mutex::default(),
            host,
            backup: folder.join(format!("{name}.backup")),
            folder: state,
            joining: Uuid::new_v4(),
            life: Mutex::default(),
            seat: seat.clone(),
            trace: trace.clone(),
        })
    }

    fn life(&self) -> MutexGuard<'_, Option<Life>> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What answers, while the agent runs.
    pub(crate) fn service(&self) -> Option<Arc<Service>> {
        self.life().as_ref().map(|life| life.service.clone())
    }

    /// Lets its clock go on.
    pub(crate) fn tick(&self) {
        let skew = *self.skew_ms.lock().unwrap_or_else(PoisonError::into_inner);
        self.host.world(|world| world.now_ms = chance::now_ms() + skew);
    }

    pub(crate) fn start(self: &Arc<Self>) -> Anything<()> {
        std::fs::create_dir_all(&self.folder)?;
        let ledger = Ledger::open_here(&self.folder.join("ledger.sqlite"), Arc::new(|| millis(0..4)))?;
        let service = Arc::new(self.wire(ledger));
        self.trace.say(&format!("{}: starts", self.name));
        let mut tasks = JoinSet::new();
        tasks.spawn(observe(service.clone(), self.produced.clone(), self.joining));
        let (vps, linked) = (self.clone(), service.clone());
        tasks.spawn(async move {
            if let Err(error) = daemon::begin(&linked, &vps.host).await {
                vps.trace
                    .say(&format!("{}: cannot begin: {}", vps.name, chain(&error)));
            }
            let keeper = Keeper::new(
                Arc::new(LinuxHost::new(linux::Config::default())),
                vps.folder.clone(),
            );
            let once = |_| {
                let (vps, service, keeper) = (vps.clone(), linked.clone(), keeper.clone());
                async move {
                    match vps.dial().await {
                        Ok(stream) => session::run(stream, &service, vps.member(keeper)).await,
                        Err(end) => end,
                    }
                }
            };
            dial::hold(
                once,
                || std::future::ready(false),
                &linked,
                &CancellationToken::new(),
            )
            .await;
        });
        *self.life() = Some(Life { service, tasks });
        Ok(())
    }

    fn wire(&self, ledger: Ledger) -> Service {
        let engine = Engine {
            ledger: ledger.clone(),
            host: Arc::new(self.host.clone()),
            runner: self.units.clone(),
            steps: units::steps(),
            pace: Pace::default(),
            pulse: Arc::default(),
        };
        let desk = Deployments::new(Arc::new(engine), self.folder.clone(), "key".to_owned());
        Service {
            ledger,
            host: Arc::new(self.host.clone()),
            deployments: Arc::new(desk),
            health: watch::channel(Health::default()).1,
            state: self.folder.clone(),
            controller: Some("controller:8443".to_owned()),
            connection: watch::channel(None).0,
            spread_secs: AtomicU64::default(),
            outside: Arc::new(Desk::new(true)),
            started: std::time::Instant::now(),
        }
    }

    /// As whom it holds a session.
    fn member(&self, keeper: Arc<Keeper>) -> Member {
        let identity = identity::load(&self.folder).ok().flatten();
        Member {
            joining: self.joining,
            trusts: identity.map_or(0, |identity| identity.membership.trusts),
            keeper: Some(keeper),
        }
    }

    async fn dial(&self) -> Result<tokio::io::DuplexStream, SessionEnd> {
        let connected = tokio::time::timeout(Duration::from_secs(15), self.road.connect()).await;
        let (near, far) = connected
            .map_err(|_| SessionEnd::Silent(15))?
            .map_err(SessionEnd::Connect)?;
        let (serial, _) = *self.certificate.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = Peer {
            serial,
            since_ms: chance::now_ms(),
            ..self.peer
        };
        if let Some(why) = rotation::parts(self, self.seat.centre()) {
            self.trace.say(&format!("{}: {why}", self.name));
            self.parted
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(why);
            return Err(SessionEnd::Connect(io::ErrorKind::InvalidData.into()));
        }
        if self.seat.accept(far, peer, &self.name) {
            Ok(near)
        } else {
            Err(SessionEnd::Connect(io::ErrorKind::ConnectionRefused.into()))
        }
    }

    /// Ends the agent in the middle of whatever it does; its units go on.
    pub(crate) async fn crash(&self) {
        let Some(mut life) = self.life().take() else {
            return;
        };
        self.trace.say(&format!("{}: crashes", self.name));
        life.service.ledger.unplug();
        life.service.deployments.leave_off();
        life.tasks.shutdown().await;
    }

    /// Copies the state aside; only while the agent does not run.
    pub(crate) fn back_up(&self) -> Anything<()> {
        self.trace.say(&format!("{}: is backed up", self.name));
        copy(&self.folder, &self.backup)
    }

    /// Puts the copy back, if there is one.
    pub(crate) fn restore(&self) -> Anything<bool> {
        if !self.backup.exists() {
            return Ok(false);
        }
        self.trace.say(&format!("{}: is restored", self.name));
        copy(&self.backup, &self.folder)?;
        Ok(true)
    }
}

/// Notes every event that is recorded, as soon as it is.
async fn observe(service: Arc<Service>, produced: Arc<Mutex<Produced>>, joining: Uuid) {
    let mut latest = service.ledger.latest();
    let mut seen = 0;
    loop {
        let read = service
            .ledger
            .with(move |db| Ok((outbox::meta(db, "stream_epoch")?, outbox::after(db, seen)?)));
        let Ok((Some(epoch), events)) = read.await else {
            return;
        };
        let epoch: Uuid = epoch.parse().unwrap_or_default();
        let epoch = Uuid::from_u128(epoch.as_u128() ^ joining.as_u128());
        let Some(last) = events.last() else {
            if latest.changed().await.is_err() {
                return;
            }
            continue;
        };
        seen = last.seq;
        let mut produced = produced.lock().unwrap_or_else(PoisonError::into_inner);
        let stream = produced.entry(epoch).or_default();
        for event in events {
            let known = stream.entry(event.seq).or_default();
            if !known.contains(&event) {
                known.push(event);
            }
        }
    }
}
