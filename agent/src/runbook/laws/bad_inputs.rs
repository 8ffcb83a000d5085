//! Hosts and sites on which a deployment must stop, each with the finding that it must stop with.

use super::driver::{Run, Stop, full};
use super::options::ISSUER;
use crate::host::fake::{Checkout, EngineState, FakeHost, Outcome, World};
use crate::host::{Answers, Container, Fetched, Output, Owner, PortOwner, Records, Transport, Unit};
use crate::runbook::distro::DISTROS;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use futures_util::FutureExt;

type Spoil = fn(&mut World);

pub(super) fn said(text: &str) -> Output {
    Output {
        stdout: text.into(),
        ..Output::default()
    }
}

pub(super) fn fails(world: &mut World, start: &str, text: &str) {
    world.outputs.insert(
        start.into(),
        Output {
            code: 1,
            ..said(text)
        },
    );
}

fn says(world: &mut World, a: &[&str], aaaa: &[&str]) {
    let answers = Answers {
        resolver: "1.1.1.1".into(),
        a: Records::Found(a.iter().map(|ip| ip.parse().unwrap()).collect()),
        aaaa: Records::Found(aaaa.iter().map(|ip| ip.parse().unwrap()).collect()),
    };
    world.dns.insert("chat.example.com".into(), vec![answers]);
}

pub(super) fn listens(world: &mut World, port: u16, process: &str, container: Option<&str>) {
    let owner = PortOwner {
        pid: Some(7),
        process: process.into(),
        unit: None,
        container: container.map(str::to_owned),
    };
    world.ports.insert((Transport::Tcp, port), owner);
}

pub(super) fn foreign_engine(world: &mut World) {
    world.engine = EngineState::Up;
    let unit = Unit {
        exists: true,
        active: true,
        enabled: true,
    };
    world.units.insert(world.distro.engine_unit.into(), unit);
    world.compose = Some("2.30.0".into());
}

fn ends(world: &mut World, code: i32, text: &str) {
    world.installer.outcome = Outcome::Fails(code, text.into());
}

pub(super) fn block(admin: &str) -> String {
    format!(
        "Install complete.\npublic_url=https://chat.example.com\nadmin_username={admin}\nregistration_mode=invite_only\n\
         turn_enabled=1\nupdater_enabled=1\ncompose_profiles=turn updater\n"
    )
}

/// The issuer's page as it was kept by somebody between, while all else is out of reach.
fn discovery() -> Fetched {
    let network = FakeHost::fresh(&DISTROS[0]);
    let page = crate::host::Fetch::page(ISSUER);
    let fetched = crate::host::Look::fetch(&network, page).now_or_never();
    fetched.unwrap().unwrap()
}

/// On a fresh host: what is spoilt, and how the deployment must end.
const FRESH: &[(&str, Spoil)] = &[
    ("DISTRO_UNSUPPORTED", |w| w.system.version = "11".into()),
    ("NOT_ROOT", |w| w.system.root = false),
    ("MEMORY_SHORT", |w| w.resources.memory = 500_000_000),
    ("DISK_FULL", |w| w.resources.disk_free = 1 << 30),
    ("DISK_READ_ONLY", |w| w.resources.writable = false),
    ("CLOCK_WRONG", |w| w.now_ms = 1_000_000),
    ("TOOLS_MISSING", |w| {
        w.programs.remove("apt-get");
    }),
    ("ENGINE_TOO_OLD", |w| {
        foreign_engine(w);
        w.engine_version = "20.10.24".into();
    }),
    ("COMPOSE_MISSING", |w| {
        foreign_engine(w);
        w.compose = None;
    }),
    ("DNS_NONE", |w| says(w, &[], &[])),
    ("DNS_WRONG", |w| says(w, &["198.51.100.7"], &[])),
    ("DNS_STALE_AAAA", |w| says(w, &["203.0.113.42"], &["2001:db8::1"])),
    ("DNS_CDN", |w| says(w, &["104.16.1.1"], &[])),
    ("PORT_TAKEN", |w| listens(w, 443, "haproxy", None)),
    ("PROXY_ADOPTABLE", |w| listens(w, 443, "nginx", None)),
    ("FIREWALL_DENIES", |w| {
        w.put("/etc/ufw/ufw.conf", "ENABLED=yes\n");
        w.programs.insert("ufw".into());
        let deny = "### tuple ### deny tcp 443 0.0.0.0/0 any 0.0.0.0/0 in\n";
        w.put("/etc/ufw/user.rules", deny);
    }),
    ("FIREWALL_REFUSED", |w| {
        w.put("/etc/ufw/ufw.conf", "ENABLED=yes\n");
        w.programs.insert("ufw".into());
        fails(w, "ufw allow", "ERROR: Could not acquire lock");
    }),
    ("PROXY_DOMAIN_TAKEN", |w| {
        listens(w, 80, "caddy", None);
        w.put("/etc/caddy/Caddyfile", "chat.example.com {\n\tfile_server\n}\n");
    }),
    ("PORT_TAKEN", |w| {
        foreign_engine(w);
        listens(w, 8080, "docker-proxy", Some("jenkins"));
    }),
    ("CONTAINER_NAME_TAKEN", |w| {
        foreign_engine(w);
        let other = Container {
            name: "chatalot-db".into(),
            folder: "/home/bob/chatalot".into(),
            ..Container::default()
        };
        w.containers.insert(other.name.clone(), other);
    }),
    ("DATABASE_WITHOUT_ENV", |w| {
        foreign_engine(w);
        w.volumes.insert("chatalot_postgres_data".into());
    }),
    ("passing APT_LOCKED", |w| {
        fails(
            w,
            "apt-get",
            "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 9",
        );
    }),
    ("passing PACKAGES_UNREACHABLE", |w| {
        w.network = false;
        w.pages.insert(ISSUER.into(), Ok(discovery()));
    }),
    ("ENGINE_DOWN", |w| {
        fails(
            w,
            "systemctl enable --now docker",
            "Job for docker.service failed",
        );
    }),
    ("FOLDER_TAKEN", |w| w.put("/srv/chatalot/notes.txt", "mine")),
    ("FOLDER_NOT_ROOTS", |w| {
        w.put("/srv/chatalot/.git/config", "");
        let alice = Owner {
            uid: 1000,
            mode: 0o755,
        };
        w.owners.insert("/srv/chatalot".into(), alice);
    }),
    ("REMOTE_DIFFERS", |w| {
        w.install("git");
        w.put("/srv/chatalot/.git/config", "");
        let other = Checkout {
            url: Some("https://example.com/other.git".into()),
            head: Some("1".repeat(40)),
            ..Checkout::default()
        };
        w.checkouts.insert("/srv/chatalot".into(), other);
    }),
    ("REF_UNKNOWN", |w| {
        w.remotes.values_mut().for_each(|remote| remote.refs.clear());
    }),
    ("passing REPOSITORY_UNREACHABLE", |w| w.remotes.clear()),
    ("INSTALLER_TOO_OLD", |w| {
        w.installer.flags.retain(|flag| *flag != "--use-prebuilt");
    }),
    ("INSTALLER_TOO_OLD", |w| {
        for tree in w
            .remotes
            .values_mut()
            .flat_map(|remote| remote.trees.values_mut())
        {
            tree.insert("scripts/install.sh".into(), "read -p 'Domain? ' DOMAIN\n".into());
        }
    }),
    ("INSTALLER_TOO_OLD", |w| {
        for tree in w
            .remotes
            .values_mut()
            .flat_map(|remote| remote.trees.values_mut())
        {
            tree.remove("scripts/install.sh");
        }
    }),
    ("INSTALLER_MISSING_FLAGS", |w| {
        ends(w, 2, "missing more flags: --tea");
    }),
    ("ENGINE_DOWN", |w| ends(w, 1, "Docker daemon is not running")),
    ("REGISTRY_DENIED", |w| {
        ends(w, 1, "unauthorized: authentication required");
    }),
    ("passing REGISTRY_RATE_LIMITED", |w| {
        ends(w, 1, "toomanyrequests: slow down");
    }),
    ("passing IMAGES_UNREACHABLE", |w| {
        ends(w, 1, "net/http: TLS handshake timeout");
    }),
    ("INSTALLER_FAILED", |w| ends(w, 9, "line 12: surprise")),
    ("INSTALLER_NO_SUMMARY", |w| {
        w.installer.outcome = Outcome::Pretends("public_url=https://chat.example.com\n".into());
    }),
    ("INSTALLER_MISMATCH", |w| {
        w.installer.outcome = Outcome::Pretends(block("mallory"));
    }),
    ("CADDY_INVALID", |w| {
        fails(w, "caddy validate", "Error: adapting config");
    }),
    ("CADDY_RELOAD_FAILED", |w| {
        fails(w, "systemctl reload caddy", "Job for caddy.service failed");
    }),
    ("CADDY_RELOAD_FAILED", |w| {
        w.hangs.insert("systemctl reload caddy".into());
    }),
    ("INSTALLER_TOO_OLD", |w| {
        w.hangs.insert("/srv/chatalot/scripts/install.sh --help".into());
    }),
    ("INSTALLER_HUNG", |w| {
        w.hangs
            .insert("/srv/chatalot/scripts/install.sh --non-interactive".into());
    }),
    ("ACME_FAILED", |w| {
        w.acme_refuses = Some("HTTP 400 connection".into());
    }),
    ("ACME_RATE_LIMITED", |w| {
        w.acme_refuses = Some("HTTP 429 rateLimited".into());
    }),
    ("HEALTH_DB_DOWN", |w| w.database_up = false),
];

fn status(status: u16) -> Fetched {
    Fetched {
        status,
        ..Fetched::default()
    }
}

fn answers(world: &mut World, url: &str, page: Fetched) {
    world.pages.insert(url.into(), Ok(page));
}

pub(super) fn container<'a>(world: &'a mut World, name: &str) -> &'a mut Container {
    world.containers.get_mut(name).unwrap()
}

const LOCAL: &str = "http://127.0.0.1:8080/api/health";
const PUBLIC: &str = "https://chat.example.com/api/health";

/// On a deployed host: which step must find what, once something is spoilt.
const DEPLOYED: &[(&str, &str, Spoil)] = &[
    ("verify.containers", "CONTAINERS_DOWN", |w| {
        container(w, "chatalot-db").state = "exited".into();
    }),
    ("verify.containers", "CONTAINER_CRASHING", |w| {
        container(w, "chatalot-server").state = "restarting".into();
        let line = "Error: No such file or directory (os error 2)".to_owned();
        w.logs.insert("chatalot-server".into(), vec![line]);
    }),
    ("verify.local", "HEALTH_DB_DOWN", |w| w.database_up = false),
    ("verify.local", "HEALTH_NO_ANSWER", |w| {
        container(w, "chatalot-server").state = "exited".into();
    }),
    ("verify.local", "HEALTH_NOT_CHATALOT", |w| {
        answers(w, LOCAL, status(200));
    }),
    ("verify.public", "PROXY_BAD_GATEWAY", |w| {
        answers(w, PUBLIC, status(502));
    }),
    ("verify.public", "PROXY_WRONG_ANSWER", |w| {
        answers(w, PUBLIC, status(404));
    }),
    ("verify.public", "PUBLIC_UNREACHABLE", |w| {
        says(w, &["198.51.100.7"], &[]);
    }),
    ("verify.certificate", "CERTIFICATE_UNTRUSTED", |w| {
        answers(w, PUBLIC, distrusted());
    }),
    ("verify.certificate", "CERTIFICATE_ENDING", |w| {
        answers(w, PUBLIC, status(200));
    }),
    ("verify.turn", "TURN_NOT_LISTENING", |w| {
        container(w, "chatalot-turn").state = "exited".into();
    }),
    ("verify.websocket", "WEBSOCKET_NOT_FORWARDED", |w| {
        answers(w, "https://chat.example.com/ws", status(400));
    }),
    ("verify.websocket", "WEBSOCKET_REFUSED", |w| {
        answers(w, "http://127.0.0.1:8080/ws", status(426));
    }),
    ("verify.boot", "BOOT_NOT_ENABLED", |w| {
        w.units.get_mut("caddy.service").unwrap().enabled = false;
    }),
    ("verify.boot", "RESTART_POLICY", |w| {
        container(w, "chatalot-db").restart_policy = "no".into();
    }),
];

fn distrusted() -> Fetched {
    Fetched {
        tls: Some(crate::host::TlsFacts {
            distrust: Some("unknown issuer".into()),
            ..crate::host::TlsFacts::default()
        }),
        ..status(200)
    }
}

pub(super) fn deployed() -> (FakeHost, Run) {
    let mut run = full(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    run.deploy(&host).unwrap();
    (host, run)
}

fn ending(spoil: Spoil) -> (FakeHost, Stop) {
    let mut run = full(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    host.world(spoil);
    let stop = run.deploy(&host).unwrap_err();
    (host, stop)
}

fn finding(step: &str, spoil: Spoil) -> Advice {
    let (host, run) = deployed();
    host.world(spoil);
    match run.check(&host, step).unwrap() {
        Verdict::Blocked { advice } => advice,
        other => panic!("{step}: {other:?}"),
    }
}

/// Every finding of both tables.
pub(super) fn every_finding() -> Vec<Advice> {
    let fresh = FRESH.iter().map(|(code, spoil)| match ending(*spoil).1 {
        Stop::Advice(advice) | Stop::Passing(advice) => *advice,
        other => panic!("{code}: {other:?}"),
    });
    fresh
        .chain(DEPLOYED.iter().map(|(step, _, spoil)| finding(step, *spoil)))
        .collect()
}

#[test]
fn f52_to_f57_a_deployment_stops_with_the_finding_that_fits() {
    for (code, spoil) in FRESH {
        let (_, stop) = ending(*spoil);
        assert_eq!(stop.code(), *code, "{stop:?}");
    }
}

#[test]
fn f58_each_probe_finds_what_is_spoilt_on_a_deployed_host() {
    for (step, code, spoil) in DEPLOYED {
        assert_eq!(finding(step, *spoil).code, *code, "{step}");
    }
}

#[test]
fn f54_nothing_is_written_while_something_is_in_the_way() {
    let in_the_way = [
        "PORT_TAKEN",
        "PROXY_ADOPTABLE",
        "PROXY_DOMAIN_TAKEN",
        "CONTAINER_NAME_TAKEN",
        "DATABASE_WITHOUT_ENV",
    ];
    for (code, spoil) in FRESH.iter().filter(|(code, _)| in_the_way.contains(code)) {
        assert_eq!(ending(*spoil).0.writes(), 0, "{code}");
    }
}

#[test]
fn f57_no_certificate_is_asked_for_while_dns_is_wrong() {
    for (code, spoil) in FRESH.iter().filter(|(code, _)| code.starts_with("DNS_")) {
        assert_eq!(ending(*spoil).0.writes(), 0, "{code}");
    }
}

#[test]
fn f56_what_caddy_refuses_is_taken_out_again() {
    for refused in ["CADDY_INVALID", "CADDY_RELOAD_FAILED"] {
        let (_, spoil) = FRESH.iter().find(|(code, _)| *code == refused).unwrap();
        let (host, _) = ending(*spoil);
        host.world(|world| {
            assert_eq!(
                world.text("/etc/caddy/conf.d/chat.example.com.caddy"),
                None,
                "{refused}"
            );
            assert!(
                !world.text("/etc/caddy/Caddyfile").unwrap().contains("import"),
                "{refused}"
            );
        });
    }
}
