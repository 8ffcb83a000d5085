//! Every distribution, one row each.
//!
//! | module | what |
//! |---|---|
//! | `rows` | the rows |
//! | `managers` | apt, dnf and pacman, which rows are made of |
//! | `repositories` | third parties, for what a distribution lacks |

mod managers;
mod repositories;
mod rows;

pub use managers::PACMAN_LOCK;
pub use repositories::{Repository, Shape};
pub use rows::DISTROS;

use crate::host::{Command, System};
use chatalot_protocol::advice::Advice;
use std::time::Duration;

/// A distribution: how its packages are named, asked for and installed.
#[derive(Debug, PartialEq, Eq)]
pub struct Distro {
    /// What people call it: `Debian 13`.
    pub name: &'static str,
    /// `ID` of os-release.
    pub id: &'static str,
    /// The `VERSION_ID`s that this row holds for, and what comes behind their dot; all of them for a rolling one.
    pub versions: &'static [&'static str],
    /// What packages are asked of.
    pub manager: Manager,
    /// The Docker Engine and its client, the engine first.
    pub engine: &'static [&'static str],
    /// Compose v2.
    pub compose: &'static [&'static str],
    /// openssl, git, curl and their like.
    pub tools: &'static [&'static str],
    /// The reverse proxy.
    pub caddy: &'static [&'static str],
    /// nginx, for those who chose it.
    pub nginx: &'static [&'static str],
    /// certbot, which gets nginx its certificates.
    pub certbot: &'static [&'static str],
    /// What makes certbot renew them.
    pub certbot_timer: &'static str,
    /// The engine's unit.
    pub engine_unit: &'static str,
    /// Third parties that have what the distribution lacks.
    pub repositories: &'static [&'static Repository],
    /// Tells which of the names that follow are installed, a line each.
    pub query: &'static [&'static str],
    /// Tells what an earlier run has left half done.
    pub audit: &'static [&'static str],
    /// Finishes that, or takes it away.
    pub repair: &'static [&'static str],
    /// Fetches the lists of packages; where nothing else is supported, brings the whole system up to date.
    pub refresh: &'static [&'static str],
    /// Installs the names that follow.
    pub install: &'static [&'static str],
    /// Why chatalot cannot be deployed on it, where it cannot.
    pub refused: Option<Refused>,
}

/// What packages are asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// apt, over dpkg.
    Apt,
    /// dnf, over rpm.
    Dnf,
    /// pacman.
    Pacman,
}

impl Manager {
    /// What installs a package, as a person would type it.
    pub const fn install(self) -> &'static str {
        match self {
            Self::Apt => "apt-get install",
            Self::Dnf => "dnf install",
            Self::Pacman => "pacman -S",
        }
    }

    /// How a package comes from Docker's own repository, in brackets; there is none for Arch.
    pub fn from_docker(self, package: &str) -> String {
        match self {
            Self::Apt | Self::Dnf => format!(" (Docker's own repository: `{} {package}`)", self.install()),
            Self::Pacman => String::new(),
        }
    }

    /// What frees the room that fetched packages take.
    pub const fn clean(self) -> &'static str {
        match self {
            Self::Apt => "apt-get clean",
            Self::Dnf => "dnf clean packages",
            Self::Pacman => "pacman -Sc",
        }
    }

    /// How the root of an authority of one's own becomes trusted.
    pub const fn trust(self) -> &'static str {
        match self {
            Self::Apt => "copy it to /usr/local/share/ca-certificates and run `update-ca-certificates`",
            Self::Dnf => "copy it to /etc/pki/ca-trust/source/anchors and run `update-ca-trust`",
            Self::Pacman => "copy it to /etc/ca-certificates/trust-source/anchors and run `update-ca-trust`",
        }
    }

    /// What to do about packages that are only half installed.
    pub const fn mend(self) -> &'static str {
        match self {
            Self::Apt => "run `dpkg --configure -a` and `apt-get --fix-broken install`",
            Self::Dnf => {
                "run `dnf remove --duplicates` (a dnf 5 from before the summer of 2026 lacks that: have it `dnf remove` the older of the two versions that `rpm -q NAME` shows), `rpm --rebuilddb` and `dnf check`, and mend what they name"
            }
            Self::Pacman => {
                "see that no pacman runs (`fuser /var/lib/pacman/db.lck`), remove that file, run `pacman -Dk` and `pacman -Syu`, and mend what they name"
            }
        }
    }

    /// What takes a package away again, as a person would type it.
    pub const fn remove(self) -> &'static str {
        match self {
            Self::Apt => "apt-get remove",
            Self::Dnf => "dnf remove",
            Self::Pacman => "pacman -R",
        }
    }
}

/// Why a known distribution is refused, and the way out.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// What it lacks.
    pub lacks: &'static str,
    /// What to do instead.
    pub fix: &'static str,
}

/// The processors that chatalot's images and this agent are made for.
const ARCHITECTURES: &[&str] = &["x86_64", "aarch64"];

const ELSEWHERE: &str = "deploy on a 64-bit host with systemd and one of these, for example Debian 13";

/// The row that a system belongs to, or why none does.
pub fn detect(system: &System) -> Result<&'static Distro, Box<Advice>> {
    let refuse = |saw: String, fix: &str| {
        Err(Box::new(Advice::new(
            "DISTRO_UNSUPPORTED",
            saw,
            format!(
                "one of {} with systemd, on {}",
                supported(),
                ARCHITECTURES.join(" or ")
            ),
            fix,
        )))
    };
    let pretty = called(system);
    if !ARCHITECTURES.contains(&system.architecture.as_str()) {
        let saw = format!("{pretty} on a processor of kind `{}`", system.architecture);
        return refuse(saw, ELSEWHERE);
    }
    if !system.systemd {
        let fix = "use a host, not a container or an image, whose first process is systemd";
        let fix = if system.id == "alpine" { ELSEWHERE } else { fix };
        return refuse(format!("{pretty} without systemd as its first process"), fix);
    }
    let row = DISTROS
        .iter()
        .find(|row| row.id == system.id && row.holds_for(&system.version));
    match row {
        Some(Distro {
            refused: Some(refused),
            ..
        }) => refuse(format!("{pretty}: {}", refused.lacks), refused.fix),
        Some(row) => Ok(row),
        None => refuse(format!("{pretty}, which this recipe has no row for"), ELSEWHERE),
    }
}

fn called(system: &System) -> String {
    if system.pretty.is_empty() {
        format!("a system that calls itself `{}`", system.id)
    } else {
        system.pretty.clone()
    }
}

fn supported() -> String {
    let names: Vec<&str> = DISTROS
        .iter()
        .filter(|row| row.refused.is_none())
        .map(|row| row.name)
        .collect();
    names.join(", ")
}

impl Distro {
    /// Whether the row holds for a `VERSION_ID`: `9` does for 9 and for 9.4.
    fn holds_for(&self, version: &str) -> bool {
        let same = |known: &str| {
            version
                .strip_prefix(known)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.versions.is_empty() || self.versions.iter().any(|known| same(known))
    }

    /// Every package that the engine and the tools come in.
    pub fn packages(&self) -> impl Iterator<Item = &'static str> {
        self.engine.iter().chain(self.compose).chain(self.tools).copied()
    }

    /// A command of this row, made so that it asks nothing and restarts nobody.
    pub fn command(&self, row: &[&str], names: &[&str]) -> Command {
        let (program, args) = row.split_first().unwrap_or((&"false", &[]));
        let mut command = Command::new(program, args)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("NEEDRESTART_SUSPEND", "1")
            .env("LC_ALL", "C.UTF-8")
            .deadline(Duration::from_mins(30));
        command.args.extend(names.iter().map(|name| (*name).to_owned()));
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(id: &str, version: &str) -> System {
        System {
            id: id.into(),
            version: version.into(),
            pretty: format!("{id} {version}"),
            architecture: "x86_64".into(),
            systemd: true,
            root: true,
            ..System::default()
        }
    }

    #[test]
    fn supported_systems_are_recognised_by_id_and_version() {
        for (id, version, name) in [
            ("debian", "12", "Debian 12"),
            ("debian", "13", "Debian 13"),
            ("ubuntu", "22.04", "Ubuntu 22.04"),
            ("ubuntu", "24.04", "Ubuntu 24.04"),
            ("ubuntu", "26.04", "Ubuntu 26.04"),
            ("fedora", "44", "Fedora"),
            ("rhel", "9.6", "RHEL 9"),
            ("rhel", "10.0", "RHEL 10"),
            ("almalinux", "9.4", "AlmaLinux 9"),
            ("rocky", "10.1", "Rocky Linux 10"),
            ("arch", "", "Arch Linux"),
            ("arch", "20261101.0.1", "Arch Linux"),
        ] {
            assert_eq!(detect(&system(id, version)).unwrap().name, name, "{id} {version}");
        }
    }

    #[test]
    fn a_version_that_only_begins_alike_is_another_one() {
        for (id, version) in [
            ("debian", "130"),
            ("ubuntu", "24.10"),
            ("rhel", "8.10"),
            ("fedora", "4"),
        ] {
            assert!(detect(&system(id, version)).is_err(), "{id} {version}");
        }
    }

    #[test]
    fn known_but_unfit_systems_are_refused_with_what_they_lack() {
        let advice = detect(&system("debian", "11")).unwrap_err();
        assert_eq!(advice.code, "DISTRO_UNSUPPORTED");
        assert!(
            advice.saw.contains("20.10") && advice.fix.contains("Debian 12"),
            "{advice}"
        );
        let saw = detect(&system("ubuntu", "20.04")).unwrap_err().saw;
        assert!(saw.contains("compose 2"), "{saw}");
    }

    #[test]
    fn the_same_holds_for_both_processors() {
        for row in DISTROS.iter().filter(|row| row.refused.is_none()) {
            let mut arm = system(row.id, row.versions.first().unwrap_or(&""));
            arm.architecture = "aarch64".into();
            assert_eq!(detect(&arm).unwrap(), row);
            let urls = row.repositories.iter().map(|one| one.url);
            assert!(
                urls.clone()
                    .all(|url| !url.contains("x86_64") && !url.contains("amd64"))
            );
        }
    }

    #[test]
    fn a_repository_has_what_is_installed_from_it_and_a_whole_fingerprint() {
        for row in DISTROS {
            let all = [row.engine, row.compose, row.caddy, row.certbot, row.nginx].concat();
            for one in row.repositories {
                assert!(one.packages.iter().all(|name| all.contains(name)), "{}", row.name);
                assert_eq!(one.fingerprint.len(), 40);
                assert!(one.url.starts_with("https://") && one.key.starts_with("https://"));
                let apt = matches!(one.shape, Shape::Apt { .. });
                assert_eq!(apt, row.manager == Manager::Apt, "{}", row.name);
            }
        }
    }

    #[test]
    fn other_systems_are_refused_with_what_is_missing() {
        let mut alpine = system("alpine", "3.22");
        alpine.systemd = false;
        assert!(detect(&alpine).unwrap_err().saw.contains("without systemd"));
        let mut small = system("debian", "13");
        small.architecture = "armv7l".into();
        assert!(detect(&small).unwrap_err().saw.contains("armv7l"));
        assert!(
            detect(&system("nixos", "25.11"))
                .unwrap_err()
                .wanted
                .contains("Debian 13")
        );
    }
}
