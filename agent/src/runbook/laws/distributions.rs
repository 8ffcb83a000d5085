//! Stories of single distributions: what is particular about each, and what is already on a host of it.

use super::driver::{Stop, full, least};
use crate::host::fake::{EngineState, FakeHost, World};
use crate::host::{FetchError, Fetched, Unit};
use crate::runbook::distro::{DISTROS, Distro};
use chatalot_protocol::report::Verdict;

fn row(name: &str) -> &'static Distro {
    DISTROS.iter().find(|row| row.name == name).unwrap()
}

fn commands(host: &FakeHost, start: &str) -> Vec<String> {
    let run = format!("run {start}");
    let log = host.log();
    log.iter()
        .filter(|line| line.starts_with(&run))
        .cloned()
        .collect()
}

#[test]
fn debian_12_gets_dockers_own_engine_from_dockers_own_repository() {
    let mut run = least(row("Debian 12"));
    let host = run.host();
    let step = crate::runbook::step("packages.repository").unwrap();
    let effects = step.effects(&run.intent()).join("\n");
    assert!(
        effects.contains("9DC858229FC7DD38854AE2D88D81803C0EBFCD88"),
        "{effects}"
    );
    assert!(
        effects.contains("https://download.docker.com/linux/debian"),
        "{effects}"
    );
    run.deploy(&host).unwrap();
    host.world(|world| {
        assert!(world.packages.contains("docker-ce") && !world.packages.contains("docker.io"));
        let source = world
            .text("/etc/apt/sources.list.d/chatalot-docker.sources")
            .unwrap();
        assert!(
            source.contains("Signed-By: /etc/apt/keyrings/chatalot-docker.asc"),
            "{source}"
        );
    });
}

#[test]
fn a_key_that_is_not_the_pinned_one_is_never_written() {
    let mut run = least(row("Debian 12"));
    let host = run.host();
    host.world(|world| {
        // Docker's key for rpm, where the one for apt should be.
        serve(
            world,
            "https://download.docker.com/linux/debian/gpg",
            crate::host::fake::PUBLISHED_KEYS[1].1,
        );
    });
    let stop = run.deploy(&host).unwrap_err();
    assert_eq!(stop.code(), "REPOSITORY_KEY_WRONG");
    assert!(
        !host.log().iter().any(|line| line.starts_with("write ")),
        "{:?}",
        host.log()
    );
}

fn serve(world: &mut World, url: &str, key: &str) {
    let page = Fetched {
        status: 200,
        body: key.into(),
        ..Fetched::default()
    };
    world.pages.insert(url.into(), Ok(page));
}

#[test]
fn a_key_that_cannot_be_fetched_is_tried_again() {
    let mut run = least(row("Ubuntu 22.04"));
    let host = run.host();
    let key = "https://dl.cloudsmith.io/public/caddy/stable/gpg.key";
    host.world(|world| {
        let away = Err(FetchError::Connect("dl.cloudsmith.io".into()));
        world.pages.insert(key.into(), away);
    });
    assert_eq!(
        run.deploy(&host).unwrap_err().code(),
        "passing REPOSITORY_KEY_UNREACHABLE"
    );
    host.world(|world| world.pages.clear());
    run.deploy(&host).unwrap();
}

#[test]
fn a_repository_that_somebody_else_has_set_up_is_used_and_left_alone() {
    let mut run = least(row("Debian 12"));
    let host = run.host();
    let theirs = "/etc/apt/sources.list.d/docker.list";
    let line = "deb [signed-by=/etc/apt/keyrings/docker.gpg] https://download.docker.com/linux/debian bookworm stable\n";
    host.world(|world| world.put(theirs, line));
    let verdict = run.check(&host, "packages.repository").unwrap();
    assert!(
        matches!(&verdict, Verdict::Satisfied { saw, .. } if saw == &format!("{theirs} has Docker's repository")),
        "{verdict:?}"
    );
    assert!(!host.log().iter().any(|line| line.starts_with("write /etc/apt")));
    host.world(|world| assert_eq!(world.text(theirs).unwrap(), line));
    // With the engine from there.
    host.world(|world| {
        for name in [
            "docker-ce",
            "docker-ce-cli",
            "containerd.io",
            "docker-compose-plugin",
            "docker-buildx-plugin",
        ] {
            world.install(name);
        }
    });
    run.deploy(&host).unwrap();
}

#[test]
fn a_mirror_that_the_host_names_is_used_with_its_own_key() {
    let mut run = least(row("Debian 12"));
    let host = run.host();
    let (print, key) = crate::host::fake::PUBLISHED_KEYS[2];
    host.world(|world| {
        let mirror = format!(
            "[repositories.docker]\nurl = \"https://mirror.example.net/docker\"\nkey = \"https://mirror.example.net/key\"\n\
             fingerprint = \"{print}\"\n"
        );
        world.put("/etc/chatalot-agent/config.toml", mirror);
        serve(world, "https://mirror.example.net/key", key);
    });
    let verdict = run.check(&host, "packages.repository").unwrap();
    assert!(
        matches!(&verdict, Verdict::Needed { why } if why.contains("mirror.example.net/docker, your mirror") && why.contains(print)),
        "{verdict:?}"
    );
    run.deploy(&host).unwrap();
    let source = host.world(|world| {
        world
            .text("/etc/apt/sources.list.d/chatalot-docker.sources")
            .unwrap()
    });
    assert!(
        source.contains("URIs: https://mirror.example.net/docker\n"),
        "{source}"
    );
}

#[test]
fn a_mirror_that_anybody_might_have_named_does_not_count() {
    let mut run = least(row("Debian 12"));
    let host = run.host();
    host.world(|world| {
        let path = "/etc/chatalot-agent/config.toml";
        world.put(path, "");
        let owner = crate::host::Owner { uid: 0, mode: 0o666 };
        world.owners.insert(path.into(), owner);
    });
    assert_eq!(run.deploy(&host).unwrap_err().code(), "MIRROR_UNUSABLE");
}

#[test]
fn on_ubuntu_26_04_dockers_own_packages_do_not_get_the_distributions_beside_them() {
    let mut run = full(row("Ubuntu 26.04"));
    let host = run.host();
    host.world(|world| {
        world.packages.insert("docker-ce".into());
        world.packages.insert("docker-compose-plugin".into());
        world.programs.insert("docker".into());
        world.engine = EngineState::Up;
        world.engine_version = "29.1.0".into();
        world.compose = Some("2.40.3".into());
        let unit = Unit {
            exists: true,
            active: true,
            enabled: true,
        };
        world.units.insert("docker.service".into(), unit);
    });
    run.deploy(&host).unwrap();
    host.world(|world| {
        assert!(!world.packages.contains("docker.io") && !world.packages.contains("docker-compose-v2"));
    });
}

#[test]
fn podman_under_dockers_name_is_recognised() {
    for name in ["Rocky Linux 9", "Debian 13"] {
        for state in [EngineState::Absent, EngineState::Down, EngineState::Up] {
            let mut run = least(row(name));
            let host = run.host();
            host.world(|world| {
                world.packages.insert("podman-docker".into());
                world.engine = state.clone();
                world.engine_version = "5.4.0".into();
            });
            let stop = run.deploy(&host).unwrap_err();
            assert!(
                matches!(&stop, Stop::Advice(advice) if advice.code == "PODMAN_DOCKER" && advice.fix.contains("podman-docker")),
                "{name}, {state:?}: {stop:?}"
            );
        }
    }
}

#[test]
fn f38_what_each_package_manager_left_half_done_is_finished_first() {
    for name in ["Debian 12", "Fedora", "RHEL 10", "Arch Linux"] {
        let mut run = full(row(name));
        let host = run.host();
        host.world(|world| world.cut_off("git"));
        run.deploy(&host)
            .unwrap_or_else(|stop| panic!("{name}: {stop:?}"));
        let repair = row(name).repair.join(" ");
        assert_eq!(commands(&host, &repair).len(), 1, "{name}: {:?}", host.log());
    }
}

#[test]
fn a_kernel_that_was_replaced_under_the_engine_is_named() {
    let mut run = least(row("Arch Linux"));
    let host = run.host();
    host.world(|world| {
        world.put("/proc/sys/kernel/osrelease", "6.17.1-arch1-1\n");
        world.put("/usr/lib/modules/6.17.8-arch1-1/modules.dep", "");
        let failed = crate::host::Output {
            code: 1,
            ..crate::host::Output::default()
        };
        world
            .outputs
            .insert("systemctl enable --now docker.service".into(), failed);
    });
    let stop = run.deploy(&host).unwrap_err();
    assert_eq!(stop.code(), "KERNEL_REPLACED");
}
