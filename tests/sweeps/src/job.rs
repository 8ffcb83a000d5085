//! A life of the agent with one job: its real ledger, outbox, deployments and engine over real files.

use crate::units::{self, STEPS, Units};
use crate::{Anything, End};
use chatalot_agent::daemon;
use chatalot_agent::deployments::Deployments;
use chatalot_agent::health::Health;
use chatalot_agent::host::fake::FakeHost;
use chatalot_agent::ledger::{Ledger, LedgerError, audit, deployments as records, outbox};
use chatalot_agent::outside::Desk;
use chatalot_agent::runbook::distro::DISTROS;
use chatalot_agent::runbook::engine::{Engine, Pace};
use chatalot_agent::service::Service;
use chatalot_protocol::event::{Event, What};
use chatalot_protocol::inputs::Inputs;
use chatalot_protocol::message::{Job, Order};
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::report::DeploymentState;
use chatalot_protocol::secret::Secret;
use chatalot_protocol::work::Work;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks at how far it is.
const GLANCE: Duration = Duration::from_secs(1);
/// How many of them a life may take, in its own time: then it is ended, as by its own host.
const GLANCES: u32 = 200;

/// Where the ledger's closures run, and where steps are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seat {
    /// All in one thread; each effect in a process that outlives the agent.
    Units,
    /// All in one thread, effects too.
    Alone,
    /// The ledger in its own thread, as in the daemon.
    Threads,
}

impl FromStr for Seat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "units" => Ok(Self::Units),
            "alone" => Ok(Self::Alone),
            "threads" => Ok(Self::Threads),
            _ => Err("units, alone or threads"),
        }
    }
}

fn ledger(folder: &Path, seat: Seat) -> Result<Ledger, LedgerError> {
    let path = folder.join("state/ledger.sqlite");
    match seat {
        Seat::Threads => Ledger::open(&path),
        Seat::Units | Seat::Alone => Ledger::open_here(&path, Arc::new(|| Duration::ZERO)),
    }
}

fn service(folder: &Path, ledger: Ledger, host: &FakeHost, seat: Seat) -> Service {
    let runner = Units {
        folder: folder.to_owned(),
        seat,
    };
    let engine = Engine {
        ledger: ledger.clone(),
        host: Arc::new(host.clone()),
        runner: Arc::new(runner),
        steps: units::steps(folder),
        pace: Pace::default(),
        pulse: Arc::default(),
    };
    let state = folder.join("state");
    Service {
        ledger,
        host: Arc::new(host.clone()),
        deployments: Arc::new(Deployments::new(
            Arc::new(engine),
            state.clone(),
            "key".to_owned(),
        )),
        health: watch::channel(Health::default()).1,
        state,
        controller: None,
        connection: watch::channel(None).0,
        spread_secs: AtomicU64::default(),
        outside: Arc::new(Desk::new(false)),
        started: std::time::Instant::now(),
    }
}

/// Makes the job, as the operator does.
pub(crate) async fn prepare(folder: &Path) -> Anything<End> {
    let host = FakeHost::fresh(&DISTROS[0]);
    let ledger = Ledger::open_here(Path::new(":memory:"), Arc::new(|| Duration::ZERO))?;
    let service = service(folder, ledger, &host, Seat::Alone);
    let inputs = Inputs {
        domain: Some("chat.example.com".into()),
        admin_username: Some("alice".into()),
        registry_user: Some("deploy-alice".into()),
        registry_token: Some(Secret::new("registry-token-1")),
        ..Inputs::default()
    };
    let (site, secrets) = inputs.complete().map_err(|wrong| format!("{wrong:?}"))?;
    let order = Order { site, secrets };
    let plan = service.deployments.plan(&order, Work::Deploy).await?;
    let job = Job {
        id: DeploymentId::fresh(),
        issued_ms: 0,
        not_after_ms: i64::MAX,
        by: "an operator".to_owned(),
        plan: plan.map_err(|advice| advice.code.to_string())?.hash,
        work: Work::Deploy,
        order,
    };
    fs::create_dir_all(folder.join("state"))?;
    fs::write(folder.join("job.json"), serde_json::to_vec(&job)?)?;
    Ok(End::Well)
}

/// One life: goes on with what an earlier one began, takes the job that the controller sends until it has heard of it,
/// passes the events on, and says what is wrong when all is over.
pub(crate) async fn live(folder: &Path, seat: Seat) -> Anything<End> {
    let job: Job = serde_json::from_slice(&fs::read(folder.join("job.json"))?)?;
    let host = FakeHost::fresh(&DISTROS[0]);
    daemon::survive_long_files()?;
    // A disk that is full while the agent starts is systemd's business: it starts the agent again.
    let Ok(ledger) = ledger(folder, seat) else {
        return Ok(End::BeginAnew);
    };
    let service = Arc::new(service(folder, ledger, &host, seat));
    if daemon::begin(&service, &host).await.is_err() {
        return Ok(End::BeginAnew);
    }
    for _ in 0..GLANCES {
        tokio::time::sleep(GLANCE).await;
        match glance(folder, &service, &job).await {
            Ok(true) => {
                let wrong = wrong(folder, &service, job.id).await?;
                return if wrong.is_empty() {
                    Ok(End::Well)
                } else {
                    Err(wrong.join("\n").into())
                };
            }
            Err(LedgerError::Stopped) => return Ok(End::BeginAnew),
            // What does not fit on the disk is tried again.
            Ok(false) | Err(_) => {}
        }
    }
    Ok(End::BeginAnew)
}

/// Does what the session with the controller does; whether everything is over and told.
async fn glance(folder: &Path, service: &Arc<Service>, job: &Job) -> Result<bool, LedgerError> {
    service.deployments.take(job.clone()).await?;
    let (id, at_work) = (job.id, service.deployments.is_running());
    let (acked, events, found) = service
        .ledger
        .with(move |db| {
            let acked = outbox::acknowledged(db)?;
            Ok((acked, outbox::unbroken_after(db, acked)?, records::find(db, id)?))
        })
        .await?;
    if let Some(last) = events.last().map(|event| event.seq) {
        // The controller's own disk is well: what it has is what this file holds.
        store(folder, &events).map_err(|error| LedgerError::Unreadable(error.to_string()))?;
        service.ledger.with(move |db| outbox::acked(db, last)).await?;
        return Ok(false);
    }
    let over = found.is_some_and(|found| found.state.is_over());
    Ok(over && acked > 0 && !at_work)
}

/// What the controller has stored, one event a line.
fn centre(folder: &Path) -> PathBuf {
    folder.join("centre")
}

fn store(folder: &Path, events: &[Event]) -> io::Result<()> {
    let mut text = Vec::new();
    for event in events {
        serde_json::to_writer(&mut text, event)?;
        text.push(b'\n');
    }
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(centre(folder))?;
    file.write_all(&text)
}

/// Everything that is wrong once the job is over.
async fn wrong(folder: &Path, service: &Service, id: DeploymentId) -> Anything<Vec<String>> {
    let mut wrong = Vec::new();
    let (state, told, ledger) = service
        .ledger
        .with(move |db| {
            let whole: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
            let audit = audit::verify(db, None)?;
            let state = records::find(db, id)?.map(|found| found.state);
            let wrong = [whole, format!("{audit:?}")];
            Ok((state, outbox::unbroken_after(db, 0)?, wrong))
        })
        .await?;
    if ledger[0] != "ok" || !ledger[1].starts_with("Ok") {
        wrong.push(format!("the ledger is damaged: {ledger:?}"));
    }
    if state != Some(DeploymentState::Succeeded) {
        let last = told.iter().rev().find(|event| event.deployment == Some(id));
        wrong.push(format!("the job has ended as {state:?}: {last:?}"));
    }
    let done = units::done(folder)?;
    if done != STEPS {
        wrong.push(format!("the effects are {done:?}"));
    }
    stored(&fs::read_to_string(centre(folder))?, &told, id, &mut wrong)?;
    leftovers(&folder.join("state"), &mut wrong)?;
    Ok(wrong)
}

/// The controller has each event as the ledger has it, none twice, none left out, and one end of the job.
fn stored(text: &str, told: &[Event], id: DeploymentId, wrong: &mut Vec<String>) -> Anything<()> {
    let mut rows: BTreeMap<u64, Event> = BTreeMap::new();
    for line in text.lines() {
        let event: Event = serde_json::from_str(line)?;
        if let Some(before) = rows.insert(event.seq, event.clone())
            && before != event
        {
            wrong.push(format!("two events are number {}", event.seq));
        }
    }
    if !rows.values().eq(told) {
        wrong.push(format!("of {} events {} were passed on", told.len(), rows.len()));
    }
    let ends = rows.values().filter(|event| {
        event.deployment == Some(id) && matches!(event.what, What::DeploymentFinished { .. })
    });
    let starts = rows
        .values()
        .filter(|event| event.deployment == Some(id) && matches!(event.what, What::DeploymentStarted { .. }));
    if (starts.count(), ends.count()) != (1, 1) {
        wrong.push("the job has not started and ended once".to_owned());
    }
    Ok(())
}

/// No secret is left, not even half written.
fn leftovers(folder: &Path, wrong: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            leftovers(&path, wrong)?;
        } else if ["secrets-", ".secrets-", "job.json", ".job.json"]
            .iter()
            .any(|of| name.starts_with(of))
        {
            wrong.push(format!("`{name}` is left"));
        }
    }
    Ok(())
}
