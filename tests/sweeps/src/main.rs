//! Agent and controller as programs of one short life each, so that they can be killed, starved and cut off at every
//! call to the system: their real code over their real files, and a host that is a folder.
//!
//! | module | what |
//! |---|---|
//! | [`job`] | a life of the agent with one job, and what must be true when it is over |
//! | [`units`] | steps that are lines in a file, and what applies them |
//! | [`join`] | a host's identity and its first policy |
//! | [`enrol`] | a controller that gives a certificate for a token, stores events and queues a job |
//!
//! The exit codes: 0 all is well, 1 something is wrong (said on stderr), 3 the disk has failed and only a new start
//! helps, which is what systemd does then.

mod enrol;
mod job;
mod join;
mod units;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

pub(crate) type Anything<T> = Result<T, Box<dyn Error>>;

/// What a life comes to.
pub(crate) enum End {
    Well,
    /// Only a new start helps.
    BeginAnew,
}

fn main() -> Anything<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()?;
    let end = match *words.as_slice() {
        ["prepare-job", folder] => runtime.block_on(job::prepare(Path::new(folder)))?,
        ["job", folder, seat] => runtime.block_on(job::live(Path::new(folder), seat.parse()?))?,
        ["unit", folder, deployment, stream] => {
            units::apply(Path::new(folder), deployment.parse()?, stream.parse()?)?;
            End::Well
        }
        ["prepare-join", folder] => join::prepare(Path::new(folder))?,
        ["join", folder] => join::live(Path::new(folder))?,
        ["prepare-enrol", folder] => runtime.block_on(enrol::prepare(Path::new(folder)))?,
        ["enrol", folder] => runtime.block_on(enrol::live(Path::new(folder)))?,
        _ => return Err("usage: chatalot-sweeps [prepare-]job|join|enrol FOLDER …".into()),
    };
    Ok(match end {
        End::Well => ExitCode::SUCCESS,
        End::BeginAnew => ExitCode::from(3),
    })
}
