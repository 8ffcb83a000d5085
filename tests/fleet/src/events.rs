//! Events that are acknowledged only once they are on the controller's disk: one host with one event under way, one host
//! with 64 a message, and 64 hosts with one each. They are events of a deployment, each of which is stored and read for
//! what it means. Syncs are counted where
//! there is an `strace` that may look, for a second, after the rates were taken.
//!
//! A commit is one sync; once in some megabytes the database's log is worked off, which is two or three more.
//!
//! Beside it, always: what this disk and `SQLite` do with one bare row a commit, in the same folder.

use crate::Result;
use crate::enrol::Fleet;
use crate::player::{Agent, Player};
use crate::reference::Reference;
use crate::served::Served;
use chatalot_protocol::event::{Event, What};
use chatalot_protocol::message::{ToAgent, ToController};
use chatalot_protocol::names::{DeploymentId, StepId};
use chatalot_protocol::plan::PlanHash;
use chatalot_protocol::work::Work;
use chatalot_tests::figures::{Bound, Figures, float, say};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::Connection;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::Instant;

const DEPTH: u64 = 64;
const TIME: Duration = Duration::from_secs(4);

pub(crate) async fn measure(
    fleet: &Fleet,
    reference: Option<&Reference>,
    figures: &mut Figures,
) -> Result<()> {
    let served = Served::start(fleet).await?;
    let bare = bare(&fleet.config.state)?;
    let mut hosts = hosts(fleet).await?;
    let single = rate(&mut hosts[..1], 1, TIME).await?;
    let deep = rate(&mut hosts[..1], DEPTH, TIME).await?;
    let wide = rate(&mut hosts, 1, TIME).await?;
    let mut rate = |name: &str, rate| figures.row(name, rate, "a second", Bound::None);
    rate("events acknowledged, one at a time", single);
    rate("events acknowledged, 64 of one host", deep);
    rate("events acknowledged, one each of 64 hosts", wide);
    rate("    a bare row a commit on this disk", bare);
    figures.row(
        "64 of one host, times one at a time",
        deep / single,
        "",
        Bound::AtLeast(10.0),
    );
    figures.row(
        "    one each of 64 hosts, times that",
        wide / single,
        "",
        Bound::None,
    );
    figures.row(
        "    64 of one host, times the bare row",
        deep / bare,
        "",
        Bound::None,
    );
    match syncs(&served, &mut hosts[..1]).await? {
        Some(syncs) => figures.row("    syncs for each message of 64", syncs, "", Bound::AtMost(1.1)),
        None => say("    syncs were not counted: there is no strace that may look"),
    }
    drop(hosts);
    served.stop().await?;
    match reference {
        Some(reference) => beside(reference, &fleet.config.state, deep, figures).await,
        None => Ok(()),
    }
}

async fn beside(reference: &Reference, folder: &Path, deep: f64, figures: &mut Figures) -> Result<()> {
    let rows = reference.rows(folder).await?;
    let mut row = |name: &str, rate, unit| figures.row(name, rate, unit, Bound::None);
    row("    reference: a row a commit", rows.single, "a second");
    row("    reference: 100 rows a commit", rows.hundred, "a second");
    row("    64 of one host, times a row a commit", deep / rows.single, "");
    Ok(())
}

/// A host in a deployment.
struct Host {
    agent: Agent,
    deployment: DeploymentId,
    last: u64,
}

async fn hosts(fleet: &Fleet) -> Result<Vec<Host>> {
    let mut hosts = Vec::new();
    for identity in fleet.identities.iter().take(usize::try_from(DEPTH)?) {
        let agent = Player::new(fleet, identity)?.dial().await;
        let mut host = Host {
            agent: agent.map_err(|_| "an agent was not let in")?,
            deployment: DeploymentId::fresh(),
            last: 0,
        };
        let begun = What::DeploymentStarted {
            work: Work::Deploy,
            plan: PlanHash::of(&[7; 32]),
            domain: "chat.example.com".into(),
            steps: Vec::new(),
        };
        host.tell(vec![begun]).await?;
        hosts.push(host);
    }
    Ok(hosts)
}

impl Host {
    /// Sends events in one message, and waits until they are stored.
    async fn tell(&mut self, what: Vec<What>) -> Result<()> {
        let events = what.into_iter().map(|what| {
            self.last += 1;
            Event {
                seq: self.last,
                at_ms: 1,
                deployment: Some(self.deployment),
                what,
            }
        });
        let events = events.collect();
        self.agent.say(&ToController::Events { events }).await?;
        while self.agent.hear().await? != (ToAgent::Acked { seq: self.last }) {}
        Ok(())
    }
}

fn step(number: u64) -> What {
    What::StepStarted {
        step: StepId::known("install.run"),
        attempt: 1,
        stream: u32::try_from(number % 100).unwrap_or(0),
        why: "there is no chatalot here yet".into(),
    }
}

/// Events a second of these hosts, with so many in each message.
async fn rate(hosts: &mut [Host], depth: u64, time: Duration) -> Result<f64> {
    let began = Instant::now();
    let telling = hosts.iter_mut().map(|host| async move {
        let first = host.last;
        while began.elapsed() < time {
            host.tell((0..depth).map(step).collect()).await?;
        }
        Result::Ok(host.last - first)
    });
    let told = futures_util::future::try_join_all(telling).await?;
    Ok(float(told.iter().sum()) / began.elapsed().as_secs_f64())
}

/// How often the controller makes something durable for each message; `None` where that cannot be looked at.
async fn syncs(served: &Served, hosts: &mut [Host]) -> Result<Option<f64>> {
    let (pid, seen) = (served.id()?, tempfile::NamedTempFile::new()?);
    let tracing = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=fdatasync,fsync", "-o"])
        .arg(seen.path())
        .args(["-p", &pid.to_string()])
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut tracing) = tracing else {
        return Ok(None);
    };
    while !is_traced(pid)? {
        if tracing.try_wait()?.is_some() {
            return Ok(None);
        }
        tokio::task::yield_now().await;
    }
    let first = hosts.iter().map(|host| host.last).sum::<u64>();
    rate(hosts, DEPTH, Duration::from_secs(1)).await?;
    let told = hosts.iter().map(|host| host.last).sum::<u64>() - first;
    let tracer = tracing.id().ok_or("strace has ended")?;
    kill(Pid::from_raw(tracer.cast_signed()), Signal::SIGINT)?;
    tracing.wait().await?;
    let text = std::fs::read_to_string(seen.path())?;
    let syncs = text
        .lines()
        .filter(|line| line.contains("sync(") && !line.contains("resumed"));
    Ok(Some(float(syncs.count() as u64) / float(told / DEPTH)))
}

/// Whether every thread of a process is traced.
fn is_traced(pid: u32) -> Result<bool> {
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = std::fs::read_to_string(thread?.path().join("status"))?;
        if status.lines().any(|line| line == "TracerPid:\t0") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Rows a second with a commit for each, as the controller's database commits.
fn bare(folder: &Path) -> Result<f64> {
    let path = folder.join("bare.db");
    let connection = Connection::open(&path)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE row (body TEXT NOT NULL);",
    )?;
    let mut insert = connection.prepare("INSERT INTO row (body) VALUES (?1)")?;
    let (body, began, mut rows) = ("b".repeat(200), std::time::Instant::now(), 0);
    while began.elapsed() < TIME {
        insert.execute([&body])?;
        rows += 1;
    }
    let rate = float(rows) / began.elapsed().as_secs_f64();
    drop(insert);
    drop(connection);
    std::fs::remove_file(&path)?;
    Ok(rate)
}
