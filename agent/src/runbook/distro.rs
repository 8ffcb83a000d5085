//! Every distribution, one row each.

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
    /// The `VERSION_ID`s that this row holds for.
    pub versions: &'static [&'static str],
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
    /// Tells which of the names that follow are installed: a name, a tab and its state a line.
    pub query: &'static [&'static str],
    /// Tells what is half installed; silent if nothing is.
    pub audit: &'static [&'static str],
    /// Finishes what is half installed.
    pub repair: &'static [&'static str],
    /// Fetches the lists of packages.
    pub refresh: &'static [&'static str],
    /// Installs the names that follow.
    pub install: &'static [&'static str],
    /// Why chatalot cannot be deployed on it, where it cannot.
    pub refused: Option<Refused>,
}

/// Why a known distribution is refused, and the way out.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// What it lacks.
    pub lacks: &'static str,
    /// What to do instead.
    pub fix: &'static str,
}

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

/// A row of the Debian family.
const DEBIAN: Distro = Distro {
    name: "Debian",
    id: "debian",
    versions: &[],
    engine: &["docker.io", "docker-cli"],
    compose: &["docker-compose"],
    tools: &["openssl", "git", "curl", "ca-certificates"],
    caddy: &["caddy"],
    nginx: &["nginx"],
    certbot: &["certbot"],
    certbot_timer: "certbot.timer",
    engine_unit: "docker.service",
    query: DPKG_QUERY,
    audit: DPKG_AUDIT,
    repair: DPKG_REPAIR,
    refresh: APT_UPDATE,
    install: APT_INSTALL,
    refused: None,
};

/// A row of the Ubuntu family.
const UBUNTU: Distro = Distro {
    name: "Ubuntu",
    id: "ubuntu",
    engine: &["docker.io"],
    compose: &["docker-compose-v2"],
    ..DEBIAN
};

/// The rows.
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
    Distro {
        name: "Debian 12",
        versions: &["12"],
        refused: Some(Refused {
            lacks: "its Docker Engine is 20.10 and chatalot needs 24 or newer, and its docker-compose is version 1",
            fix: "upgrade the host to Debian 13, or deploy on a fresh one with Debian 13 or Ubuntu 24.04",
        }),
        ..DEBIAN
    },
    Distro {
        name: "Ubuntu 22.04",
        versions: &["22.04"],
        refused: Some(Refused {
            lacks: "it has no caddy package, and the reverse proxy is installed from the distribution",
            fix: "upgrade the host to Ubuntu 24.04, or deploy on a fresh one with Ubuntu 24.04 or Debian 13",
        }),
        ..UBUNTU
    },
];

/// The processors that chatalot's images and this agent are made for.
const ARCHITECTURES: &[&str] = &["x86_64", "aarch64"];

const ELSEWHERE: &str = "deploy on a 64-bit host with Debian 13 or Ubuntu 24.04";

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
        .find(|row| row.id == system.id && row.versions.contains(&system.version.as_str()));
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
        assert_eq!(detect(&system("debian", "13")).unwrap().name, "Debian 13");
        assert_eq!(detect(&system("ubuntu", "24.04")).unwrap().name, "Ubuntu 24.04");
    }

    #[test]
    fn known_but_unfit_systems_are_refused_with_what_they_lack() {
        let advice = detect(&system("debian", "12")).unwrap_err();
        assert_eq!(advice.code, "DISTRO_UNSUPPORTED");
        assert!(
            advice.saw.contains("20.10") && advice.fix.contains("Debian 13"),
            "{advice}"
        );
        assert!(
            detect(&system("ubuntu", "22.04"))
                .unwrap_err()
                .saw
                .contains("caddy")
        );
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
