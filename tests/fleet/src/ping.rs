//! A small question: operator's socket, controller, agent, and back. The agent is a task that answers at once, so this
//! is the controller's part; the whole way with a real agent is in the other bench.
//!
//! The reference asks the same over mutual TLS, with JSON on both sides and no operator's socket.

use crate::Result;
use crate::enrol::Fleet;
use crate::player::{Player, millis};
use crate::reference::Reference;
use crate::served::{Operator, Served};
use chatalot_protocol::message::{Answer, ToAgent, ToController};
use chatalot_tests::figures::{Bound, Figures, quantile};
use serde_json::json;
use tokio::time::Instant;

const WARM: usize = 500;
const ASKED: usize = 10_000;

pub(crate) async fn measure(
    fleet: &Fleet,
    reference: Option<&Reference>,
    figures: &mut Figures,
) -> Result<()> {
    let mut took = asked(fleet).await?;
    let (p50, p99) = (quantile(&mut took, 500), quantile(&mut took, 990));
    figures.row("small request and back, p50", p50, "ms", Bound::AtMost(0.3));
    figures.row("small request and back, p99", p99, "ms", Bound::AtMost(1.0));
    if let Some(reference) = reference {
        let (bare50, bare99) = reference.round_trip().await?;
        figures.row(
            "    reference: one mutual TLS hop, p50",
            bare50,
            "ms",
            Bound::None,
        );
        figures.row(
            "    reference: one mutual TLS hop, p99",
            bare99,
            "ms",
            Bound::None,
        );
        figures.row("    times the reference, p50", p50 / bare50, "", Bound::None);
        figures.row("    times the reference, p99", p99 / bare99, "", Bound::None);
    }
    Ok(())
}

/// Milliseconds of each question.
async fn asked(fleet: &Fleet) -> Result<Vec<f64>> {
    let served = Served::start(fleet).await?;
    let identity = fleet.identities.first().ok_or("there is no agent")?;
    let player = Player::new(fleet, identity)?;
    let mut agent = player.dial().await.map_err(|_| "the agent was not let in")?;
    let answering = tokio::spawn(async move {
        while let Ok(heard) = agent.hear().await {
            if let ToAgent::Ask { id, .. } = heard {
                let answer = Box::new(Answer::Pong);
                agent.say(&ToController::Answer { id, answer }).await?;
            }
        }
        Result::Ok(())
    });
    let mut operator = Operator::open(&served).await?;
    let ask = json!({"ask": "ping"}).to_string();
    let mut took = Vec::with_capacity(ASKED);
    for turn in 0..WARM + ASKED {
        let began = Instant::now();
        let answer = operator.ask("POST", "/v1/hosts/host-0/ask", &ask).await?;
        if answer["answer"] != "pong" {
            return Err(format!("no pong but {answer}").into());
        }
        if turn >= WARM {
            took.push(millis(began));
        }
    }
    served.stop().await?;
    answering.await??;
    Ok(took)
}
