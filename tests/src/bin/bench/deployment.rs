//! What a deployment costs on top of chatalot's own installer, and what a second run costs.
//!
//! Each round takes away what the installer has made (containers, volumes, `.env`, secrets; not the images) and runs the installer
//! with the plan's own flags, once by hand and once as a deployment. Ours is what the deployment's own events say of the step
//! `install.run`, with its checks before and after and the unit that it runs in; the whole command, from the operator's Enter to the
//! handover, is told beside it. The host has its packages and its proxy already: what those take is apt's and Caddy's time, not ours.

use super::world::{World, find, values};
use chatalot_tests::figures::{Bound, Figures, float, median};
use chatalot_tests::{Failed, Output, Result};
use serde_json::Value;
use std::time::Instant;

const ROUNDS: usize = 3;
const AGAIN: usize = 5;

pub(crate) fn measure(world: &World, figures: &mut Figures) -> Result<()> {
    let (mut by_hand, mut ours, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        world.uninstall()?;
        by_hand.push(installer(world)?);
        world.uninstall()?;
        let (took, output) = deploy(world)?;
        ours.push(step(&output, "install.run")?);
        whole.push(took);
    }
    let (by_hand, ours) = (median(&mut by_hand), median(&mut ours));
    figures.row("the installer by hand", by_hand, "s", Bound::None);
    figures.row("install.run of a deployment", ours, "s", Bound::None);
    figures.row(
        "    more than by hand",
        ours - by_hand,
        "s",
        Bound::AtMost(1.0 + (by_hand * 10.0).ceil() / 1000.0),
    );
    figures.row("    the whole command", median(&mut whole), "s", Bound::None);
    again(world, figures)
}

/// Everything is as it should be: nothing is written, no step is applied.
fn again(world: &World, figures: &mut Figures) -> Result<()> {
    let before = written(world)?;
    let (mut took, mut applied) = (Vec::new(), 0);
    for _ in 0..AGAIN {
        let (seconds, output) = deploy(world)?;
        took.push(seconds);
        applied += values(&output.stdout)
            .filter(|line| {
                find(line, &|event| {
                    event["event"] == "step_finished" && event["end"] == "done"
                })
                .is_some()
            })
            .count();
    }
    let changed = usize::from(written(world)? != before);
    figures.row(
        "second run, all satisfied",
        median(&mut took),
        "s",
        Bound::AtMost(3.0),
    );
    figures.row(
        "    steps applied in it",
        float(applied as u64),
        "",
        Bound::AtMost(0.0),
    );
    figures.row(
        "    changes to the site's and the proxy's files",
        float(changed as u64),
        "",
        Bound::AtMost(0.0),
    );
    Ok(())
}

fn installer(world: &World) -> Result<f64> {
    let script = format!(
        "cd /srv/chatalot && s=$EPOCHREALTIME && {} >/tmp/by-hand 2>&1 && e=$EPOCHREALTIME && echo \"$s\" && echo \"$e\"",
        world.installer
    );
    let times = world.journey.vps.exec(&["bash", "-c", &script])?.ok()?.stdout;
    let times: Vec<f64> = times.lines().filter_map(|line| line.parse().ok()).collect();
    match times[..] {
        [began, ended] => Ok(ended - began),
        _ => Err(Failed::Late("the installer's times".to_owned(), 0)),
    }
}

fn deploy(world: &World) -> Result<(f64, Output)> {
    let journey = &world.journey;
    let site = journey.site();
    let site: Vec<&str> = site.iter().map(String::as_str).collect();
    let words = [&["--output", "json", "deploy", &journey.name, "--yes"], &site[..]].concat();
    let began = Instant::now();
    let output = journey.controller.ctl(&words)?.ok()?;
    Ok((began.elapsed().as_secs_f64(), output))
}

/// Seconds that a step took, by its last event.
fn step(output: &Output, name: &str) -> Result<f64> {
    let is = |event: &Value| event["event"] == "step_finished" && event["step"] == name;
    values(&output.stdout)
        .filter_map(|line| find(&line, &is).and_then(|event| event["millis"].as_u64()))
        .last()
        .map(|millis| float(millis) / 1e3)
        .ok_or_else(|| Failed::Late(format!("the end of {name} in\n{}", output.stdout), 0))
}

fn written(world: &World) -> Result<String> {
    world.journey.vps.must(
        "find /etc /srv /usr -xdev -type f -not -path /etc/resolv.conf -newermt '1 hour ago' -printf '%p %T@\\n' | sort; \
         find /etc/caddy /srv/chatalot -type f -not -path '*/.git/*' -exec sha256sum {} + | sort; \
         docker ps --format '{{.ID}} {{.Image}}' | sort",
    )
}
