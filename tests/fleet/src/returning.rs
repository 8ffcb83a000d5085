//! All agents come back after a restart of the controller: once it was stopped as a service manager does it, once killed.
//! They do as agents do: who was told when to come back waits that long, everybody else a time drawn by the agent's own rule.
//!
//! Told is the time from the end of the old controller to the last welcome of the new one, and how long an attempt that
//! was welcomed took. Whoever is not back, or whom the controller does not list as connected, is lost.

use crate::Result;
use crate::enrol::Fleet;
use crate::player::{NoSession, Player, millis};
use crate::served::Served;
use chatalot_agent::link::dial::jittered;
use chatalot_tests::figures::{Bound, Figures, float, quantile};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const TARGET: f64 = 60.0;
/// An accept that takes longer than this would look like a hanging controller to an agent.
const ACCEPT: f64 = 10_000.0;
const PATIENCE: Duration = Duration::from_mins(3);

pub(crate) async fn measure(fleet: &Fleet, figures: &mut Figures) -> Result<()> {
    for way in ["stopped", "killed"] {
        let served = Served::start(fleet).await?;
        let (told, mut welcomes) = mpsc::unbounded_channel();
        let mut living = JoinSet::new();
        for player in Player::all(fleet)? {
            living.spawn(live(player, told.clone()));
        }
        gather(fleet, &mut welcomes).await;
        let ended = Instant::now();
        if way == "stopped" {
            served.stop().await?;
        } else {
            served.kill().await?;
        }
        while welcomes.try_recv().is_ok() {}
        let served = Served::start(fleet).await?;
        let up = ended.elapsed().as_secs_f64();
        let mut took = gather(fleet, &mut welcomes).await;
        let back = ended.elapsed().as_secs_f64();
        let connected = served.connected().await?;
        let all = fleet.identities.len();
        figures.row(
            &format!("{all} agents back after it was {way}"),
            back,
            "s",
            Bound::AtMost(TARGET),
        );
        figures.row("    of that until the new one listens", up, "s", Bound::None);
        let (p50, p99) = (quantile(&mut took, 500), quantile(&mut took, 990));
        figures.row("    an attempt until its welcome, p50", p50, "ms", Bound::None);
        figures.row(
            "    an attempt until its welcome, p99",
            p99,
            "ms",
            Bound::AtMost(ACCEPT),
        );
        let lost = all.saturating_sub(connected);
        figures.row("    agents lost", float(lost as u64), "", Bound::AtMost(0.0));
        drop(living);
        served.kill().await?;
    }
    Ok(())
}

/// Waits until as many were welcomed as there are; how long the attempts took.
async fn gather(fleet: &Fleet, welcomes: &mut mpsc::UnboundedReceiver<f64>) -> Vec<f64> {
    let mut took = Vec::new();
    let all = async {
        while took.len() < fleet.identities.len() {
            match welcomes.recv().await {
                Some(millis) => took.push(millis),
                None => return,
            }
        }
    };
    // Whoever is missing is seen from what the controller lists.
    let _ = timeout(PATIENCE, all).await;
    took
}

/// Has a session, and another one when it has ended, for ever.
async fn live(player: Player, told: mpsc::UnboundedSender<f64>) {
    let (mut failures, mut spread) = (0, Duration::ZERO);
    loop {
        let began = Instant::now();
        let end = match player.dial().await {
            Ok(agent) => {
                (failures, spread) = (0, Duration::from_secs(agent.welcome.spread_secs));
                // Nobody may be listening any more.
                let _ = told.send(millis(began));
                agent.idle(1.0).await
            }
            Err(end) => end,
        };
        failures += 1;
        let pause = match end {
            NoSession::Rejected(pause) => pause.max(Duration::from_secs(1)),
            NoSession::Lost => jittered(failures, spread),
        };
        sleep(pause).await;
    }
}
