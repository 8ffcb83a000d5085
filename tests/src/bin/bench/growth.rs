//! What the agent's memory grows by over its life: many jobs, one after the other, and then its checks at a hundred times
//! their rate.
//!
//! A job is a deployment from the controller that finds everything as it should be. The checks are hurried as anything that
//! happens to a container hurries them: one that belongs to nobody gets another name so often that even the most
//! frequent check (every 30 s) comes a hundred times as often; the rarer ones come more often still. Growth is counted from
//! when some jobs are done and the checks have been asked, for what is loaded then is loaded once.

use super::idle::Life;
use super::world::World;
use chatalot_tests::figures::{Bound, Figures, float};
use chatalot_tests::{Failed, Result};
use std::time::{Duration, Instant};

/// How many jobs come before the first look.
const WARM: u64 = 20;
/// The shortest time between two checks of a kind.
const USUAL: Duration = Duration::from_secs(30);
/// A hundredth of it.
const EVERY: Duration = Duration::from_millis(300);
/// Kilobytes, as /proc has them.
const MEGABYTE: f64 = 1000.0 * 1000.0 / 1024.0;
/// Some container that is no part of the site; it never runs.
const BYSTANDER: &str = "docker create --name bystander-0 --network none --entrypoint none \
    $(docker inspect -f '{{.Config.Image}}' chatalot-server) >/dev/null";

pub(crate) fn measure(world: &World, jobs: u64, minutes: u64, figures: &mut Figures) -> Result<()> {
    world.restart_agent()?;
    for _ in 0..WARM {
        job(world)?;
    }
    let pid = world.agent()?;
    let before = Life::read(world, &pid)?;
    for _ in 0..jobs {
        job(world)?;
    }
    let worked = Life::read(world, &pid)?;
    let (hurried, rate) = hurry(world, Duration::from_mins(minutes))?;
    let after = Life::read(world, &pid)?;
    if world.agent()? != pid {
        return Err(Failed::Late("the agent that was looked at".to_owned(), 0));
    }
    figures.row("jobs, one after the other", float(jobs), "", Bound::None);
    let grown = (worked.resident - before.resident) / MEGABYTE;
    figures.row(
        "    resident memory grown by them",
        grown,
        "MB",
        Bound::AtMost(1.0),
    );
    figures.row("rounds of all checks hurried", float(hurried), "", Bound::None);
    figures.row("    times the rate of the most frequent", rate, "", Bound::None);
    let grown = (after.resident - before.resident) / MEGABYTE;
    figures.row(
        "    resident memory grown by both",
        grown,
        "MB",
        Bound::AtMost(1.0),
    );
    let anonymous = (after.anonymous - before.anonymous) / MEGABYTE;
    figures.row("    of it anonymous", anonymous, "MB", Bound::None);
    let resident = after.resident / MEGABYTE;
    figures.row("    resident memory at the end", resident, "MB", Bound::None);
    Ok(())
}

fn job(world: &World) -> Result<()> {
    let journey = &world.journey;
    let site = journey.site();
    let site: Vec<&str> = site.iter().map(String::as_str).collect();
    let words = [&["deploy", &journey.name, "--yes"], &site[..]].concat();
    journey.controller.ctl(&words)?.ok().map(drop)
}

/// Hurries the checks for a while; how often, and how many times as often as the most frequent of them comes by itself.
fn hurry(world: &World, time: Duration) -> Result<(u64, f64)> {
    let vps = &world.journey.vps;
    vps.must(BYSTANDER)?;
    let (began, mut times) = (Instant::now(), 0);
    while began.elapsed() < time {
        let (name, next) = (times, times + 1);
        vps.must(&format!("docker rename bystander-{name} bystander-{next}"))?;
        times = next;
        let next = began + EVERY * times;
        std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
    }
    vps.must(&format!("docker rm bystander-{times} >/dev/null"))?;
    let rate = float(times.into()) * USUAL.as_secs_f64() / began.elapsed().as_secs_f64();
    Ok((times.into(), rate))
}
