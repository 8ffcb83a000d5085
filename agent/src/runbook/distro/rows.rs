//! The rows.

use super::managers::{APT, DNF, PACMAN};
use super::repositories::{self, DOCKER_COMPOSE, DOCKER_ENGINE};
use super::{Distro, Refused};

/// A row of the Debian family.
const DEBIAN: Distro = Distro {
    id: "debian",
    engine: &["docker.io", "docker-cli"],
    compose: &["docker-compose"],
    ..APT
};

/// A row of the Ubuntu family.
const UBUNTU: Distro = Distro {
    id: "ubuntu",
    engine: &["docker.io"],
    compose: &["docker-compose-v2"],
    ..APT
};

/// A row of the RHEL family, which has Podman instead of Docker.
const EL: Distro = Distro {
    engine: DOCKER_ENGINE,
    compose: DOCKER_COMPOSE,
    ..DNF
};

/// Every distribution that is known.
pub const DISTROS: &[Distro] = &[
    Distro {
        name: "Debian 13",
        versions: &["13"],
        ..DEBIAN
    },
    Distro {
        name: "Ubuntu 24.04",
        versions: &["24.04"],
        ..UBUNTU
    },
    // Its own engine is 20.10, and its own compose version 1.
    Distro {
        name: "Debian 12",
        versions: &["12"],
        engine: DOCKER_ENGINE,
        compose: DOCKER_COMPOSE,
        repositories: &[&repositories::DOCKER_BOOKWORM],
        ..DEBIAN
    },
    // It has no caddy.
    Distro {
        name: "Ubuntu 22.04",
        versions: &["22.04"],
        repositories: &[&repositories::CADDY_DEB],
        ..UBUNTU
    },
    Distro {
        name: "Ubuntu 26.04",
        versions: &["26.04"],
        ..UBUNTU
    },
    Distro {
        name: "Fedora",
        id: "fedora",
        versions: &["43", "44", "45"],
        engine: &["moby-engine", "docker-cli"],
        compose: &["docker-compose"],
        ..DNF
    },
    Distro {
        name: "RHEL 9",
        id: "rhel",
        versions: &["9"],
        repositories: &[&repositories::DOCKER_RHEL_9, &repositories::EPEL_9],
        ..EL
    },
    Distro {
        name: "RHEL 10",
        id: "rhel",
        versions: &["10"],
        repositories: &[&repositories::DOCKER_RHEL_10, &repositories::EPEL_10],
        ..EL
    },
    Distro {
        name: "AlmaLinux 9",
        id: "almalinux",
        versions: &["9"],
        repositories: &[&repositories::DOCKER_CENTOS_9, &repositories::EPEL_9],
        ..EL
    },
    Distro {
        name: "AlmaLinux 10",
        id: "almalinux",
        versions: &["10"],
        repositories: &[&repositories::DOCKER_CENTOS_10, &repositories::EPEL_10],
        ..EL
    },
    Distro {
        name: "Rocky Linux 9",
        id: "rocky",
        versions: &["9"],
        repositories: &[&repositories::DOCKER_CENTOS_9, &repositories::EPEL_9],
        ..EL
    },
    Distro {
        name: "Rocky Linux 10",
        id: "rocky",
        versions: &["10"],
        repositories: &[&repositories::DOCKER_CENTOS_10, &repositories::EPEL_10],
        ..EL
    },
    // Rolling: its only version is the newest.
    Distro {
        name: "Arch Linux",
        id: "arch",
        versions: &[],
        engine: &["docker"],
        compose: &["docker-compose", "docker-buildx"],
        ..PACMAN
    },
    Distro {
        name: "Debian 11",
        versions: &["11"],
        refused: Some(Refused {
            lacks: "its Docker Engine is 20.10, chatalot needs 24 or newer, and its support has ended",
            fix: "upgrade the host to Debian 12 or 13, or deploy on a fresh one",
        }),
        ..DEBIAN
    },
    Distro {
        name: "Ubuntu 20.04",
        versions: &["20.04"],
        refused: Some(Refused {
            lacks: "it has neither compose 2 nor caddy, and its support has ended",
            fix: "upgrade the host to Ubuntu 22.04 or newer, or deploy on a fresh one",
        }),
        ..UBUNTU
    },
];
