//! The main job for a person to watch: see `## Try it` in the README.

use std::io::{IsTerminal, Write, stdout};
use std::process::{Command, ExitCode};

use chatalot_tests::{Controller, Result, Sandbox, Vps, sandboxed};

fn main() -> ExitCode {
    match show() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("it did not work: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    let (bold, plain) = if stdout().is_terminal() {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    // A reader that went away needs no word.
    drop(writeln!(stdout(), "\n{bold}» {line}{plain}"));
}

fn show() -> Result<()> {
    say("A sandbox: a bare Debian 13 VPS with systemd, its own DNS, ACME authority, forge and registry");
    let sandbox = Sandbox::up()?;
    let vps = Vps::fresh(&sandbox, "try-it")?;
    sandbox.dns("try-it.example.com", Some(vps.address()), None)?;
    say("controller$ chatalotctl serve");
    // It looks from outside, and so has to know the sandbox's names.
    let resolver = Sandbox::INTERNET.to_string();
    let controller = Controller::start_with("try-it", &["--resolver", &resolver])?;
    say("controller$ chatalotctl host add try-it");
    let printed = controller
        .ctl(&["host", "add", "try-it", "--git-remote", Sandbox::REPOSITORY])?
        .ok()?
        .stdout;
    drop(write!(stdout(), "{printed}"));
    let line = printed
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("curl "))
        .unwrap_or_default();
    say("vps# (the printed line)");
    pass_on(Command::new("docker").args(["exec", vps.container(), "sh", "-c", line]))?;
    say("controller$ chatalotctl deploy try-it --domain try-it.example.com --admin-username alice …");
    let mut deploy = controller.command();
    deploy.args(["deploy", "try-it", "--yes"]);
    deploy.args(sandboxed("try-it.example.com"));
    pass_on(&mut deploy)?;
    say("vps# curl https://try-it.example.com/api/health");
    pass_on(Command::new("docker").args([
        "exec",
        vps.container(),
        "curl",
        "-s",
        "https://try-it.example.com/api/health",
    ]))?;
    say("vps# reboot; then chatalot-agent verify");
    vps.reboot()?;
    vps.wait_for("chatalot-agent verify", std::time::Duration::from_mins(2))?;
    pass_on(Command::new("docker").args(["exec", vps.container(), "chatalot-agent", "verify"]))?;
    say(
        "Done. The sandbox's VPS and controller are removed now; `sh tests/sandbox/down.sh` removes the rest.",
    );
    Ok(())
}

/// Runs a command with the person's own terminal; its failure ends the show.
fn pass_on(command: &mut Command) -> Result<()> {
    chatalot_tests::attended(command)
}
