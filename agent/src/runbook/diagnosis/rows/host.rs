//! The host itself: its disk, memory, clock and packages.

use super::{ENDED, Facts, Find, Row, Seen, TOLD};

pub(super) const ROWS: &[Row] = &[
    Row {
        code: "DISTRO_UNSUPPORTED",
        cause: "a system that chatalot cannot be deployed on",
        ..TOLD
    },
    Row {
        code: "NOT_ROOT",
        cause: "an agent that is not root",
        ..TOLD
    },
    Row {
        code: "DISK_READ_ONLY",
        cause: "a disk that was remounted read-only",
        ..TOLD
    },
    Row {
        code: "DISK_FULL",
        cause: "a full disk",
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
        ..TOLD
    },
    Row {
        code: "MEMORY_SHORT",
        cause: "too little memory",
        ..TOLD
    },
    Row {
        code: "CLOCK_WRONG",
        cause: "a clock that is off",
        ..TOLD
    },
    Row {
        code: "FOLDER_NOT_ROOTS",
        cause: "a folder of chatalot's that others than root may write",
        ..TOLD
    },
    Row {
        code: "PACKAGES_BROKEN",
        cause: "packages that are only half configured",
        shown_by: "the package manager's own audit",
        fix: "run `dpkg --configure -a` and `apt-get --fix-broken install`; a new deployment does the first itself",
        ours: true,
        find: Find::Seen(half_installed),
        ..TOLD
    },
    Row {
        code: "PACKAGES_BROKEN",
        cause: "packages that are only half configured",
        ..ENDED
    },
    Row {
        code: "TOOLS_MISSING",
        cause: "a tool that is installed and cannot be found",
        ..ENDED
    },
    Row {
        code: "APT_LOCKED",
        cause: "another package manager at work",
        ours: true,
        ..ENDED
    },
    Row {
        code: "PACKAGES_UNREACHABLE",
        cause: "package servers that do not answer",
        ..ENDED
    },
    Row {
        code: "PACKAGE_UNKNOWN",
        cause: "package sources without the distribution's main archive",
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
        lines: facts.half_installed.clone(),
        ..Seen::default()
    })
}
