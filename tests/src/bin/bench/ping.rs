//! A small request from the operator's socket to the agent and back.
//!
//! In it: HTTP over the controller's unix socket, its look-up of the host in `SQLite`, a frame over the mutual TLS session through
//! the sandbox's bridge, the agent's task that answers, and all of it back. One connection is kept; nothing is durable. Beside it a
//! bare echo between two threads, for the ratio and for how busy the machine was.

use super::socket::Socket;
use super::world::World;
use chatalot_tests::figures::{Bound, Figures, float, quantile};
use chatalot_tests::{Failed, Result};
use serde_json::json;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
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
    let p50 = quantile(&mut took, 500);
    let p99 = quantile(&mut took, 990);
    figures.row("small request and back, p50", p50, "ms", Bound::AtMost(0.3));
    figures.row("small request and back, p99", p99, "ms", Bound::AtMost(1.0));
    let mut bare = echo().map_err(|source| Failed::Run {
        command: "an echo".to_owned(),
        source,
    })?;
    let (bare50, bare99) = (quantile(&mut bare, 500), quantile(&mut bare, 990));
    figures.row("    a bare echo over loopback, p50", bare50, "ms", Bound::None);
    figures.row("    a bare echo over loopback, p99", bare99, "ms", Bound::None);
    figures.row("    times the bare echo, p50", p50 / bare50, "", Bound::None);
    Ok(())
}

/// One byte to another thread over TCP and back: what this machine's scheduler takes at this moment.
fn echo() -> io::Result<Vec<f64>> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    thread::spawn(move || {
        let mut byte = [0];
        while far
            .read_exact(&mut byte)
            .and_then(|()| far.write_all(&byte))
            .is_ok()
        {}
    });
    let mut byte = [0];
    (0..ASKED)
        .map(|_| {
            let began = Instant::now();
            near.write_all(&byte)?;
            near.read_exact(&mut byte)?;
            Ok(began.elapsed().as_secs_f64() * 1e3)
        })
        .collect()
}
