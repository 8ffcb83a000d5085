//! The joined agent after a deployment, all checks on, while nothing happens but their own clocks and the containers' health checks.
//!
//! From /proc: resident and anonymous memory at the end, threads, and processor time (in the kernel's hundredths of a second, ended
//! children included) over the minutes. A child that has ended leaves its page faults with its parent, so no more of those is
//! proof that there was none.

use super::figures::{Bound, Figures, float};
use super::world::World;
use chatalot_tests::{Failed, Result};
use std::thread;
use std::time::{Duration, Instant};

/// From a start to quiet: the first round of all checks, and their second thoughts.
const SETTLE: Duration = Duration::from_secs(40);

pub(crate) fn measure(world: &World, minutes: u64, figures: &mut Figures) -> Result<()> {
    world.restart_agent()?;
    pause(SETTLE);
    let pid = world.agent()?;
    let before = Life::read(world, &pid)?;
    pause(Duration::from_mins(minutes));
    let after = Life::read(world, &pid)?;
    let per_five = 5.0 / float(minutes);
    figures.row(
        "idle agent, resident memory",
        after.resident / 1024.0,
        "MiB",
        Bound::AtMost(6.0),
    );
    figures.row(
        "idle agent, anonymous memory",
        after.anonymous / 1024.0,
        "MiB",
        Bound::AtMost(1.5),
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
    Ok(())
}

fn pause(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
}

struct Life {
    resident: f64,
    anonymous: f64,
    threads: f64,
    ticks: f64,
    child_faults: f64,
    wakes: f64,
}

impl Life {
    fn read(world: &World, pid: &str) -> Result<Self> {
        let script = format!(
            "cd /proc/{pid} && sed 's/.*) //' stat && awk '/^(Rss|Anonymous):/{{print $2}}' smaps_rollup \
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
            [.., resident, anonymous, wakes] if numbers.len() > 50 => Ok(Self {
                resident,
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
