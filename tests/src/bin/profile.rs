//! What a running agent uses of its program, as `packaging/order.sh` wants to know it: an idle one that watches its site,
//! and one that takes part in a deployment and answers questions, under valgrind in the sandbox.
//!
//! ```sh
//! CARGO_TARGET_DIR=target/symbols CHATALOT_SYMBOLS=none sh packaging/build.sh
//! cargo run -p chatalot-tests --bin profile target/symbols/*/ship/chatalot-agent target/profile
//! sh packaging/order.sh target/profile/idle target/profile/busy
//! ```

use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use chatalot_tests::{Failed, Journey, Result, Sandbox, Vps};

/// What valgrind cannot live with is taken away; what the agent tells systemd stays.
const UNIT: &str = "[Service]\nExecStart=\n\
    ExecStart=/usr/bin/valgrind --tool=callgrind --demangle=no --callgrind-out-file=/var/lib/chatalot-agent/profile /usr/local/bin/profiled run\n\
    MemoryDenyWriteExecute=no\nSystemCallFilter=\nMemoryMax=infinity\nTimeoutStartSec=300\nTimeoutStopSec=300\nWatchdogSec=600\n";
/// valgrind makes everything some fifty times slower.
const SLOWLY: Duration = Duration::from_mins(5);
/// How long the idle one watches: several rounds of every check.
const WATCHED: &str = "sleep 240";

fn main() -> ExitCode {
    let given: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [agent, folder] = given.as_slice() else {
        say("profile AGENT FOLDER");
        return ExitCode::from(2);
    };
    match profile(agent, folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    // A reader that went away needs no word.
    drop(writeln!(stdout(), "{line}"));
}

fn profile(agent: &Path, folder: &Path) -> Result<()> {
    let sandbox = Sandbox::up()?;
    let journey = Journey::joined(&sandbox, "profile")?;
    let vps = &journey.vps;
    journey.deploy(&[])?.ok()?;
    vps.must(
        "DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends valgrind >/dev/null",
    )?;
    vps.push(agent, "/usr/local/bin/profiled", 0o755)?;
    vps.write(
        "/run/systemd/system/chatalot-agent.service.d/profile.conf",
        UNIT.as_bytes(),
        0o644,
    )?;
    vps.must("systemctl daemon-reload")?;

    say("an idle agent");
    again(&journey)?;
    vps.must(WATCHED)?;
    keep(vps, folder, "idle")?;

    say("a busy agent");
    again(&journey)?;
    journey
        .deploy(&["--registration", "open", "--overwrite-env"])?
        .ok()?;
    for question in ["verify", "diagnose", "drift", "handover"] {
        // What it answers is not the point here.
        let _ = journey.controller.ctl(&[question, &journey.name])?;
    }
    keep(vps, folder, "busy")
}

fn again(journey: &Journey) -> Result<()> {
    journey.vps.must("systemctl restart chatalot-agent")?;
    journey.controller.wait_for_session(&journey.name, SLOWLY)
}

/// Ends the agent, which writes its profile then.
fn keep(vps: &Vps, folder: &Path, name: &str) -> Result<()> {
    vps.must("systemctl stop chatalot-agent")?;
    let profile = vps.read("/var/lib/chatalot-agent/profile")?;
    let path = folder.join(name);
    let failed = |source| Failed::File {
        path: path.display().to_string(),
        source,
    };
    fs::create_dir_all(folder).map_err(failed)?;
    fs::write(&path, profile).map_err(failed)
}
