//! The joined agent after a deployment, all checks on, while nothing happens but their own clocks and the containers' health checks.
//!
//! From /proc: resident, proportional and anonymous memory at the end, threads, and processor time (in the kernel's hundredths of a second, ended
//! children included) over the minutes. A child that has ended leaves its page faults with its parent, so no more of those is
//! proof that there was none.

use super::world::World;
use chatalot_tests::figures::{Bound, Figures, float};
use chatalot_tests::{Failed, Result};
use std::thread;
use std::time::{Duration, Instant};

/// From a start to quiet: the first round of all checks, and their second thoughts.
pub(crate) const SETTLE: Duration = Duration::from_secs(40);

/// Measures for so many minutes; returns the resident memory in kilobytes.
pub(crate) fn measure(world: &World, minutes: u64, figures: &mut Figures) -> Result<f64> {
    world.restart_agent()?;
    pause(SETTLE);
    let pid = world.agent()?;
    let before = Life::read(world, &pid)?;
    pause(Duration::from_mins(minutes));
    let after = Life::read(world, &pid)?;
    let per_five = 5.0 / float(minutes);
    figures.row(
        "idle agent, resident memory",
        after.resident * 1024.0 / 1e6,
        "MB",
        Bound::AtMost(6.0),
    );
    figures.row(
        "    of it anonymous",
        after.anonymous * 1024.0 / 1e6,
        "MB",
        Bound::AtMost(1.5),
    );
    figures.row(
        "    its share where others map the same",
        after.proportional * 1024.0 / 1e6,
        "MB",
        Bound::None,
    );
    figures.row("idle agent, threads", after.threads, "", Bound::AtMost(3.0));
    let cpu = (after.ticks - before.ticks) / 100.0 * per_five;
    figures.row(
        "idle agent, processor time in 5 minutes",
        cpu,
        "s",
        Bound::AtMost(0.1),
    );
    let faults = after.child_faults - before.child_faults;
    figures.row(
        "idle agent, page faults of its children",
        faults,
        "",
        Bound::AtMost(0.0),
    );
    let wakes = (after.wakes - before.wakes) / float(minutes);
    figures.row("idle agent, wake-ups a minute", wakes, "", Bound::None);
    Ok(after.resident)
}

pub(crate) fn pause(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
}

pub(crate) struct Life {
    pub(crate) resident: f64,
    pub(crate) proportional: f64,
    pub(crate) anonymous: f64,
    threads: f64,
    ticks: f64,
    child_faults: f64,
    wakes: f64,
}

impl Life {
    pub(crate) fn read(world: &World, pid: &str) -> Result<Self> {
        let script = format!(
            "cd /proc/{pid} && sed 's/.*) //' stat && awk '/^(Rss|Pss|Anonymous):/{{print $2}}' smaps_rollup \
             && cat task/*/status | awk '/_ctxt_switches/{{n+=$2}} END{{print n}}'"
        );
        let text = world.journey.vps.must(&script)?;
        let numbers: Vec<f64> = text
            .split_whitespace()
            .skip(1)
            .map(|word| word.parse().unwrap_or(0.0))
            .collect();
        // After the state: ppid … (see proc(5), whose field 4 is the first here).
        let field = |number: usize| numbers.get(number - 4).copied().unwrap_or(f64::NAN);
        match numbers[..] {
            [.., resident, proportional, anonymous, wakes] if numbers.len() > 50 => Ok(Self {
                resident,
                proportional,
                anonymous,
                wakes,
                threads: field(20),
                ticks: field(14) + field(15) + field(16) + field(17),
                child_faults: field(11) + field(13),
            }),
            _ => Err(Failed::Late(format!("the agent's state in `{text}`"), 0)),
        }
    }
}
