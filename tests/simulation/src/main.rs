//! Agents and their controller in a world that a number decides: session, outbox, deployments and the controller's
//! logic are the real code over real `SQLite` files; network, time, chance and crashes are simulated.
//!
//! | module | what |
//! |---|---|
//! | [`story`] | one simulation: an operator who deploys, and whatever goes wrong |
//! | [`model`] | what must be true at the end |
//! | [`vps`], [`units`] | a host with its agent, and what its units do |
//! | [`centre`] | the controller |
//! | [`rotation`] | another root, meanwhile |
//! | [`net`] | the road between them |
//! | [`chance`] | randomness and the time of day |
//! | [`trace`] | what happened |
//!
//! `chatalot-simulation PROFILE SEED` prints what happened and ends with 1 if something was wrong. One process runs
//! one seed, so that nothing of an earlier one is left in it.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the trace is its output"
)]

mod centre;
mod chance;
mod model;
mod net;
mod rotation;
mod story;
mod trace;
mod units;
mod vps;

use centre::Anything;
use story::Profile;
use trace::Trace;

/// How long a simulation may take, in our time.
const LONGEST: std::time::Duration = std::time::Duration::from_mins(3);

fn main() -> Anything<std::process::ExitCode> {
    let mut args = std::env::args().skip(1);
    let (profile, seed) = (args.next().unwrap_or_default(), args.next().unwrap_or_default());
    let named = Profile::ALL.into_iter().find(|(name, _)| *name == profile);
    let (Some((_, profile)), Ok(seed)) = (named, seed.parse()) else {
        return Err("usage: chatalot-simulation PROFILE SEED".into());
    };
    // Memory serves where there is such a place: a crash here is not a power cut.
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)?
    } else {
        tempfile::tempdir()?
    };
    let path = folder.path().to_owned();
    // A thread of its own, on which nothing has asked for chance yet.
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(simulate(seed, profile, &path)));
    let (lines, wrong) = told
        .recv_timeout(LONGEST)
        .map_err(|_| "the simulation broke off, or does not end")??;
    for line in lines {
        println!("{line}");
    }
    for line in &wrong {
        eprintln!("WRONG {line}");
    }
    Ok(u8::from(!wrong.is_empty()).into())
}

type Told = (Vec<String>, Vec<String>);

fn simulate(seed: u64, profile: Profile, folder: &std::path::Path) -> Result<Told, String> {
    chance::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    let trace = Trace::default();
    let wrong = runtime.block_on(story::tell(folder, profile, trace.clone()));
    let wrong = wrong.map_err(|error| format!("{}\n{error}", trace.lines().join("\n")))?;
    Ok((trace.lines(), wrong))
}
