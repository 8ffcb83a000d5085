//! A controller that is away for a week: its hosts are idle, do not fill the journal, and are back within a minute.

use crate::centre::Anything;
use crate::model::World;
use chatalot_agent::ledger::outbox;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

const WEEK: Duration = Duration::from_hours(7 * 24);
/// How long a host may take to be back.
const BACK: Duration = Duration::from_mins(1);
/// How many lines a host may write within an hour.
const LINES: u64 = 7;

/// Counts the lines that would be in the journal.
struct Journal(AtomicU64);

static JOURNAL: Journal = Journal(AtomicU64::new(0));

impl log::Log for Journal {
    fn enabled(&self, of: &log::Metadata<'_>) -> bool {
        of.level() <= log::Level::Info
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) && record.target().starts_with("chatalot_agent") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

/// The week; everything that is wrong after it.
pub(crate) async fn week(world: &World) -> Anything<Vec<String>> {
    log::set_logger(&JOURNAL)?;
    log::set_max_level(log::LevelFilter::Info);
    tokio::time::sleep(Duration::from_mins(10)).await;
    world.seat.stop(true).await;
    let (lines, events) = (JOURNAL.0.load(Ordering::Relaxed), recorded(world).await?);
    tokio::time::sleep(WEEK).await;
    let lines = JOURNAL.0.load(Ordering::Relaxed) - lines;
    let events = recorded(world).await? - events;
    let mut wrong = Vec::new();
    let most = LINES * 7 * 24 * u64::try_from(world.hosts.len())?;
    world
        .trace
        .say(&format!("away: {lines} lines, {events} events in a week"));
    if lines > most {
        wrong.push(format!("{lines} lines in the journal, more than {most}"));
    }
    if events > 0 {
        wrong.push(format!("{events} events of a week in which nothing happened"));
    }
    world.seat.start().await?;
    let began = Instant::now();
    for vps in &world.hosts {
        let service = vps.service().ok_or("no agent")?;
        let mut connection = service.connection.subscribe();
        let back = connection.wait_for(Option::is_some);
        if tokio::time::timeout_at(began + BACK, back).await.is_err() {
            wrong.push(format!("{} is not back within a minute", vps.name));
        }
    }
    Ok(wrong)
}

async fn recorded(world: &World) -> Anything<u64> {
    let mut events = 0;
    for vps in &world.hosts {
        let service = vps.service().ok_or("no agent")?;
        events += service.ledger.with(outbox::latest).await?;
    }
    Ok(events)
}
