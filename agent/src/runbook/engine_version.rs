//! Which Docker Engine and compose are new enough.

use super::distro::Manager;
use chatalot_protocol::advice::Advice;

/// The oldest Engine that chatalot is documented for.
const ENGINE_LEAST: u32 = 24;
/// Compose as Docker's own repository has it.
pub const COMPOSE: &str = "docker-compose-plugin";

/// The number before the first dot; a leading `v` is passed over.
pub fn major(version: &str) -> Option<u32> {
    let digits = version.trim_start_matches('v');
    digits.split(['.', '-', '+']).next()?.parse().ok()
}

/// Whether an Engine is too old. One whose version cannot be read is taken as new: distributions of it differ.
pub fn is_too_old(version: &str) -> bool {
    major(version).is_some_and(|major| major < ENGINE_LEAST)
}

/// Whether what answers to `compose` is version 1.
pub fn is_compose_v1(version: &str) -> bool {
    major(version).is_some_and(|major| major < 2)
}

/// The Engine is there and does not answer.
pub fn engine_down(saw: impl Into<String>) -> Advice {
    Advice::new(
        "ENGINE_DOWN",
        saw,
        "a running Docker Engine",
        "run `systemctl start docker`, and look at `journalctl -u docker` if it does not stay up; a new deployment starts it too",
    )
}

/// The Engine has to be replaced by its owner.
pub fn engine_too_old(version: &str, manager: Manager) -> Advice {
    Advice::new(
        "ENGINE_TOO_OLD",
        format!("Docker Engine {version}"),
        format!("{ENGINE_LEAST} or newer"),
        format!(
            "upgrade it from where it was installed from{}, or remove its packages (images, containers and volumes stay in /var/lib/docker) to have a newer one installed, then deploy again",
            manager.from_docker("docker-ce")
        ),
    )
}

/// The Engine has no compose v2 beside it.
pub fn compose_missing(version: &str, manager: Manager) -> Advice {
    Advice::new(
        "COMPOSE_MISSING",
        format!("Docker Engine {version} without compose v2"),
        "compose 2 or newer",
        format!(
            "install it from where the Engine came from{}, then deploy again",
            manager.from_docker(COMPOSE)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f52_versions_are_judged_by_their_first_number() {
        assert!(is_too_old("20.10.24+dfsg1") && !is_too_old("26.1.5+dfsg1") && !is_too_old("v29.0.0"));
        assert!(is_compose_v1("1.29.2") && !is_compose_v1("v2.26.1") && !is_compose_v1("5.0.0"));
        assert!(!is_too_old("library-import"));
    }
}
