//! Leaving: exactly what was installed is taken away. What was deployed stays as it is.

use super::{PROGRAM, SetupError, UNIT, UNIT_NAME, judge_host, rules, state, systemctl};
use crate::config;
use crate::effect::UNITS;
use crate::host::linux::LinuxHost;
use crate::host::{Command, Look};
use crate::link::identity;
use crate::policy;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Stops the agent and removes its files; what is gone already is fine. `say` is told each thing done.
pub async fn leave(host: &LinuxHost, say: &mut dyn FnMut(&str)) -> Result<(), SetupError> {
    judge_host()?;
    judge_steps(host).await?;
    remove_service(host, say).await?;
    rules::end(Path::new(policy::PATH), state(), say)?;
    remove_configuration(say)?;
    remove(state(), fs::remove_dir_all)?;
    say(&format!("removed {}", state().display()));
    remove_program(say)
}

/// Takes back a first installation that failed. What joining has brought stays: the token is used up, and the same
/// line run again goes on with it.
pub(super) async fn take_back(host: &LinuxHost) -> Result<(), SetupError> {
    remove_service(host, &mut |_| {}).await?;
    rules::end(Path::new(policy::PATH), state(), &mut |_| {})?;
    remove_configuration(&mut |_| {})?;
    remove_state_unless_begun(state())?;
    remove_program(&mut |_| {})
}

fn remove_state_unless_begun(state: &Path) -> Result<(), SetupError> {
    if identity::is_begun(state) {
        return Ok(());
    }
    remove(state, fs::remove_dir_all)
}

async fn remove_service(host: &LinuxHost, say: &mut dyn FnMut(&str)) -> Result<(), SetupError> {
    if Path::new(UNIT).exists() {
        systemctl(host, &["disable", "--now", "--quiet", UNIT_NAME]).await?;
        remove(Path::new(UNIT), fs::remove_file)?;
        systemctl(host, &["daemon-reload"]).await?;
        say(&format!("stopped and removed {UNIT_NAME}"));
    }
    Ok(())
}

/// Removes the folder with our configuration; what else was put into it stays there.
fn remove_configuration(say: &mut dyn FnMut(&str)) -> Result<(), SetupError> {
    let path = Path::new(config::PATH);
    remove(path, fs::remove_file)?;
    let folder = path.parent().unwrap_or(path);
    match fs::remove_dir(folder) {
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
            say(&format!("kept {} for what else is in it", folder.display()));
        }
        other => {
            remove(folder, |_| other)?;
            say(&format!("removed {}", folder.display()));
        }
    }
    Ok(())
}

fn remove_program(say: &mut dyn FnMut(&str)) -> Result<(), SetupError> {
    remove(Path::new(PROGRAM), fs::remove_file)?;
    say(&format!("removed {PROGRAM}"));
    Ok(())
}

/// Refuses while a step is at work: it would lose its files under it.
async fn judge_steps(host: &LinuxHost) -> Result<(), SetupError> {
    let list = [
        "list-units",
        "--plain",
        "--no-legend",
        "--state=active,activating,deactivating",
        "chatalot-step-*",
    ];
    let output = host.query(Command::new("systemctl", &list)).await?;
    match running_step(&output.stdout) {
        Some(unit) => Err(at_work(unit)),
        None => Ok(()),
    }
}

/// The first unit of a step in what `systemctl list-units` says.
fn running_step(listed: &str) -> Option<&str> {
    listed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .find(|unit| unit.starts_with(UNITS))
}

fn at_work(unit: &str) -> SetupError {
    let id = unit
        .strip_prefix(UNITS)
        .and_then(|rest| rest.rsplit_once('-'))
        .map_or("ID", |(id, _)| id);
    SetupError::advice(
        "DEPLOYMENT_RUNNING",
        format!("`{unit}` is at work"),
        "no deployment that runs",
        &format!(
            "wait for it with `chatalot-agent watch {id}`, or end it with `chatalot-agent deployment cancel {id}`; \
             then run this again"
        ),
    )
}

pub(super) fn remove(path: &Path, how: impl FnOnce(PathBuf) -> io::Result<()>) -> Result<(), SetupError> {
    match how(path.to_owned()) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(SetupError::File {
            verb: "remove",
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_leaves_while_a_step_is_at_work_is_told_which_deployment_to_wait_for() {
        let id = "0199a5c0-7d2e-7000-8000-000000000001";
        let listed =
            format!("chatalot-step-{id}-3.service loaded active running A step of a chatalot deployment\n");
        let unit = running_step(&listed).unwrap();
        let told = at_work(unit).told();
        assert_eq!(told.code, "DEPLOYMENT_RUNNING");
        assert!(
            told.fix.contains(&format!("deployment cancel {id}`")),
            "{}",
            told.fix
        );
        assert_eq!(running_step(""), None);
        assert_eq!(running_step("0 loaded units listed.\n"), None);
    }

    #[test]
    fn a_first_installation_that_fails_keeps_what_joining_has_brought_and_nothing_else() {
        for kept in ["identity", "joining.key"] {
            let folder = tempfile::tempdir().unwrap();
            let state = folder.path().join("state");
            fs::create_dir_all(state.join(kept)).unwrap();
            remove_state_unless_begun(&state).unwrap();
            assert!(state.join(kept).exists());
        }
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        fs::create_dir(&state).unwrap();
        fs::write(state.join("ledger.sqlite"), "").unwrap();
        remove_state_unless_begun(&state).unwrap();
        assert!(!state.exists());
    }
}
