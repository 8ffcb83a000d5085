//! Asking for packages and installing them, by a distribution's row.

use super::distro::Distro;
use super::{ActCx, StepError};
use crate::host::{HostError, Look, Output};
use chatalot_protocol::advice::Advice;

/// Tells which packages were cut off while they were unpacked: a name, a tab and `reinstreq` a line. Configuring them
/// does not mend that, and no other package manager than dpkg leaves any such.
pub const TORN: &[&str] = &["dpkg-query", "-W", "-f", "${Package}\\t${db:Status-Eflag}\\n"];

/// Where dpkg keeps what it has done and not yet written together.
pub const UPDATES: &str = "/var/lib/dpkg/updates";

/// Whether names in that folder say that dpkg was cut off: apt refuses to work then, though no package is half installed.
pub fn was_cut_off<'a>(mut updates: impl Iterator<Item = &'a str>) -> bool {
    updates.any(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Unpacks anew, with fresh lists, what was cut off while it was unpacked; whether there was any.
pub async fn unpack_torn(cx: &ActCx<'_>) -> Result<bool, StepError> {
    let distro = cx.look.distro;
    if distro.audit.first() != Some(&"dpkg") {
        return Ok(false);
    }
    let found = cx.look.host.query(distro.command(TORN, &[])).await?;
    let torn = found
        .stdout
        .lines()
        .filter_map(|line| line.strip_suffix("\treinstreq"));
    let torn: Vec<&str> = torn.collect();
    if torn.is_empty() {
        return Ok(false);
    }
    // Lists that are not quite fresh serve as well.
    cx.host.run(distro.command(distro.refresh, &[])).await?;
    let again: Vec<&str> = std::iter::once("--reinstall")
        .chain(torn.iter().copied())
        .collect();
    let unpacked = cx.host.run(distro.command(distro.install, &again)).await?;
    if unpacked.ok() {
        Ok(true)
    } else {
        Err(failure(&unpacked, &torn))
    }
}

/// Which of these packages are not installed.
pub async fn missing(
    host: &dyn Look,
    distro: &Distro,
    names: &[&'static str],
) -> Result<Vec<&'static str>, HostError> {
    let output = host.query(distro.command(distro.query, names)).await?;
    let installed = |name: &str| {
        output
            .stdout
            .lines()
            .any(|line| line.split_once('\t') == Some((name, "installed")))
    };
    Ok(names.iter().copied().filter(|name| !installed(name)).collect())
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
    let lists = failure(&refreshed, names);
    Err(if matches!(lists, StepError::Passing(_)) {
        lists
    } else {
        failure(&installed, names)
    })
}

struct Failure {
    signs: &'static [&'static str],
    code: &'static str,
    passes: bool,
    wanted: &'static str,
    fix: &'static str,
}

const FAILURES: &[Failure] = &[
    Failure {
        signs: &[
            "Could not get lock",
            "Unable to acquire the dpkg frontend lock",
            "Unable to lock",
        ],
        code: "APT_LOCKED",
        passes: true,
        wanted: "no other package manager at work",
        fix: "wait until it has finished (`fuser -v /var/lib/dpkg/lock-frontend /var/lib/apt/lists/lock` shows who it is), then deploy again",
    },
    Failure {
        signs: &["dpkg was interrupted", "unmet dependencies", "--fix-broken"],
        code: "PACKAGES_BROKEN",
        passes: false,
        wanted: "a package database without half installed packages",
        fix: "run `dpkg --configure -a` and `apt-get --fix-broken install`, then deploy again",
    },
    Failure {
        signs: &["No space left on device", "don't have enough free space"],
        code: "DISK_FULL",
        passes: false,
        wanted: "room for the packages",
        fix: "free at least 4 GiB (`apt-get clean`, `journalctl --vacuum-size=100M`), then deploy again",
    },
    Failure {
        signs: &[
            "Temporary failure resolving",
            "Could not resolve",
            "Could not connect",
            "Unable to connect",
            "Connection timed out",
            "Connection failed",
            "Network is unreachable",
            "Failed to fetch",
            "Some index files failed to download",
        ],
        code: "PACKAGES_UNREACHABLE",
        passes: true,
        wanted: "an answer from the distribution's package servers",
        fix: "see that `apt-get update` works on the host (name resolution, firewall, proxy), then deploy again",
    },
    Failure {
        signs: &["Unable to locate package", "has no installation candidate"],
        code: "PACKAGE_UNKNOWN",
        passes: false,
        wanted: "package sources with the distribution's main archive (on Ubuntu: also universe)",
        fix: "restore the distribution's own package sources, run `apt-get update`, then deploy again",
    },
];

/// What a package manager's failure means.
pub fn failure(output: &Output, names: &[&str]) -> StepError {
    let says = |sign: &&str| output.stdout.contains(sign) || output.stderr.contains(sign);
    let known = FAILURES.iter().find(|row| row.signs.iter().any(says));
    let saw = format!(
        "installing {} ended with exit code {}",
        names.join(", "),
        output.code
    );
    let advice = known.map_or_else(
        || {
            Advice::new(
                "PACKAGES_FAILED",
                saw.clone(),
                "the packages installed",
                "read the lines below, install the packages by hand, then deploy again",
            )
        },
        |row| Advice::new(row.code, saw.clone(), row.wanted, row.fix),
    );
    let advice = advice.with_evidence(output.last_lines(12));
    if known.is_some_and(|row| row.passes) {
        StepError::passing(advice)
    } else {
        StepError::last(advice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(text: &str) -> StepError {
        let output = Output {
            code: 100,
            stdout: text.into(),
            stderr: String::new(),
        };
        failure(&output, &["docker.io"])
    }

    #[test]
    fn f39_a_held_lock_passes_by_itself() {
        let held =
            failed("E: Could not get lock /var/lib/apt/lists/lock. It is held by process 91 (apt-get)");
        assert!(
            matches!(&held, StepError::Passing(advice) if advice.code == "APT_LOCKED"),
            "{held:?}"
        );
    }

    #[test]
    fn a_network_that_is_away_passes_and_an_unknown_package_does_not() {
        let away = failed(
            "E: Failed to fetch http://deb.debian.org/…  Temporary failure resolving 'deb.debian.org'",
        );
        assert!(matches!(&away, StepError::Passing(advice) if advice.code == "PACKAGES_UNREACHABLE"));
        let unknown = failed("E: Unable to locate package docker.io");
        assert!(matches!(&unknown, StepError::Final(advice) if advice.code == "PACKAGE_UNKNOWN"));
        assert!(matches!(&failed("boom"), StepError::Final(advice) if advice.evidence == ["boom"]));
    }
}
