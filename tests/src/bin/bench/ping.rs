//! A small request from the operator's socket to the agent and back.
//!
//! In it: HTTP over the controller's unix socket, its look-up of the host in `SQLite`, a frame over the mutual TLS session through
//! the sandbox's bridge, the agent's task that answers, and all of it back. One connection is kept; nothing is durable.

use super::figures::{Bound, Figures, float, quantile};
use super::socket::Socket;
use super::world::World;
use chatalot_tests::Result;
use serde_json::json;
use std::time::Instant;

const WARM: u64 = 200;
const ASKED: u64 = 3000;

pub(crate) fn measure(world: &World, figures: &mut Figures) -> Result<()> {
    let mut socket = Socket::open(&world.journey.controller)?;
    let ping = json!({"ask": "ping"});
    let mut took = Vec::new();
    for turn in 0..WARM + ASKED {
        let began = Instant::now();
        let answer = socket.ask(&world.journey.name, &ping)?;
        if turn >= WARM && answer["answer"] == "pong" {
            took.push(float(began.elapsed().as_nanos().try_into().unwrap_or(u64::MAX)) / 1e6);
        }
    }
    figures.row(
        "small request and back, p50",
        quantile(&mut took, 500),
        "ms",
        Bound::AtMost(0.3),
    );
    figures.row(
        "small request and back, p99",
        quantile(&mut took, 990),
        "ms",
        Bound::AtMost(1.0),
    );
    Ok(())
}
