//! What a package manager's failure means, by what it says.

use crate::host::Output;
use crate::runbook::StepError;
use crate::runbook::distro::{Distro, Manager};
use chatalot_protocol::advice::Advice;

struct Failure {
    signs: &'static [&'static str],
    code: &'static str,
    passes: bool,
    wanted: &'static str,
    fix: Fix,
}

/// What to do, by package manager.
struct Fix {
    apt: &'static str,
    dnf: &'static str,
    pacman: &'static str,
}

impl Fix {
    const fn of(&self, manager: Manager) -> &'static str {
        match manager {
            Manager::Apt => self.apt,
            Manager::Dnf => self.dnf,
            Manager::Pacman => self.pacman,
        }
    }
}

const LOCKED: Failure = Failure {
    signs: &[
        "Could not get lock",
        "Unable to acquire the dpkg frontend lock",
        "Unable to lock",
    ],
    code: "APT_LOCKED",
    passes: true,
    wanted: "no other package manager at work",
    fix: Fix {
        apt: "wait until it has finished (`fuser -v /var/lib/dpkg/lock-frontend /var/lib/apt/lists/lock` shows who it is), then deploy again",
        dnf: "wait until it has finished (`fuser -v /var/lib/rpm/.rpm.lock` shows who it is), then deploy again",
        pacman: "wait until it has finished (`fuser -v /var/lib/pacman/db.lck` shows who it is), then deploy again",
    },
};

const FAILURES: &[Failure] = &[
    LOCKED,
    Failure {
        signs: &[
            "can't create transaction lock",
            "Failed to obtain rpm transaction lock",
            "Failed to obtain the transaction lock",
            "unable to lock database",
        ],
        code: "PACKAGES_LOCKED",
        ..LOCKED
    },
    Failure {
        signs: &[
            "dpkg was interrupted",
            "unmet dependencies",
            "--fix-broken",
            "rpmdb open failed",
            "Rpmdb changed underneath us",
            "database is not a valid",
            "failed to initialize alpm library",
        ],
        code: "PACKAGES_BROKEN",
        passes: false,
        wanted: "a package database without half installed packages",
        fix: Fix {
            apt: "run `dpkg --configure -a` and `apt-get --fix-broken install`, then deploy again",
            dnf: "run `rpm --rebuilddb` and `dnf check`, mend what it names, then deploy again",
            pacman: "run `pacman -Dk` and `pacman -Syu`, mend what they name, then deploy again",
        },
    },
    Failure {
        signs: &[
            "No space left on device",
            "don't have enough free space",
            "not enough free disk space",
            "more space needed on the",
        ],
        code: "DISK_FULL",
        passes: false,
        wanted: "room for the packages",
        fix: Fix {
            apt: "free at least 4 GiB (`apt-get clean`, `journalctl --vacuum-size=100M`), then deploy again",
            dnf: "free at least 4 GiB (`dnf clean packages`, `journalctl --vacuum-size=100M`), then deploy again",
            pacman: "free at least 4 GiB (`pacman -Sc`, `journalctl --vacuum-size=100M`), then deploy again",
        },
    },
    Failure {
        signs: &[
            "trying to overwrite",
            "conflicting requests",
            "conflicts with",
            "conflicts between attempted installs",
            "are in conflict",
            "exists in filesystem",
        ],
        code: "PACKAGES_CONFLICT",
        passes: false,
        wanted: "packages that can be installed beside what is there",
        fix: Fix {
            apt: "remove what the lines below name as being in the way (`apt-get remove`), then deploy again",
            dnf: "remove what the lines below name as being in the way (`dnf remove`; often podman-docker or runc), then deploy again",
            pacman: "remove what the lines below name as being in the way (`pacman -R`), then deploy again",
        },
    },
    UNSIGNED,
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
            "Failed to download metadata for repo",
            "Cannot download repomd.xml",
            "All mirrors were tried",
            "failed to synchronize all databases",
            "failed to retrieve some files",
        ],
        code: "PACKAGES_UNREACHABLE",
        passes: true,
        wanted: "an answer from the distribution's package servers",
        fix: Fix {
            apt: "see that `apt-get update` works on the host (name resolution, firewall, proxy), then deploy again",
            dnf: "see that `dnf makecache` works on the host (name resolution, firewall, proxy), then deploy again",
            pacman: "see that `pacman -Syu` works on the host (name resolution, firewall, proxy), then deploy again",
        },
    },
    Failure {
        signs: &[
            "Unable to locate package",
            "has no installation candidate",
            "Unable to find a match",
            "No match for argument",
            "target not found",
        ],
        code: "PACKAGE_UNKNOWN",
        passes: false,
        wanted: "package sources with the distribution's main archive (on Ubuntu: also universe)",
        fix: Fix {
            apt: "restore the distribution's own package sources, run `apt-get update`, then deploy again",
            dnf: "restore the distribution's own package sources, run `dnf makecache`, then deploy again (another `--proxy` may be had where caddy is not)",
            pacman: "restore the distribution's own package sources, run `pacman -Syu`, then deploy again",
        },
    },
];

const UNSIGNED: Failure = Failure {
    signs: &[
        "NO_PUBKEY",
        "is not signed",
        "GPG check FAILED",
        "PGP check FAILED",
        "is not correct for this package",
        "is unknown trust",
        "invalid or corrupted package (PGP signature)",
    ],
    code: "PACKAGES_UNSIGNED",
    passes: false,
    wanted: "packages that are signed by a key that the host trusts",
    fix: Fix {
        apt: "do not install by force; see which source the lines below name, mend its key, then deploy again",
        dnf: "do not install by force; see which repository the lines below name, mend its `gpgkey`, then deploy again",
        pacman: "do not install by force; run `pacman -Sy archlinux-keyring`, then deploy again",
    },
};

fn says(output: &Output, failure: &Failure) -> bool {
    let says = |sign: &&str| output.stdout.contains(sign) || output.stderr.contains(sign);
    failure.signs.iter().any(says)
}

/// Whether the lists of packages were refused for want of a signature, without which packages are merely unknown.
pub(super) fn is_unsigned(output: &Output) -> bool {
    says(output, &UNSIGNED)
}

/// What a package manager's failure means.
pub fn failure(distro: &Distro, output: &Output, names: &[&str]) -> StepError {
    let known = FAILURES.iter().find(|row| says(output, row));
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
        |row| Advice::new(row.code, saw.clone(), row.wanted, row.fix.of(distro.manager)),
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
    use crate::runbook::distro::DISTROS;

    fn failed(text: &str) -> StepError {
        let output = Output {
            code: 100,
            stdout: text.into(),
            stderr: String::new(),
        };
        failure(&DISTROS[0], &output, &["docker.io"])
    }

    #[test]
    fn f39_a_held_lock_passes_by_itself() {
        // As apt 3.0.4 of Debian 13 said it.
        let held = failed("E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (perl)");
        assert!(
            matches!(&held, StepError::Passing(advice) if advice.code == "APT_LOCKED"),
            "{held:?}"
        );
    }

    #[test]
    fn a_network_that_is_away_passes_and_an_unknown_package_does_not() {
        // As apt 3.0.4 of Debian 13 said both; the last word is assumed to be no package manager's.
        let away = failed(
            "W: Failed to fetch http://deb.debian.org/debian/dists/trixie/InRelease  Temporary failure resolving 'deb.debian.org'",
        );
        assert!(matches!(&away, StepError::Passing(advice) if advice.code == "PACKAGES_UNREACHABLE"));
        let unknown = failed("E: Unable to locate package docker.io");
        assert!(matches!(&unknown, StepError::Final(advice) if advice.code == "PACKAGE_UNKNOWN"));
        assert!(matches!(&failed("boom"), StepError::Final(advice) if advice.evidence == ["boom"]));
    }

    #[test]
    fn two_packages_with_one_file_are_told_as_a_conflict() {
        // As dpkg of Debian 13 said it of two packages made for it, with the names of Ubuntu 26.04's docker-compose-v2 and
        // Docker's own plugin, which own the same file.
        let both = failed(
            "dpkg: error processing archive docker-compose-v2.deb (--install):\n trying to overwrite \
             '/usr/libexec/docker/cli-plugins/docker-compose', which is also in package docker-compose-plugin (1)",
        );
        assert!(matches!(&both, StepError::Final(advice) if advice.code == "PACKAGES_CONFLICT"));
    }

    #[test]
    fn the_fix_is_in_the_words_of_the_package_manager() {
        // Assumed: pacman's words, which the others do not have.
        let output = Output {
            code: 1,
            stdout: "error: target not found: caddy".into(),
            stderr: String::new(),
        };
        for (name, word) in [
            ("Debian 12", "apt-get"),
            ("Fedora", "dnf"),
            ("Arch Linux", "pacman"),
        ] {
            let row = DISTROS.iter().find(|row| row.name == name).unwrap();
            let told = failure(row, &output, &["caddy"]);
            assert!(
                matches!(&told, StepError::Final(advice) if advice.fix.contains(word)),
                "{told:?}"
            );
        }
    }
}
