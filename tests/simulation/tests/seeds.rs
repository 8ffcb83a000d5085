//! Many simulations, each decided by its number.
//!
//! `CHATALOT_SEEDS=20000 cargo test -p chatalot-simulation` runs as many (200 where nothing is said), from
//! `CHATALOT_FIRST_SEED` on. What a failed one did is told by the command that the failure names.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test cannot do is a failed test"
)]

use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn simulate(profile: &str, seed: u64) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chatalot-simulation"))
        .args([profile, &seed.to_string()])
        .output()
        .unwrap()
}

/// Runs one in `share` of all seeds; names each that ended badly.
fn all_well(profile: &str, share: u64) {
    let first = number("CHATALOT_FIRST_SEED", 1);
    let last = first + (number("CHATALOT_SEEDS", 200) / share).max(1);
    each_well(profile, &(first..last).collect::<Vec<_>>());
}

fn each_well(profile: &str, seeds: &[u64]) {
    let (next, bad) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) else {
                return;
            };
            let ended = simulate(profile, seed);
            if !ended.status.success() {
                let said = String::from_utf8_lossy(&ended.stderr).into_owned();
                let told = format!("cargo run -p chatalot-simulation -- {profile} {seed}\n{said}");
                bad.lock().unwrap_or_else(PoisonError::into_inner).push(told);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    let bad = bad.into_inner().unwrap();
    assert!(
        bad.is_empty(),
        "{} of {}:\n{}",
        bad.len(),
        seeds.len(),
        bad.join("\n")
    );
}

#[test]
fn f30_each_event_arrives_once_in_order_and_each_effect_happens_once_whatever_goes_wrong() {
    all_well("everything", 1);
}

#[test]
fn f22_a_network_that_is_silent_and_does_not_say_so_loses_nothing() {
    all_well("half-open", 8);
}

#[test]
fn f23_a_slow_network_that_loses_a_tenth_loses_nothing() {
    all_well("slow", 8);
}

#[test]
fn f24_a_network_that_is_silent_in_one_direction_loses_nothing() {
    all_well("one-way", 8);
}

#[test]
fn f25_connections_that_are_cut_at_any_byte_lose_nothing() {
    all_well("cuts", 8);
}

/// Of a greeting and what follows it: cut after each single byte, in one direction and in the other. `CHATALOT_FULL=1` tries
/// every one, CI one in fifteen.
#[test]
fn f25_a_connection_that_is_cut_after_each_single_byte_loses_nothing() {
    const BYTES: u64 = 4_000;
    let stride = if std::env::var_os("CHATALOT_FULL").is_some() {
        1
    } else {
        15
    };
    each_well("each-byte", &(0..BYTES * 2).step_by(stride).collect::<Vec<_>>());
}

#[test]
fn f18_a_rotation_in_the_midst_of_everything_parts_no_host_from_its_controller_and_comes_to_an_end() {
    all_well("rotation", 4);
}

#[test]
fn f32_f33_a_backup_that_is_put_back_on_either_side_is_noticed_and_nothing_is_swallowed() {
    all_well("backups", 8);
}

#[test]
fn f20_a_controller_that_is_away_for_a_week_finds_its_hosts_idle_and_back_within_a_minute() {
    all_well("away", 100);
}

#[test]
fn f71_the_same_seed_gives_the_same_trace() {
    for profile in ["everything", "cuts", "one-way", "rotation"] {
        for seed in 1..4 {
            let (one, two) = (simulate(profile, seed), simulate(profile, seed));
            assert!(one.stdout.len() > 200, "{profile} {seed} tells something");
            assert!(one.stdout == two.stdout, "{profile} {seed} differs");
        }
    }
}

#[test]
fn a_simulation_that_goes_wrong_is_noticed() {
    let broken = simulate("broken", 1);
    assert!(!broken.status.success());
    let said = String::from_utf8_lossy(&broken.stderr);
    assert!(said.contains("was never recorded"), "{said}");
}
