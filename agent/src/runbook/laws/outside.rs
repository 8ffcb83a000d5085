//! How the world stands to a host: what a firewall before it shuts is in the way, what nobody can tell never is.

use super::driver::{Run, behind_nginx, behind_traefik, full, least, with_everything};
use crate::host::fake::{FakeHost, World};
use crate::host::{PortOwner, Transport};
use crate::runbook::distro::DISTROS;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::handover::DutyStanding;
use chatalot_protocol::outside::Door;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::ProxyChoice;

fn note(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Satisfied { note: Some(note), .. } => &note.code,
        Verdict::Satisfied { note: None, .. } => "none",
        other => panic!("{other:?}"),
    }
}

fn firewall(run: &Run, host: &FakeHost) -> DutyStanding {
    run.handover(host).duties[1].standing
}

type Spoil = fn(&mut World);

#[test]
fn a_firewall_before_the_host_stops_a_deployment_before_anything_is_installed() {
    let cases: &[(&str, Spoil)] = &[
        ("OUTSIDE_PORT_SHUT", |w| {
            w.outside.drops.insert(Door::tcp(443));
        }),
        ("OUTSIDE_PORT_SHUT", |w| {
            w.outside.drops.insert(Door::tcp(80));
        }),
        ("OUTSIDE_TURN_SHUT", |w| {
            w.outside.drops.insert(Door::udp(3478));
        }),
        ("OUTSIDE_TURN_SHUT", |w| {
            w.outside.drops.insert(Door::udp(49_200));
        }),
        ("OUTSIDE_ELSEWHERE", |w| {
            w.outside.elsewhere.insert(Door::tcp(80));
        }),
    ];
    for (code, spoil) in cases {
        let mut run = full(&DISTROS[0]);
        let host = run.host();
        host.world(spoil);
        assert_eq!(run.deploy(&host).unwrap_err().code(), *code);
        assert!(host.world(|world| world.packages.is_empty()), "{code}");
        // Mended, it is looked at again at once.
        host.world(|world| world.outside = crate::host::fake::Outside::default());
        run.deploy(&host).unwrap();
    }
}

#[test]
fn a_firewall_before_a_proxy_that_is_there_stops_a_deployment_too() {
    let mut run = behind_traefik(&DISTROS[0]);
    let host = run.host();
    host.world(|world| {
        world.units.remove("firewalld.service");
        world.outside.drops.insert(Door::tcp(80));
    });
    assert_eq!(run.deploy(&host).unwrap_err().code(), "OUTSIDE_PORT_SHUT");
    host.world(|world| {
        assert!(world.packages.is_empty(), "{:?}", world.packages);
        world.outside.drops.clear();
    });
    run.deploy(&host).unwrap();
}

#[test]
fn what_nobody_can_tell_is_never_in_the_way() {
    let older: Spoil = |w| w.outside.declined = Some(Advice::new("OUTSIDE_OLDER_CONTROLLER", "x", "y", "z"));
    let dark: Spoil = |w| w.outside.drops_all = true;
    for (spoil, code) in [(older, "OUTSIDE_OLDER_CONTROLLER"), (dark, "OUTSIDE_NO_ANSWER")] {
        let mut run = full(&DISTROS[0]);
        let host = run.host();
        host.world(spoil);
        run.deploy(&host).unwrap();
        assert_eq!(note(&run.check(&host, "verify.outside").unwrap()), code);
        assert_eq!(firewall(&run, &host), DutyStanding::CannotBeTold);
    }
}

#[test]
fn a_site_that_the_world_cannot_reach_any_more_is_told() {
    let mut run = full(&DISTROS[0]);
    let host = run.host();
    run.deploy(&host).unwrap();
    for (door, code) in [
        (Door::tcp(443), "OUTSIDE_PORT_SHUT"),
        (Door::udp(3478), "OUTSIDE_TURN_SHUT"),
    ] {
        host.world(|world| world.outside.drops = [door].into());
        let verdict = run.check(&host, "verify.outside").unwrap();
        assert!(
            matches!(&verdict, Verdict::Blocked { advice } if advice.code == code),
            "{verdict:?}"
        );
        assert_eq!(firewall(&run, &host), DutyStanding::NotInPlace);
    }
}

#[test]
fn chatalots_own_port_is_named_while_it_is_public_and_shut_where_that_is_asked_for() {
    let mut run = least(&DISTROS[0]);
    let host = run.host();
    run.deploy(&host).unwrap();
    assert_eq!(
        note(&run.check(&host, "verify.outside").unwrap()),
        "PORT_8080_PUBLIC"
    );
    assert_eq!(firewall(&run, &host), DutyStanding::NotInPlace);
    run.site.loopback_only = true;
    run.deploy(&host).unwrap();
    assert_eq!(note(&run.check(&host, "verify.outside").unwrap()), "none");
    assert_eq!(firewall(&run, &host), DutyStanding::InPlace);
    let public = |w: &mut World| w.containers.get_mut("chatalot-server").unwrap().loopback.clear();
    host.world(public);
    let verdict = run.check(&host, "install.loopback").unwrap();
    assert_eq!(verdict, Verdict::needed("TCP 8080 is published to the world"));
}

#[test]
fn a_port_that_is_asked_to_be_shut_no_more_is_published_again_and_an_operators_own_line_stays() {
    const OVERRIDE: &str = "/srv/chatalot/docker-compose.override.yml";
    let mut run = least(&DISTROS[0]);
    let host = run.host();
    run.site.loopback_only = true;
    run.deploy(&host).unwrap();
    let ours = host.world(|world| world.text(OVERRIDE)).unwrap();
    run.site.loopback_only = false;
    run.deploy(&host).unwrap();
    assert_eq!(host.world(|world| world.text(OVERRIDE)), None);
    let loopback = |world: &mut World| world.containers["chatalot-server"].loopback.clone();
    assert_eq!(host.world(loopback), Vec::<u16>::new());
    // The same words by an operator.
    host.world(|world| world.put(OVERRIDE, &ours));
    run.site.loopback_only = true;
    run.deploy(&host).unwrap();
    run.site.loopback_only = false;
    run.deploy(&host).unwrap();
    assert_eq!(host.world(|world| world.text(OVERRIDE)), Some(ours));
}

#[test]
fn an_updater_that_is_published_to_everybody_is_named_whether_or_not_a_controller_looks() {
    let mut run = full(&DISTROS[0]);
    run.site.loopback_only = true;
    let host = run.host();
    run.deploy(&host).unwrap();
    let publishes = |loopback: &[u16]| {
        host.world(|world| {
            let updater = world.containers.get_mut("chatalot-updater").unwrap();
            (updater.ports, updater.loopback) = (vec![9000], loopback.to_vec());
        });
        run.check(&host, "verify.outside").unwrap()
    };
    assert_eq!(note(&publishes(&[9000])), "none");
    let seen = publishes(&[]);
    assert_eq!(note(&seen), "PORT_PUBLIC");
    assert!(
        format!("{seen:?}").contains("the container `chatalot-updater` publishes 9000"),
        "{seen:?}"
    );
    // What a firewall before the host keeps shut, the world does not reach.
    host.world(|world| world.outside.drops.insert(Door::tcp(9000)));
    assert_eq!(note(&publishes(&[])), "none");
    host.world(|world| world.outside.drops_all = true);
    let Verdict::Satisfied {
        note: Some(untold), ..
    } = publishes(&[])
    else {
        panic!("in the way");
    };
    let told = |line: &String| line.contains("chatalot-updater at 9000");
    assert!(untold.evidence.iter().any(told), "{untold:?}");
}

#[test]
fn ports_of_the_operators_own_are_not_written_over() {
    let mut run = with_everything(&DISTROS[0]);
    let host = run.host();
    let theirs = "services:\n  chatalot:\n    ports:\n      - \"9000:8080\"\n";
    host.world(|world| world.put("/opt/apps/chat/docker-compose.override.yml", theirs));
    assert_eq!(run.deploy(&host).unwrap_err().code(), "OVERRIDE_PORTS");
    let kept = host.world(|world| world.text("/opt/apps/chat/docker-compose.override.yml"));
    assert_eq!(kept.as_deref(), Some(theirs));
}

#[test]
fn only_ports_that_are_free_are_answered_on_and_the_check_says_which_are_not() {
    let mut run = full(&DISTROS[0]);
    let host = run.host();
    let probes = |host: &FakeHost| {
        let log = host.log();
        log.iter()
            .filter(|call| call.starts_with("answer_outside"))
            .count()
    };
    run.deploy(&host).unwrap();
    assert_eq!(probes(&host), 1);
    run.memory.clear();
    let verdict = run.check(&host, "preflight.outside").unwrap();
    assert!(
        matches!(&verdict, Verdict::Satisfied { saw, .. } if saw.contains("TCP 80, 443, 3478 and 5349") && saw.contains("taken already")),
        "{verdict:?}"
    );
    run.deploy(&host).unwrap();
    assert_eq!(probes(&host), 1);
}

#[test]
fn the_hosts_own_firewall_is_opened_before_the_controller_looks() {
    let mut run = behind_nginx(&DISTROS[0]);
    let host = run.host();
    host.world(|world| {
        world.outside.drops.insert(Door::tcp(443));
    });
    assert_eq!(run.deploy(&host).unwrap_err().code(), "OUTSIDE_PORT_SHUT");
    host.world(|world| {
        assert!(world.packages.is_empty(), "{:?}", world.packages);
        assert!(world.text("/etc/ufw/user.rules").unwrap().contains("tcp 443"));
        world.outside.drops.clear();
    });
    run.deploy(&host).unwrap();
    // What a firewall shuts that an operator's own proxy stands behind is his to open.
    let mut run = behind_nginx(&DISTROS[0]);
    (run.site.proxy, run.site.turn) = (ProxyChoice::None, None);
    let verdict = run.check(&run.host(), "preflight.outside").unwrap();
    assert!(
        matches!(&verdict, Verdict::Satisfied { saw, .. } if saw.contains("left to a proxy of your own")),
        "{verdict:?}"
    );
}

#[test]
fn a_host_behind_a_proxy_of_the_operators_own_is_looked_at_too() {
    let mut run = least(&DISTROS[0]);
    run.site.proxy = ProxyChoice::None;
    // Where it is not here, it may be on another machine.
    let verdict = run.check(&run.host(), "preflight.outside").unwrap();
    assert!(
        matches!(&verdict, Verdict::Satisfied { saw, .. } if saw.contains("left to a proxy of your own")),
        "{verdict:?}"
    );
    let host = run.host();
    host.world(|world| {
        let haproxy = PortOwner {
            process: "haproxy".into(),
            ..PortOwner::default()
        };
        world.ports.insert((Transport::Tcp, 443), haproxy);
        world.outside.drops.insert(Door::tcp(443));
    });
    let verdict = run.check(&host, "preflight.outside").unwrap();
    assert_eq!(verdict, Verdict::needed("TCP 443 not looked at from outside yet"));
    assert_eq!(run.deploy(&host).unwrap_err().code(), "OUTSIDE_PORT_SHUT");
    assert!(host.world(|world| world.packages.is_empty()));
    // After the install its own port is told.
    let mut run = least(&DISTROS[0]);
    let host = run.host();
    run.deploy(&host).unwrap();
    run.site.proxy = ProxyChoice::None;
    assert_eq!(
        note(&run.check(&host, "verify.outside").unwrap()),
        "PORT_8080_PUBLIC"
    );
    host.world(|world| world.outside.drops = [Door::tcp(80)].into());
    assert_eq!(
        note(&run.check(&host, "verify.outside").unwrap()),
        "PORT_8080_PUBLIC",
        "who needs no port 80 is not told of it"
    );
}

#[test]
fn what_was_seen_counts_for_a_few_minutes_alone() {
    let run = least(&DISTROS[0]);
    let host = run.host();
    let mut later = least(&DISTROS[0]);
    let step = crate::runbook::step("preflight.outside").unwrap();
    later.memory = run.remembered(&host, step);
    assert!(later.check(&host, "preflight.outside").unwrap().is_satisfied());
    host.advance(11 * 60);
    assert!(!later.check(&host, "preflight.outside").unwrap().is_satisfied());
}
