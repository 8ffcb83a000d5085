//! An agent as it is: its own joining, keeper, dialling and session over TLS, over a host made of maps.

use crate::world::World;
use chatalot_agent::deployments::Deployments;
use chatalot_agent::effect::fake::FakeRunner;
use chatalot_agent::health::Health;
use chatalot_agent::host::fake::FakeHost;
use chatalot_agent::host::linux::{self, LinuxHost};
use chatalot_agent::ledger::Ledger;
use chatalot_agent::link::identity::{self, Identity};
use chatalot_agent::link::renewal::Keeper;
use chatalot_agent::link::{dial, join};
use chatalot_agent::outside::Desk;
use chatalot_agent::runbook::distro::DISTROS;
use chatalot_agent::runbook::engine::{Engine, Pace};
use chatalot_agent::service::Service;
use chatalotctl::model::{Added, HostView};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) struct RealAgent {
    pub(crate) name: String,
    state: TempDir,
    host: Arc<LinuxHost>,
    life: Option<(TaskTracker, CancellationToken)>,
}

impl RealAgent {
    /// Joins, and runs.
    pub(crate) async fn new(world: &World, name: &str) -> Self {
        let added = world.add(name).await;
        let mut agent = Self::joined(world, &added).await;
        agent.start();
        agent.is_connected(world).await;
        agent
    }

    /// Joins with what an operator has handed on.
    pub(crate) async fn joined(world: &World, added: &Added) -> Self {
        let (state, host) = (
            tempfile::tempdir().unwrap(),
            LinuxHost::new(linux::Config::default()),
        );
        let address = world.address.to_string();
        let token = added.token.parse().unwrap();
        join::join(&host, state.path(), &address, &token).await.unwrap();
        Self {
            name: added.name.to_string(),
            state,
            host: Arc::new(host),
            life: None,
        }
    }

    /// Joins anew, as the same host.
    pub(crate) async fn join_again(&mut self, world: &World) {
        let token = world.add(&self.name).await.token.parse().unwrap();
        let address = world.address.to_string();
        join::join(&self.host, self.state.path(), &address, &token)
            .await
            .unwrap();
    }

    pub(crate) fn start(&mut self) {
        let keeper = Keeper::new(self.host.clone(), self.state.path().to_owned());
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(keeper.clone().run(stop.clone()));
        let service = service(self.state.path());
        let (host, begun) = (self.host.clone(), watch::channel(true).1);
        tasks.spawn(dial::keep(keeper, host, service, begun, stop.clone()));
        self.life = Some((tasks, stop));
    }

    pub(crate) async fn stop(&mut self) {
        let (tasks, stop) = self.life.take().unwrap();
        stop.cancel();
        tasks.close();
        tasks.wait().await;
    }

    pub(crate) fn identity(&self) -> Identity {
        // A renewal may take a generation away between finding and reading it; the next look finds the new one.
        let mut looks = (0..100).map(|_| identity::load(self.state.path()));
        looks.find_map(Result::ok).unwrap().unwrap()
    }

    /// Waits until the controller has a session with it.
    pub(crate) async fn is_connected(&self, world: &World) -> HostView {
        let path = format!("/v1/hosts/{}?wait=connected&secs=60", self.name);
        let (_, host) = world.get::<HostView>(&path).await;
        let host = host.unwrap();
        assert!(host.connected, "{host:?}");
        host
    }

    /// Waits until the host is as it should be.
    pub(crate) async fn becomes(&self, what: &str, is_so: impl Fn(&Identity) -> bool) {
        let until = tokio::time::Instant::now() + Duration::from_mins(1);
        while !is_so(&self.identity()) {
            assert!(tokio::time::Instant::now() < until, "{}: {what}", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn service(state: &Path) -> Arc<Service> {
    let ledger = Ledger::open(&state.join("ledger.sqlite")).unwrap();
    let host = Arc::new(FakeHost::fresh(&DISTROS[0]));
    let engine = Engine {
        ledger: ledger.clone(),
        host: host.clone(),
        runner: Arc::new(FakeRunner::new(host.clone())),
        steps: chatalot_agent::runbook::steps().collect(),
        pace: Pace::default(),
        pulse: Arc::default(),
    };
    let desk = Deployments::new(Arc::new(engine), state.to_owned(), "key".to_owned());
    Arc::new(Service {
        ledger,
        host,
        deployments: Arc::new(desk),
        health: watch::channel(Health::default()).1,
        state: state.to_owned(),
        controller: None,
        connection: watch::channel(None).0,
        spread_secs: AtomicU64::default(),
        outside: Arc::new(Desk::new(true)),
        started: std::time::Instant::now(),
    })
}
