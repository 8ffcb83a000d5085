//! What stands in front of a site: nginx with certbot, firewalls, what was there before us.

use super::bad_inputs::fails;
use super::driver::{Stop, behind_nginx, behind_traefik};
use crate::host::fake::World;
use crate::host::{PortOwner, Transport, Unit};
use crate::runbook::distro::DISTROS;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::ProxyChoice;

const SITE: &str = "/etc/nginx/conf.d/chatalot-chat.example.com.conf";
const SHOP: &str = "server {\n\tlisten 80;\n\tserver_name shop.example.com;\n}\n";

/// How a deployment behind nginx ends on a host that is spoilt, and our file on it afterwards.
fn nginx_ends(spoil: fn(&mut World)) -> (String, Option<String>) {
    let mut run = behind_nginx(&DISTROS[0]);
    let host = run.host();
    host.world(spoil);
    let stop = run.deploy(&host).unwrap_err();
    (stop.code(), host.world(|world| world.text(SITE)))
}

#[test]
fn an_selinux_that_takes_no_setting_is_told() {
    let (code, _) = nginx_ends(|world| fails(world, "setsebool", "Cannot set persistent booleans"));
    assert_eq!(code, "SELINUX_REFUSED");
}

#[test]
fn f56_what_nginx_refuses_is_taken_out_again() {
    let invalid = nginx_ends(|world| fails(world, "nginx -t", "nginx: [emerg] unknown directive"));
    assert_eq!(invalid, ("NGINX_INVALID".into(), None));
    let hangs = nginx_ends(|world| {
        world.hangs.insert("systemctl reload nginx".into());
    });
    assert_eq!(hangs, ("NGINX_RELOAD_FAILED".into(), None));
}

#[test]
fn f56_what_certbot_could_not_get_is_explained() {
    let code = |spoil| nginx_ends(spoil).0;
    assert_eq!(
        code(|world| world.acme_refuses = Some("connection refused".into())),
        "ACME_FAILED"
    );
    assert_eq!(
        code(|world| fails(world, "certbot certonly", "too many certificates already issued")),
        "ACME_RATE_LIMITED"
    );
    assert_eq!(
        code(|world| fails(world, "certbot certonly", "boom")),
        "CERTBOT_FAILED"
    );
    let hangs = code(|world| {
        world.hangs.insert("certbot".into());
    });
    assert_eq!(hangs, "CERTBOT_FAILED");
}

#[test]
fn f56_the_staging_directory_is_tried_before_the_first_certificate_and_a_refusal_there_counts_nothing() {
    let mut run = behind_nginx(&DISTROS[0]);
    let host = run.host();
    host.world(|world| world.acme_refuses = Some("connection refused".into()));
    for _ in 0..6 {
        assert_eq!(run.deploy(&host).unwrap_err().code(), "ACME_FAILED");
    }
    let asked = |wanted: bool| {
        let calls = host.log();
        let mut calls = calls.iter().filter(|call| call.contains("certonly"));
        calls.any(|call| call.contains("--dry-run") == wanted)
    };
    assert!(
        asked(true) && !asked(false),
        "production was asked though staging refused"
    );
    host.world(|world| world.acme_refuses = None);
    run.deploy(&host).unwrap();
    assert!(asked(false));
}

#[test]
fn f55_an_nginx_with_other_sites_gets_ours_beside_them() {
    let mut run = behind_nginx(&DISTROS[0]);
    let host = run.host();
    host.world(|world| {
        world.install("nginx");
        world.put("/etc/nginx/sites-enabled/shop", SHOP);
    });
    run.deploy(&host).unwrap();
    host.world(|world| {
        assert_eq!(world.text("/etc/nginx/sites-enabled/shop").as_deref(), Some(SHOP));
        assert!(
            world
                .nginx_loaded
                .as_deref()
                .unwrap()
                .contains("shop.example.com")
        );
    });
}

#[test]
fn f55_a_domain_that_nginx_serves_from_elsewhere_is_named() {
    let (code, ours) = nginx_ends(|world| {
        world.install("nginx");
        world.put("/etc/nginx/sites-enabled/chat", SHOP.replace("shop", "chat"));
    });
    assert_eq!((code.as_str(), ours), ("PROXY_DOMAIN_TAKEN", None));
}

#[test]
fn f55_what_waits_in_a_folder_that_nginx_does_not_read_is_named() {
    let arch = DISTROS.iter().find(|row| row.name == "Arch Linux").unwrap();
    let mut run = behind_nginx(arch);
    let host = run.host();
    host.world(|world| {
        world.install("nginx");
        world.put("/etc/nginx/conf.d/shop.conf", SHOP);
    });
    let Err(Stop::Advice(told)) = run.deploy(&host) else {
        panic!("not told");
    };
    assert_eq!(told.code, "NGINX_WITHOUT_CONF_D");
    assert!(
        told.fix.starts_with("move shop.conf out of /etc/nginx/conf.d"),
        "{told}"
    );
    host.world(|world| {
        world
            .files
            .remove(std::path::Path::new("/etc/nginx/conf.d/shop.conf"))
    });
    run.deploy(&host).unwrap();
}

#[test]
fn a_timer_that_was_stopped_is_started_again() {
    let mut run = behind_nginx(&DISTROS[0]);
    let host = run.host();
    run.deploy(&host).unwrap();
    host.world(|world| {
        let timer = Unit {
            exists: true,
            ..Unit::default()
        };
        world.units.insert("certbot.timer".into(), timer);
    });
    let verdict = run.check(&host, "proxy.certificate").unwrap();
    assert!(matches!(verdict, Verdict::Needed { .. }), "{verdict:?}");
    let before = host.log().len();
    run.deploy(&host).unwrap();
    assert!(host.world(|world| world.units["certbot.timer"].active));
    assert!(
        !host.log()[before..].iter().any(|call| call.contains("certonly")),
        "no new certificate for that"
    );
}

#[test]
fn a_ufw_whose_program_is_gone_is_not_at_work_though_its_files_are_there() {
    let mut run = behind_nginx(&DISTROS[0]);
    let host = run.host();
    host.world(|world| world.programs.remove("ufw"));
    run.deploy(&host).unwrap();
    assert!(!host.log().iter().any(|call| call.contains("ufw allow")));
}

#[test]
fn the_ports_are_opened_in_firewalld_now_and_for_good() {
    let mut run = behind_nginx(&DISTROS[0]);
    let host = run.host();
    host.world(|world| {
        world.files.remove(std::path::Path::new("/etc/ufw/ufw.conf"));
        let unit = Unit {
            exists: true,
            active: true,
            enabled: true,
        };
        world.units.insert("firewalld.service".into(), unit);
    });
    run.deploy(&host).unwrap();
    for path in ["/run/firewalld.ports", "/etc/firewalld/zones/public.ports"] {
        let open = host.world(|world| world.text(path)).unwrap();
        assert_eq!(
            open,
            "80/tcp 443/tcp 3478/udp 3478/tcp 5349/udp 5349/tcp 49152-49200/udp "
        );
    }
}

const OVERRIDE: &str = "/srv/chatalot/docker-compose.override.yml";

fn traefik_ends(spoil: fn(&mut World)) -> String {
    let mut run = behind_traefik(&DISTROS[0]);
    let host = run.host();
    host.world(spoil);
    run.deploy(&host).unwrap_err().code()
}

#[test]
fn a_traefik_that_cannot_serve_the_site_is_told_before_anything_is_done() {
    assert_eq!(
        traefik_ends(|world| world.containers.clear()),
        "TRAEFIK_NOT_RUNNING"
    );
    let old = traefik_ends(|world| {
        world.engine_version = "29.0.1".into();
        world.containers.get_mut("traefik").unwrap().image = "traefik:v3.6.0".into();
    });
    assert_eq!(old, "TRAEFIK_ENGINE_MISMATCH");
}

#[test]
fn f55_a_traefik_on_the_ports_is_offered_instead_of_an_error() {
    let run = behind_traefik(&DISTROS[0]);
    let host = run.host();
    let caddy = crate::runbook::laws::driver::least(&DISTROS[0]);
    let Verdict::Blocked { advice } = caddy.check(&host, "preflight.ports").unwrap() else {
        panic!("not blocked");
    };
    assert!(
        advice.code == "PROXY_ADOPTABLE" && advice.fix.contains("--proxy traefik"),
        "{advice}"
    );
}

#[test]
fn f56_an_override_that_compose_refuses_is_as_it_was() {
    let mut run = behind_traefik(&DISTROS[0]);
    let host = run.host();
    let mine = "services:\n  postgres:\n    shm_size: 1g\n";
    host.world(|world| {
        fails(
            world,
            "docker compose up -d",
            "network edge declared as external, but could not be found",
        );
    });
    let stop = run.deploy(&host).unwrap_err();
    assert_eq!(stop.code(), "COMPOSE_UP_FAILED");
    assert_eq!(host.world(|world| world.text(OVERRIDE)), None);
    host.world(|world| world.put(OVERRIDE, mine));
    run.deploy(&host).unwrap_err();
    assert_eq!(host.world(|world| world.text(OVERRIDE)).as_deref(), Some(mine));
    host.world(|world| world.outputs.clear());
    run.deploy(&host).unwrap();
    assert!(
        host.world(|world| world.text(OVERRIDE))
            .unwrap()
            .contains("shm_size: 1g")
    );
    host.world(|world| world.put(OVERRIDE, "services: {chatalot: {}}\n"));
    host.world(|world| {
        world
            .containers
            .get_mut("chatalot-server")
            .unwrap()
            .labels
            .clear();
    });
    host.advance(600);
    assert_eq!(run.deploy(&host).unwrap_err().code(), "OVERRIDE_UNREADABLE");
}

#[test]
fn another_proxy_right_after_the_first_is_not_judged_by_what_that_one_was_told() {
    let mut run = behind_nginx(&DISTROS[0]);
    let host = run.host();
    run.deploy(&host).unwrap();
    run.site.proxy = ProxyChoice::Caddy;
    host.world(|world| {
        world.units.remove("nginx.service");
        world.nginx_loaded = None;
    });
    let before = host.log().len();
    run.deploy(&host).unwrap();
    // What certbot was signed says nothing of what Caddy would be: it tries the staging authority first.
    let judged = host.log()[before..]
        .iter()
        .filter(|call| call.contains("caddy validate"))
        .count();
    assert_eq!(judged, 3);
    assert!(host.world(|world| {
        world
            .caddy_loaded
            .as_deref()
            .unwrap()
            .contains("chat.example.com")
    }));
}

#[test]
fn f56_what_the_authority_said_to_traefik_is_told_in_its_words() {
    let mut run = behind_traefik(&DISTROS[0]);
    let host = run.host();
    host.world(|world| {
        world.acme_refuses = Some("connection refused".into());
        let said = "1970-01-01T00:00:00Z ERR Unable to obtain ACME certificate for domains error=\"of long ago\" domains=[\"chat.example.com\"]";
        world.logs.insert("traefik".into(), vec![said.into()]);
    });
    assert_eq!(run.deploy(&host).unwrap_err().code(), "PROXY_NOT_SERVING");
    host.world(|world| {
        world.now_ms = 1_795_773_600_000;
        let said = "2026-11-27T10:00:00Z ERR Unable to obtain ACME certificate for domains error=\"refused\" domains=[\"chat.example.com\"]";
        world.logs.insert("traefik".into(), vec![said.into()]);
    });
    run.memory.retain(|key, _| !key.starts_with("proxy."));
    assert_eq!(run.deploy(&host).unwrap_err().code(), "ACME_FAILED");
}

#[test]
fn f56_what_a_traefik_is_made_to_ask_for_counts_too_though_the_host_has_booted() {
    let mut run = behind_traefik(&DISTROS[0]);
    let host = run.host();
    host.world(|world| world.acme_refuses = Some("connection refused".into()));
    for attempt in 1..=4 {
        let code = run.deploy(&host).unwrap_err().code();
        assert_eq!(code, "PROXY_NOT_SERVING", "{attempt}");
        host.world(World::reboot);
        run.memory.retain(|key, _| !key.starts_with("proxy."));
    }
    let before = host.log().len();
    assert_eq!(run.deploy(&host).unwrap_err().code(), "ACME_RATE_LIMITED");
    let is_told = |call: &String| call.contains("compose up -d chatalot");
    assert!(!host.log()[before..].iter().any(is_told));
    host.world(|world| world.acme_refuses = None);
    host.advance(3600);
    run.deploy(&host).unwrap();
}

#[test]
fn f54_a_look_from_outside_that_goes_on_since_an_earlier_life_is_no_stranger_at_its_ports() {
    let run = behind_nginx(&DISTROS[0]);
    let host = run.host();
    let unit = |name: &str| PortOwner {
        pid: Some(1358),
        process: "chatalot-agent".into(),
        unit: Some(name.into()),
        container: None,
    };
    let at = |owner: PortOwner| {
        host.world(|world| {
            for port in [80, 443] {
                world.ports.insert((Transport::Tcp, port), owner.clone());
            }
        });
    };
    at(unit(
        "chatalot-step-01a21b49-fdbf-72fe-b8e0-9940521d0588-1.service",
    ));
    assert!(matches!(
        run.check(&host, "preflight.ports"),
        Ok(Verdict::Satisfied { .. })
    ));
    at(unit("somebodys.service"));
    let Ok(Verdict::Blocked { advice }) = run.check(&host, "preflight.ports") else {
        panic!("not told")
    };
    assert_eq!(advice.code, "PORT_TAKEN");
}
