//! Leaving: exactly what was installed is taken away. What was deployed stays as it is.

use super::{PROGRAM, SetupError, UNIT, UNIT_NAME, judge_host, state, systemctl};
use crate::config;
use crate::host::linux::LinuxHost;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Stops the agent and removes its files; what is gone already is fine. `say` is told each thing done.
pub async fn leave(host: &LinuxHost, say: &mut dyn FnMut(&str)) -> Result<(), SetupError> {
    judge_host()?;
    if Path::new(UNIT).exists() {
        systemctl(host, &["disable", "--now", "--quiet", UNIT_NAME]).await?;
        remove(Path::new(UNIT), fs::remove_file)?;
        systemctl(host, &["daemon-reload"]).await?;
        say(&format!("stopped and removed {UNIT_NAME}"));
    }
    let configuration = Path::new(config::PATH)
        .parent()
        .unwrap_or(Path::new(config::PATH));
    for folder in [configuration, state()] {
        remove(folder, fs::remove_dir_all)?;
        say(&format!("removed {}", folder.display()));
    }
    remove(Path::new(PROGRAM), fs::remove_file)?;
    say(&format!("removed {PROGRAM}"));
    Ok(())
}

fn remove(path: &Path, how: fn(PathBuf) -> io::Result<()>) -> Result<(), SetupError> {
    match how(path.to_owned()) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(SetupError::File {
            verb: "remove",
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}
