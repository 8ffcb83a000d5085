//! The host part of the preflight, asked through the controller.
//!
//! The whole round trip of the question on the operator's socket, less what the report itself says of the two findings that
//! leave the host (domain and clock). Those are whole milliseconds, cut off: what is left is too large rather than too small.
//! The host is a deployed one, so the ports have owners that are named. Cold is the first question to an agent just started,
//! which has to ask compose for its version.

use super::socket::Socket;
use super::world::World;
use chatalot_tests::figures::{Bound, Figures, float, median};
use chatalot_tests::{Failed, Result};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Instant;

const OUTSIDE: [&str; 2] = ["preflight.dns", "preflight.clock"];
const WARM: usize = 20;
const COLD: usize = 5;

pub(crate) fn measure(world: &World, figures: &mut Figures) -> Result<()> {
    let mut socket = Socket::open(&world.journey.controller)?;
    asked(world, &mut socket)?;
    let mut parts: BTreeMap<String, u64> = BTreeMap::new();
    let mut warm = Vec::new();
    for _ in 0..WARM {
        let (took, findings) = asked(world, &mut socket)?;
        warm.push(took);
        for (step, millis) in findings {
            *parts.entry(step).or_default() += millis;
        }
    }
    let mut cold = Vec::new();
    for _ in 0..COLD {
        world.restart_agent()?;
        cold.push(asked(world, &mut socket)?.0);
    }
    figures.row(
        "preflight, host part, warm",
        median(&mut warm),
        "ms",
        Bound::AtMost(30.0),
    );
    figures.row(
        "preflight, host part, cold",
        median(&mut cold),
        "ms",
        Bound::AtMost(110.0),
    );
    for (step, millis) in parts {
        let each = float(millis) / float(WARM as u64);
        figures.row(&format!("    {step}, mean"), each, "ms", Bound::None);
    }
    Ok(())
}

/// Milliseconds without what is asked outside, and what each finding took.
fn asked(world: &World, socket: &mut Socket) -> Result<(f64, Vec<(String, u64)>)> {
    let ask = json!({"ask": "preflight", "site": world.site, "secrets": {}});
    let began = Instant::now();
    let answer = socket.ask(&world.journey.name, &ask)?;
    let took = began.elapsed().as_secs_f64() * 1e3;
    let findings = answer["findings"]
        .as_array()
        .ok_or_else(|| Failed::Late(format!("findings in `{answer}`"), 0))?;
    let findings: Vec<(String, u64)> = findings
        .iter()
        .map(|finding| {
            let step = finding["step"].as_str().unwrap_or_default().to_owned();
            (step, finding["millis"].as_u64().unwrap_or(0))
        })
        .collect();
    let outside = findings.iter().filter(|(step, _)| OUTSIDE.contains(&&**step));
    let outside: u64 = outside.map(|(_, millis)| millis).sum();
    let known = |step: &&str| {
        answer["findings"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["step"] == **step))
    };
    match OUTSIDE.iter().find(|step| !known(step)) {
        None => Ok((took - float(outside), findings)),
        Some(step) => Err(Failed::Late(format!("`{step}` in `{answer}`"), 0)),
    }
}
