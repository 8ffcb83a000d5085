//! Asking for packages and installing them, by a distribution's row.

mod failures;
mod torn;

pub use failures::failure;
pub use torn::{TORN, UPDATES, unpack_torn, was_cut_off};

use super::distro::{Distro, Manager, PACMAN_LOCK};
use super::{ActCx, StepError};
use crate::host::{HostError, Look, plain_line};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// What rpm keeps several versions of, on purpose.
const SEVERAL_ON_PURPOSE: &[&str] = &["kernel", "gpg-pubkey"];

/// Which of these packages are not installed.
pub async fn missing(
    host: &dyn Look,
    distro: &Distro,
    names: &[&'static str],
) -> Result<Vec<&'static str>, HostError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let output = host.query(distro.command(distro.query, names)).await?;
    let says = |line: &str, name: &str| match distro.manager {
        Manager::Apt | Manager::Dnf => line.split_once('\t') == Some((name, "installed")),
        // A name and its version.
        Manager::Pacman => line.split_once(' ').is_some_and(|(of, _)| of == name),
    };
    let installed = |name: &str| output.stdout.lines().any(|line| says(line, name));
    Ok(names.iter().copied().filter(|name| !installed(name)).collect())
}

/// What an earlier run of the package manager has left half done, a line each.
pub async fn half_done(
    host: &dyn Look,
    distro: &Distro,
    deadline: Duration,
) -> Result<Vec<String>, HostError> {
    if distro.manager == Manager::Pacman && host.owner(Path::new(PACMAN_LOCK)).await?.is_none() {
        return Ok(Vec::new());
    }
    let audit = distro.command(distro.audit, &[]).deadline(deadline);
    let output = host.query(audit).await?;
    let said = || {
        output
            .stdout
            .lines()
            .map(plain_line)
            .filter(|line| !line.is_empty())
    };
    Ok(match distro.manager {
        Manager::Apt | Manager::Dnf if !output.ok() => {
            let last = output.last_lines(1).join("");
            vec![format!("the database cannot be read: {}", last.trim())]
        }
        Manager::Apt => {
            let updates = host.list(Path::new(UPDATES)).await?;
            let cut_off = was_cut_off(updates.iter().map(String::as_str));
            let unwritten =
                cut_off.then(|| "what dpkg had not yet written down when it was cut off".to_owned());
            said().chain(unwritten).collect()
        }
        Manager::Dnf => twice(said()),
        // Nobody has it open.
        Manager::Pacman if !output.ok() => vec![format!("{PACMAN_LOCK}, which nobody holds")],
        Manager::Pacman => Vec::new(),
    })
}

/// What is installed in two versions, and not on purpose.
fn twice(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut count: BTreeMap<String, u32> = BTreeMap::new();
    for line in lines {
        *count.entry(line).or_default() += 1;
    }
    let odd = count
        .into_iter()
        .filter(|(line, count)| *count > 1 && !SEVERAL_ON_PURPOSE.iter().any(|name| line.starts_with(name)));
    odd.map(|(line, _)| format!("{} in two versions", line.replace('\t', ".")))
        .collect()
}

/// Installs packages, with fresh lists.
pub async fn install(cx: &ActCx<'_>, names: &[&'static str]) -> Result<(), StepError> {
    let distro = cx.look.distro;
    let refreshed = cx.host.run(distro.command(distro.refresh, &[])).await?;
    if !refreshed.ok() {
        // A foreign source that is broken must not stop us from installing from those that are well.
        cx.host
            .say("The lists of packages could not all be refreshed; trying to install all the same.")
            .await;
    }
    let installed = cx.host.run(distro.command(distro.install, names)).await?;
    if installed.ok() {
        return Ok(());
    }
    // Lists that could not be fetched make packages unknown, and apt calls that a success.
    let lists = failure(distro, &refreshed, names);
    let refused = failures::is_unsigned(&refreshed) && !failures::is_unsigned(&installed);
    Err(if matches!(lists, StepError::Passing(_)) || refused {
        lists
    } else {
        failure(distro, &installed, names)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rpm_has_twice_is_half_done_but_kernels_and_keys_are_not() {
        let lines = [
            "bash\tx86_64",
            "glibc\ti686",
            "glibc\tx86_64",
            "kernel-core\tx86_64",
            "kernel-core\tx86_64",
            "gpg-pubkey\t(none)",
            "gpg-pubkey\t(none)",
            "containerd.io\tx86_64",
            "containerd.io\tx86_64",
        ];
        let found = twice(lines.iter().map(|line| (*line).to_owned()));
        assert_eq!(found, ["containerd.io.x86_64 in two versions"]);
    }
}
