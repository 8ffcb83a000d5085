//! The host itself: its disk, memory, clock and packages.

use super::{ENDED, Facts, Find, Row, Seen, TOLD};

pub(super) const ROWS: &[Row] = &[
    Row {
        code: "DISTRO_UNSUPPORTED",
        cause: "a system that chatalot cannot be deployed on",
        fix: "deploy on a 64-bit host with a supported system",
        ..TOLD
    },
    Row {
        code: "NOT_ROOT",
        cause: "an agent that is not root",
        fix: "run the agent as root",
        ..TOLD
    },
    Row {
        code: "DISK_READ_ONLY",
        cause: "a disk that was remounted read-only",
        fix: "look at `dmesg` for why, repair the disk, then deploy again",
        ..TOLD
    },
    Row {
        code: "DISK_FULL",
        cause: "a full disk",
        fix: "free some space (the package manager's own cleaning, `docker image prune`, `journalctl --vacuum-size=100M`) or enlarge the disk",
        ..TOLD
    },
    Row {
        code: "DISK_FULL",
        cause: "a full disk under a container",
        shown_by: "`No space left on device` in a container's log",
        fix: "free some space (`docker image prune`, `journalctl --vacuum-size=100M`), then `docker restart chatalot-db chatalot-server`",
        find: Find::Seen(no_space),
        ..TOLD
    },
    Row {
        code: "INODES_SHORT",
        cause: "a disk that can hold no more files",
        fix: "remove folders with many small files (`du --inodes -x / | sort -n | tail`)",
        ..TOLD
    },
    Row {
        code: "MEMORY_SHORT",
        cause: "too little memory",
        fix: "give the host at least 1 GB of memory",
        ..TOLD
    },
    Row {
        code: "CLOCK_WRONG",
        cause: "a clock that is off",
        fix: "run `timedatectl set-ntp true` and see that it is synchronised",
        ..TOLD
    },
    Row {
        code: "FOLDER_NOT_ROOTS",
        cause: "a folder of chatalot's that others than root may write",
        fix: "look through the folder, then give it back to root",
        ..TOLD
    },
    // What was unpacked before the conflict is half configured by it.
    Row {
        code: "PACKAGES_CONFLICT",
        cause: "packages that cannot be installed beside what is there",
        fix: "remove what is named as being in the way, then deploy again",
        ..ENDED
    },
    Row {
        code: "PACKAGES_BROKEN",
        cause: "packages that are only half configured",
        shown_by: "the package manager's own audit",
        fix: "have the package manager finish or undo it (`dpkg --configure -a`, `dnf remove --duplicates`, …); a new deployment does that itself",
        ours: true,
        find: Find::Seen(half_installed),
        ..TOLD
    },
    Row {
        code: "PACKAGES_BROKEN",
        cause: "packages that are only half configured",
        fix: "have the package manager mend it (`apt-get --fix-broken install`, `rpm --rebuilddb`, `pacman -Dk`)",
        ..ENDED
    },
    Row {
        code: "TOOLS_MISSING",
        cause: "a tool that every system of its kind has and that cannot be found",
        fix: "restore it from the distribution",
        ..TOLD
    },
    Row {
        code: "APT_LOCKED",
        cause: "another package manager at work",
        ours: true,
        fix: "wait until the other one has finished, then deploy again",
        ..ENDED
    },
    Row {
        code: "PACKAGES_LOCKED",
        cause: "another package manager at work (dnf, pacman)",
        ours: true,
        fix: "wait until the other one has finished, then deploy again",
        ..ENDED
    },
    Row {
        code: "PACKAGES_UNREACHABLE",
        cause: "package servers that do not answer",
        fix: "see that the package manager can fetch its lists (`apt-get update`, `dnf makecache`, `pacman -Syu`)",
        ..ENDED
    },
    Row {
        code: "PACKAGES_UNSIGNED",
        cause: "packages, or lists of them, whose signature the host does not trust",
        fix: "do not install by force; mend the key of the source that is named",
        ..ENDED
    },
    Row {
        code: "PACKAGE_UNKNOWN",
        cause: "package sources without the distribution's main archive",
        fix: "restore the distribution's own package sources",
        ..ENDED
    },
    Row {
        code: "MIRROR_UNUSABLE",
        cause: "a mirror of a package repository that is not named as it must be, or not by root alone",
        fix: "as root on the host mend `/etc/chatalot-agent/config.toml`, then deploy again",
        ..ENDED
    },
    Row {
        code: "REPOSITORY_KEY_UNREACHABLE",
        cause: "a third party's package repository whose key cannot be fetched",
        fix: "see that the host reaches the address that the finding names (name resolution, firewall, proxy), then deploy again",
        ..ENDED
    },
    Row {
        code: "REPOSITORY_KEY_WRONG",
        cause: "a third party's package repository with another key than the pinned one",
        fix: "do not install from it; compare with what its owner publishes, and upgrade the agent if the key has been exchanged",
        ..ENDED
    },
];

fn no_space(facts: &Facts) -> Option<Seen> {
    let said = facts.logs.iter().find_map(|(service, lines)| {
        let line = lines
            .iter()
            .rev()
            .find(|line| line.to_lowercase().contains("no space left on device"))?;
        Some((service, line))
    });
    let (service, line) = said?;
    // Once it has room and runs, an old line is an old story.
    let runs = facts.container(service).is_some_and(|one| one.state == "running");
    (!runs).then(|| Seen {
        saw: format!("{service} ended for want of room"),
        lines: vec![line.clone()],
        ..Seen::default()
    })
}

fn half_installed(facts: &Facts) -> Option<Seen> {
    let first = facts.half_installed.first()?;
    Some(Seen {
        saw: format!("half configured: {}", first.trim()),
        fix: Some(format!(
            "{}; a new deployment does the first of it itself",
            facts.distro.manager.mend()
        )),
        lines: facts.half_installed.clone(),
        ..Seen::default()
    })
}
