//! Sessions that begin, for each second of the controller's processor time: TCP, a full TLS 1.3 handshake with both
//! certificates verified, the certificate looked up in the database, both hellos, the host's row written and committed;
//! and the session's end, which is written as well. Some begin at once, so that commits are shared as they would be.
//!
//! The reference does the handshake alone, and echoes one byte.

use crate::Result;
use crate::enrol::Fleet;
use crate::player::Player;
use crate::reference::Reference;
use crate::served::Served;
use chatalot_tests::figures::{Bound, Figures, float};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

const AT_ONCE: usize = 16;
const TIME: Duration = Duration::from_secs(10);

pub(crate) async fn measure(
    fleet: &Fleet,
    reference: Option<&Reference>,
    figures: &mut Figures,
) -> Result<()> {
    let served = Served::start(fleet).await?;
    let players = Arc::new(Player::all(fleet)?);
    // Warm, and every host has its first row.
    begin(&players, Duration::from_secs(2)).await?;
    let (cpu, began) = (served.cpu()?, Instant::now());
    let sessions = begin(&players, TIME).await?;
    let wall = began.elapsed().as_secs_f64();
    let rate = sessions / (served.cpu()? - cpu);
    served.stop().await?;
    figures.row(
        "sessions begun, a core-second of the controller",
        rate,
        "",
        Bound::AtLeast(3000.0),
    );
    figures.row(
        "    a second, beside who plays them",
        sessions / wall,
        "",
        Bound::None,
    );
    if let Some(reference) = reference {
        let bare = reference.handshakes().await?;
        figures.row("    reference: handshakes a core-second", bare, "", Bound::None);
        figures.row("    part of the reference", rate / bare, "", Bound::None);
    }
    Ok(())
}

/// How many sessions have begun within a time.
async fn begin(players: &Arc<Vec<Player>>, time: Duration) -> Result<f64> {
    let (next, until) = (Arc::new(AtomicUsize::new(0)), Instant::now() + time);
    let mut dialling = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (players, next) = (Arc::clone(players), Arc::clone(&next));
        dialling.spawn(async move {
            let mut sessions = 0;
            while Instant::now() < until {
                let at = next.fetch_add(1, Ordering::Relaxed) % players.len();
                let agent = players[at].dial().await.map_err(|_| "an agent was not let in")?;
                agent.hang_up()?;
                sessions += 1;
            }
            Result::Ok(sessions)
        });
    }
    let mut all = 0;
    while let Some(sessions) = dialling.join_next().await {
        all += sessions??;
    }
    Ok(float(all))
}
