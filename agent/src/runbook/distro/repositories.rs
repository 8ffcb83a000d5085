//! The repositories of third parties, for what a distribution lacks or has too old.
//!
//! The fingerprints were compared with the keys themselves, as public repositories hold copies of them (the test beside
//! [`crate::runbook::repositories::openpgp`] computes them anew); the addresses themselves were not asked.

/// A repository of a third party, and the key that it counts by.
#[derive(Debug, PartialEq, Eq)]
pub struct Repository {
    /// What the policy and the configuration call it.
    pub name: &'static str,
    /// What people call whose it is.
    pub owner: &'static str,
    /// Where its packages are.
    pub url: &'static str,
    /// How its packages are asked for there.
    pub shape: Shape,
    /// Where its key is fetched from.
    pub key: &'static str,
    /// That key's fingerprint, whole.
    pub fingerprint: &'static str,
    /// What is installed from it.
    pub packages: &'static [&'static str],
    /// What a source that somebody else has set up for it says.
    pub known_by: &'static [&'static str],
}

/// How a repository's packages are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// By apt.
    Apt {
        /// `bookworm`
        suite: &'static str,
        /// `stable`
        component: &'static str,
    },
    /// By dnf.
    Rpm,
}

/// What Docker's own repository has, under the same names everywhere.
pub(super) const DOCKER_ENGINE: &[&str] = &["docker-ce", "docker-ce-cli", "containerd.io"];
/// Compose v2, and what it builds images with.
pub(super) const DOCKER_COMPOSE: &[&str] = &["docker-compose-plugin", "docker-buildx-plugin"];

const DOCKER: Repository = Repository {
    name: "docker",
    owner: "Docker",
    url: "",
    shape: Shape::Rpm,
    key: "",
    fingerprint: "060A61C51B558A7F742B77AAC52FEB6B621E9F35",
    packages: &[
        "docker-ce",
        "docker-ce-cli",
        "containerd.io",
        "docker-compose-plugin",
        "docker-buildx-plugin",
    ],
    known_by: &["download.docker.com/linux/"],
};

pub(super) const DOCKER_BOOKWORM: Repository = Repository {
    url: "https://download.docker.com/linux/debian",
    shape: Shape::Apt {
        suite: "bookworm",
        component: "stable",
    },
    key: "https://download.docker.com/linux/debian/gpg",
    fingerprint: "9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
    ..DOCKER
};

pub(super) const DOCKER_RHEL_9: Repository = Repository {
    url: "https://download.docker.com/linux/rhel/9/$basearch/stable",
    key: "https://download.docker.com/linux/rhel/gpg",
    ..DOCKER
};

pub(super) const DOCKER_RHEL_10: Repository = Repository {
    url: "https://download.docker.com/linux/rhel/10/$basearch/stable",
    ..DOCKER_RHEL_9
};

pub(super) const DOCKER_CENTOS_9: Repository = Repository {
    url: "https://download.docker.com/linux/centos/9/$basearch/stable",
    key: "https://download.docker.com/linux/centos/gpg",
    ..DOCKER
};

pub(super) const DOCKER_CENTOS_10: Repository = Repository {
    url: "https://download.docker.com/linux/centos/10/$basearch/stable",
    ..DOCKER_CENTOS_9
};

pub(super) const CADDY_DEB: Repository = Repository {
    name: "caddy",
    owner: "Caddy",
    url: "https://dl.cloudsmith.io/public/caddy/stable/deb/debian",
    shape: Shape::Apt {
        suite: "any-version",
        component: "main",
    },
    key: "https://dl.cloudsmith.io/public/caddy/stable/gpg.key",
    fingerprint: "65760C51EDEA2017CEA2CA15155B6D79CA56EA34",
    packages: &["caddy"],
    known_by: &["dl.cloudsmith.io/public/caddy/stable"],
};

/// Fedora's packages for the RHEL family, which has neither Caddy nor certbot of its own. That EPEL 10 has Caddy could
/// not be confirmed.
pub(super) const EPEL_9: Repository = Repository {
    name: "epel",
    owner: "EPEL",
    url: "https://dl.fedoraproject.org/pub/epel/9/Everything/$basearch/",
    shape: Shape::Rpm,
    key: "https://dl.fedoraproject.org/pub/epel/RPM-GPG-KEY-EPEL-9",
    fingerprint: "FF8AD1344597106ECE813B918A3872BF3228467C",
    packages: &["caddy", "certbot"],
    known_by: &["[epel]", "/pub/epel/9/Everything/"],
};

pub(super) const EPEL_10: Repository = Repository {
    url: "https://dl.fedoraproject.org/pub/epel/10/Everything/$basearch/",
    key: "https://dl.fedoraproject.org/pub/epel/RPM-GPG-KEY-EPEL-10",
    fingerprint: "7D8D15CBFC4E62688591FB2633D98517E37ED158",
    known_by: &["[epel]", "/pub/epel/10/Everything/"],
    ..EPEL_9
};
