//! The Docker Engine and compose.

use super::{ENDED, Facts, Find, Row, Seen, TOLD};
use crate::host::Engine;
use crate::runbook::engine_version::{COMPOSE, is_compose_v1};

pub(super) const ROWS: &[Row] = &[
    Row {
        code: "PODMAN_DOCKER",
        cause: "Podman under Docker's name, on which chatalot's updater and TURN server do not run",
        shown_by: "the package `podman-docker`",
        fix: "remove `podman-docker` (Podman itself may stay), then deploy again",
        ..TOLD
    },
    Row {
        code: "KERNEL_REPLACED",
        cause: "a kernel whose modules, which the Engine needs, have been exchanged for a newer one's",
        fix: "reboot the host, then deploy again: it goes on from there",
        ..ENDED
    },
    Row {
        code: "ENGINE_ABSENT",
        cause: "no Docker Engine where chatalot was installed",
        shown_by: "neither its program nor its socket",
        fix: "deploy again, which installs it; volumes below /var/lib/docker are found again",
        ours: true,
        find: Find::Seen(absent),
        ..TOLD
    },
    Row {
        code: "ENGINE_DOWN",
        cause: "a Docker Engine that does not run",
        shown_by: "nobody answers on its socket; the installer says `Docker daemon is not running`",
        fix: "run `systemctl enable --now docker`, and look at `journalctl -u docker -n 50` if it does not stay up; a new deployment starts it too",
        ours: true,
        find: Find::Seen(down),
        ..TOLD
    },
    Row {
        code: "ENGINE_TOO_OLD",
        cause: "a Docker Engine older than 24",
        fix: "upgrade the Engine from where it was installed from",
        ..TOLD
    },
    Row {
        code: "COMPOSE_MISSING",
        cause: "no compose, or compose 1, beside the Engine",
        shown_by: "`docker compose version`",
        fix: "deploy again where the Engine is the one that a deployment installs, for it brings compose too; else install compose 2 from where the Engine came from (the distribution's own package, or `docker-compose-plugin` from Docker's own repository)",
        find: Find::Seen(compose),
        ..TOLD
    },
];

fn absent(facts: &Facts) -> Option<Seen> {
    (facts.installed && facts.engine == Engine::Absent).then(|| Seen::of("no Docker Engine"))
}

fn down(facts: &Facts) -> Option<Seen> {
    match &facts.engine {
        Engine::Down { why } => Some(Seen::of(format!("the Docker Engine does not answer: {why}"))),
        Engine::Absent | Engine::Up { .. } => None,
    }
}

fn compose(facts: &Facts) -> Option<Seen> {
    if !facts.installed || !matches!(facts.engine, Engine::Up { .. }) {
        return None;
    }
    let saw = match &facts.compose {
        None => "no compose v2".to_owned(),
        Some(version) if is_compose_v1(version) => format!("compose {version}"),
        Some(_) => return None,
    };
    let (manager, own) = (facts.distro.manager, facts.distro.compose.join(" "));
    let install = manager.install();
    // An Engine from elsewhere is left alone, and what is installed is not installed again.
    let ours = facts
        .distro
        .compose
        .iter()
        .any(|name| facts.to_install.contains(name));
    let again = if ours {
        "deploy again, which installs it; or "
    } else {
        ""
    };
    let dockers = if own == COMPOSE {
        String::new()
    } else {
        manager.from_docker(COMPOSE)
    };
    Some(Seen {
        saw,
        fix: Some(format!(
            "{again}install compose 2 from where the Engine came from: `{install} {own}`{dockers}"
        )),
        ours: Some(ours),
        ..Seen::default()
    })
}
