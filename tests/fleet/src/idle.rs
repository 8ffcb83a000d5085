//! Agents that are connected and have nothing to say but their signs of life: what each costs the controller in memory
//! (resident, from /proc), what all of them cost it in processor time, and what the kernel keeps for their connections.
//!
//! Before, some came and went, so that tables and pools have their size. The kernel's memory is the whole machine's and
//! holds both ends of each connection: it tells a size, no more. The reference holds the same connections without a
//! session, as a task with a read buffer and as the smallest task.

use crate::Result;
use crate::enrol::Fleet;
use crate::player::Player;
use crate::reference::Reference;
use crate::served::{Memory, Served, kernel};
use chatalot_tests::figures::{Bound, Figures, float};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

const WARM: usize = 200;
const SETTLE: Duration = Duration::from_secs(3);
/// What ten thousand of them may take, in megabytes.
const ALL: f64 = 200.0;

pub(crate) async fn measure(
    fleet: &Fleet,
    minutes: u64,
    reference: Option<&Reference>,
    figures: &mut Figures,
) -> Result<()> {
    let served = Served::start(fleet).await?;
    let players = Player::all(fleet)?;
    for agent in Player::enter(players.iter().take(WARM).cloned().collect()).await? {
        agent.hang_up()?;
    }
    sleep(SETTLE).await;
    let (before, kernel_before) = (served.memory()?, kernel()?);
    let (agents, count) = (
        Player::enter(players).await?,
        float(fleet.identities.len() as u64),
    );
    let mut idling = JoinSet::new();
    for (number, agent) in agents.into_iter().enumerate() {
        idling.spawn(agent.idle(float(number as u64) / count));
    }
    sleep(SETTLE).await;
    let (entered, kernel_after) = (served.memory()?, kernel()?);
    let cpu = served.cpu()?;
    sleep(Duration::from_mins(minutes)).await;
    let cpu = (served.cpu()? - cpu) / float(minutes * 60) * 100.0;
    let (after, connected) = (served.memory()?, float(served.connected().await? as u64));
    drop(idling);
    served.kill().await?;
    let each = |then: &Memory| (then.resident - before.resident) / count;
    let mut row = |name: &str, figure, unit, bound| figures.row(name, figure, unit, bound);
    row("idle agents", connected, "", Bound::AtLeast(count));
    row(
        "memory for each at the controller",
        each(&after),
        "KiB",
        Bound::AtMost(16.0),
    );
    row(
        "    before their first sign of life",
        each(&entered),
        "KiB",
        Bound::None,
    );
    let megabytes = |kilobytes: f64| kilobytes * 1024.0 / 1e6;
    let all = megabytes(after.resident);
    row(
        "    of the controller and all of them",
        all,
        "MB",
        Bound::AtMost(ALL),
    );
    row(
        "    of it anonymous",
        megabytes(after.anonymous),
        "MB",
        Bound::None,
    );
    let kernel = (kernel_after - kernel_before) * 1024.0 / count;
    row(
        "    in the kernel, for both ends of each",
        kernel,
        "KiB",
        Bound::None,
    );
    row(
        "processor time while all are idle",
        cpu,
        "% of one",
        Bound::AtMost(2.0),
    );
    match reference {
        Some(reference) => beside(reference, each(&after), figures).await,
        None => Ok(()),
    }
}

async fn beside(reference: &Reference, each: f64, figures: &mut Figures) -> Result<()> {
    let (plain, slim) = reference.idle().await?;
    figures.row(
        "    reference: a task for each connection",
        plain,
        "KiB",
        Bound::None,
    );
    figures.row(
        "    reference: the smallest task for each",
        slim,
        "KiB",
        Bound::None,
    );
    figures.row("    times the smallest", each / slim, "", Bound::None);
    Ok(())
}
