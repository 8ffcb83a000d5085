//! The package managers: what they are told, one block each. The rows take these over whole.

use super::{Distro, Manager};

const DPKG_QUERY: &[&str] = &["dpkg-query", "-W", "-f", "${Package}\\t${db:Status-Status}\\n"];
const DPKG_AUDIT: &[&str] = &["dpkg", "--audit"];
const DPKG_REPAIR: &[&str] = &["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"];
const APT_UPDATE: &[&str] = &["apt-get", "-y", "-o", "DPkg::Lock::Timeout=600", "update"];
const APT_INSTALL: &[&str] = &[
    "apt-get",
    "-y",
    "-o",
    "DPkg::Lock::Timeout=600",
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
    "install",
];

/// What every row with apt and dpkg begins as.
pub(super) const APT: Distro = Distro {
    name: "",
    id: "",
    versions: &[],
    manager: Manager::Apt,
    engine: &[],
    compose: &[],
    tools: &["openssl", "git", "curl", "ca-certificates"],
    caddy: &["caddy"],
    nginx: &["nginx"],
    certbot: &["certbot"],
    certbot_timer: "certbot.timer",
    engine_unit: "docker.service",
    repositories: &[],
    query: DPKG_QUERY,
    audit: DPKG_AUDIT,
    repair: DPKG_REPAIR,
    refresh: APT_UPDATE,
    install: APT_INSTALL,
    refused: None,
};

/// What every row with dnf and rpm begins as. `curl` is not asked for: the small systems have `curl-minimal`, which
/// the package `curl` cannot be installed beside, and rpm itself needs either.
pub(super) const DNF: Distro = Distro {
    manager: Manager::Dnf,
    tools: &["openssl", "git", "ca-certificates"],
    certbot_timer: "certbot-renew.timer",
    query: &["rpm", "-q", "--queryformat", "%{NAME}\\tinstalled\\n"],
    // A run that was cut off leaves two versions of what it was replacing.
    audit: &["rpm", "-qa", "--queryformat", "%{NAME}\\t%{ARCH}\\n"],
    repair: &["dnf", "-y", "remove", "--duplicates"],
    refresh: &["dnf", "-y", "--refresh", "makecache"],
    install: &["dnf", "-y", "install"],
    ..APT
};

/// Where pacman says that it is at work. It keeps the file open for as long as it is.
pub const PACMAN_LOCK: &str = "/var/lib/pacman/db.lck";

/// What every row with pacman begins as. New lists bring the whole system up to date: Arch supports nothing between.
pub(super) const PACMAN: Distro = Distro {
    manager: Manager::Pacman,
    certbot_timer: "certbot-renew.timer",
    query: &["pacman", "-Q"],
    // A run that was cut off leaves its lock, which nobody holds any more and every later run stops at.
    audit: &["fuser", PACMAN_LOCK],
    repair: &["rm", "-f", "--", PACMAN_LOCK],
    refresh: &["pacman", "-Syu", "--noconfirm", "--noprogressbar"],
    install: &["pacman", "-S", "--noconfirm", "--noprogressbar", "--needed"],
    ..APT
};
