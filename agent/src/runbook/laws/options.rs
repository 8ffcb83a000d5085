//! What the options of a site must find: voice and video, single sign-on, a private registry.

use super::bad_inputs::{container, deployed, listens};
use super::driver::{Run, Stop, behind_nginx, behind_traefik, full, least, tunnelled};
use crate::host::fake::{FakeHost, Mode, World};
use crate::host::{FetchError, Fetched, PortOwner, Transport};
use crate::runbook::distro::DISTROS;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::secret::Secret;
use chatalot_protocol::site::Site;

type Spoil = fn(&mut World);

pub(super) const ISSUER: &str =
    "https://auth.example.com/application/o/chatalot/.well-known/openid-configuration";
const REGISTRY: &str = "https://registry.example.net/v2/";

fn page(world: &mut World, url: &str, status: u16, body: &str) {
    let page = Fetched {
        status,
        body: body.into(),
        ..Fetched::default()
    };
    world.pages.insert(url.into(), Ok(page));
}

/// The external address is not on any interface any more.
fn behind_nat(world: &mut World) {
    world.addresses.remove(0);
    world.seen_address = Some("203.0.113.42".parse().unwrap());
}

/// On a fresh host: what is spoilt, and how the deployment must end, nothing written.
const FRESH: &[(&str, Spoil)] = &[
    ("TURN_IP_NOT_OURS", |w| {
        w.addresses[0] = "203.0.113.7".parse().unwrap();
        w.dns.get_mut("chat.example.com").unwrap()[0].a =
            crate::host::Records::Found(vec!["203.0.113.7".parse().unwrap()]);
    }),
    ("OIDC_NOT_FOUND", |w| page(w, ISSUER, 404, "")),
    ("OIDC_NOT_DISCOVERY", |w| page(w, ISSUER, 200, "<html>")),
    ("OIDC_ISSUER_MISMATCH", |w| {
        page(w, ISSUER, 200, r#"{"issuer":"https://auth.example.com/"}"#);
    }),
    ("OIDC_ENDPOINTS", |w| {
        let issuer = ISSUER.trim_end_matches(".well-known/openid-configuration");
        page(w, ISSUER, 200, &format!(r#"{{"issuer":"{issuer}"}}"#));
    }),
    ("OIDC_UNREACHABLE", |w| {
        w.pages
            .insert(ISSUER.into(), Err(FetchError::Tls("it has expired".into())));
    }),
    ("passing OIDC_UNREACHABLE", |w| {
        w.pages
            .insert(ISSUER.into(), Err(FetchError::Name("auth.example.com".into())));
    }),
];

/// On a deployed host: which step must find what, once something is spoilt.
const DEPLOYED: &[(&str, &str, Spoil)] = &[
    ("verify.turn", "TURN_BEHIND_NAT", behind_nat),
    ("verify.turn", "TURN_SECRET_MISSING", |w| {
        w.put("/srv/chatalot/secrets/turn_secret", "\n");
    }),
    ("verify.turn", "TURN_NO_TCP", |w| w.turn.deaf_on_tcp = true),
    ("verify.turn", "TURN_NO_TLS", |w| {
        listens(w, 5349, "turnserver", None);
    }),
    ("verify.turn", "TURN_NO_RELAY", |w| w.turn.full = true),
    ("verify.turn", "TURN_OPEN", |w| w.turn.open = true),
    ("verify.turn", "TURN_RELAY_ADDRESS", |w| {
        w.turn.relay = Some("10.0.0.5:49152".parse().unwrap());
    }),
    ("verify.turn", "TURN_RELAY_RANGE", |w| {
        w.turn.relay = Some("203.0.113.42:60000".parse().unwrap());
    }),
    ("install.registry", "REGISTRY_DENIED", |w| {
        w.registry_token = Some("another".into());
    }),
    ("install.registry", "passing REGISTRY_UNREACHABLE", |w| {
        page(w, REGISTRY, 502, "");
    }),
];

#[test]
fn a_site_behind_a_tunnel_needs_no_proxy_no_ports_and_no_address_of_its_own() {
    let mut run = tunnelled(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    host.world(|world| {
        for port in [80, 443] {
            let nginx = PortOwner {
                process: "nginx".into(),
                ..PortOwner::default()
            };
            world.ports.insert((Transport::Tcp, port), nginx);
        }
    });
    run.deploy(&host).unwrap();
    assert!(host.world(|world| !world.packages.contains("caddy")));
    for id in ["proxy.package", "proxy.site", "verify.certificate"] {
        assert!(!crate::runbook::step(id).unwrap().applies(&run.site), "{id}");
    }
    host.world(|world| container(world, "chatalot-tunnel").state = "exited".into());
    let verdict = run.check(&host, "verify.public").unwrap();
    assert!(
        matches!(&verdict, Verdict::Blocked { advice } if advice.code == "TUNNEL_NOT_CONNECTED"),
        "{verdict:?}"
    );
    let firewall = &run.handover(&host).duties[1].todo;
    assert!(
        firewall.starts_with("nothing has to be open for the tunnel"),
        "{firewall}"
    );
}

#[test]
fn a_tunnels_name_must_lead_to_cloudflare() {
    for (addresses, code) in [
        (&["203.0.113.42"][..], "TUNNEL_NAME_ELSEWHERE"),
        (&[], "TUNNEL_NAME_NONE"),
    ] {
        let mut run = tunnelled(&DISTROS[0]);
        let host = FakeHost::fresh(run.distro);
        host.world(|world| {
            for answers in world.dns.get_mut("tunnel.example.com").unwrap() {
                let all = addresses.iter().map(|ip| ip.parse().unwrap());
                answers.a = crate::host::Records::Found(all.collect());
            }
        });
        assert_eq!(run.deploy(&host).unwrap_err().code(), code);
        assert_eq!(host.writes(), 0);
    }
}

// coverage: assumed · every row · caddy, tunnel · overwrite-env, loopback-only
#[test]
fn an_env_that_is_written_anew_on_request_loses_no_secret_and_leaves_a_copy() {
    let rows = DISTROS.iter().filter(|row| row.refused.is_none());
    for mut run in rows.flat_map(|row| [least(row), tunnelled(row)]) {
        run.site.loopback_only = true;
        is_written_anew_without_loss(run);
    }
}

fn is_written_anew_without_loss(mut run: Run) {
    let host = run.host();
    run.deploy(&host).unwrap();
    run.site.registration = "open".parse().unwrap();
    assert_eq!(run.deploy(&host).unwrap_err().code(), "INSTALLER_KEPT_ENV");
    run.site.overwrite_env = true;
    run.deploy(&host).unwrap();
    let env = host.world(|world| world.text("/srv/chatalot/.env")).unwrap();
    assert!(
        env.contains("DB_PASSWORD=generated") && env.contains("REGISTRATION_MODE=open"),
        "{env}"
    );
    let copies = host.world(|world| {
        let files = world
            .files
            .iter()
            .filter(|(path, _)| path.starts_with("/srv/chatalot/copies"));
        files
            .map(|(_, text)| String::from_utf8_lossy(text).into_owned())
            .collect::<Vec<_>>()
    });
    assert!(
        copies
            .iter()
            .any(|text| text.contains("REGISTRATION_MODE=invite_only")),
        "{copies:?}"
    );
    let writes = host.writes();
    run.deploy(&host).unwrap();
    assert_eq!(
        host.writes(),
        writes,
        "it was written anew once more, without need"
    );
}

type Switch = fn(&mut Site);

/// What can be another way on a deployed host.
const SWITCHES: &[(&str, Switch)] = &[
    ("voice and video off", |site| site.turn = None),
    ("managed updates off", |site| site.updates = false),
    ("single sign-on off", |site| site.oidc = None),
    ("another administrator", |site| {
        site.admin = "bob".parse().unwrap();
    }),
    ("passwords off", |site| {
        site.oidc.as_mut().unwrap().disable_password_login = true;
    }),
];

/// The services that run, sorted.
fn services(host: &FakeHost) -> Vec<String> {
    let mut there: Vec<String> = host.world(|world| {
        let all = world.containers.values();
        all.map(|one| one.service.clone()).collect()
    });
    there.sort();
    there
}

#[test]
fn every_option_is_taken_up_in_either_direction_or_told_as_kept() {
    for (what, switch) in SWITCHES {
        let mut run = full(&DISTROS[0]);
        let host = FakeHost::fresh(run.distro);
        run.deploy(&host).unwrap();
        let mut sites = [run.site.clone(), run.site.clone()];
        switch(&mut sites[1]);
        for at in [1, 0, 1] {
            run.site = sites[at].clone();
            let before = services(&host);
            let stop = run.deploy(&host).unwrap_err();
            assert_eq!(stop.code(), "INSTALLER_KEPT_ENV", "{what}, {at}: {stop:?}");
            assert_eq!(services(&host), before, "{what}, {at}");
            run.site.overwrite_env = true;
            run.deploy(&host)
                .unwrap_or_else(|stop| panic!("{what}, {at}: {stop:?}"));
            let mut wanted: Vec<String> = crate::runbook::containers::least(&run.site)
                .into_iter()
                .map(str::to_owned)
                .collect();
            wanted.sort();
            assert_eq!(services(&host), wanted, "{what}, {at}");
            let writes = host.writes();
            run.deploy(&host).unwrap();
            assert_eq!(host.writes(), writes, "{what}, {at}: not at rest");
        }
    }
}

#[test]
fn f40_what_was_switched_off_ends_though_the_run_may_be_killed_in_any_call() {
    let prepared = || {
        let mut run = full(&DISTROS[0]);
        let host = FakeHost::fresh(run.distro);
        run.deploy(&host).unwrap();
        (run.site.turn, run.site.updates) = (None, false);
        run.site.overwrite_env = true;
        (host, run)
    };
    let (calm, mut run) = prepared();
    let before = calm.calls();
    run.deploy(&calm).unwrap();
    let end = services(&calm);
    assert_eq!(end, ["chatalot", "postgres"]);
    for n in 1..=calm.calls() - before {
        let (host, mut run) = prepared();
        host.kill_nth(n, Mode::EffectButAnswerLost);
        let _ = run.deploy(&host);
        host.heal();
        host.advance(600);
        run.deploy(&host)
            .unwrap_or_else(|stop| panic!("call {n}: {stop:?}"));
        assert_eq!(services(&host), end, "call {n}");
    }
}

// coverage: assumed · Debian 13 · nginx, traefik · TURN, updater on, updater off, registry, OIDC, overwrite-env, loopback-only
#[test]
fn every_option_ends_deployed_behind_the_other_proxies_too() {
    for (kind, updates) in [behind_nginx, behind_traefik]
        .into_iter()
        .flat_map(|kind| [(kind, true), (kind, false)])
    {
        let (mut run, all) = (kind(&DISTROS[0]), full(&DISTROS[0]));
        (run.site.turn, run.site.oidc) = (all.site.turn, all.site.oidc);
        (run.site.registry_user, run.secrets) = (all.site.registry_user, all.secrets);
        run.site.updates = updates;
        run.site.loopback_only = updates;
        let host = run.host();
        run.deploy(&host).unwrap();
        run.site.registration = "open".parse().unwrap();
        run.site.overwrite_env = true;
        run.deploy(&host).unwrap();
        let env = host.world(|world| world.text("/srv/chatalot/.env")).unwrap();
        assert!(
            env.contains("DB_PASSWORD=generated") && env.contains("REGISTRATION_MODE=open"),
            "{env}"
        );
    }
}

#[test]
fn f40_an_overwriting_run_may_be_killed_in_any_call_and_no_secret_is_lost() {
    let prepared = || {
        let mut run = least(&DISTROS[0]);
        let host = FakeHost::fresh(run.distro);
        run.deploy(&host).unwrap();
        run.site.registration = "open".parse().unwrap();
        run.site.overwrite_env = true;
        (host, run)
    };
    let (calm, mut run) = prepared();
    let before = calm.calls();
    run.deploy(&calm).unwrap();
    for n in 1..=calm.calls() - before {
        for mode in [Mode::NoEffect, Mode::EffectButAnswerLost] {
            let (host, mut run) = prepared();
            host.kill_nth(n, mode);
            let _ = run.deploy(&host);
            host.heal();
            host.advance(600);
            // Whether or not the operator asks for it again.
            run.site.overwrite_env = n % 2 == 0;
            let again = run.deploy(&host);
            let env = host.world(|world| world.text("/srv/chatalot/.env")).unwrap();
            assert!(
                env.contains("DB_PASSWORD=generated"),
                "call {n}, {mode:?}, {again:?}: {env}"
            );
            let pending = host.world(|world| world.text("/srv/chatalot/copies/pending"));
            assert_eq!(pending, None, "call {n}, {mode:?}");
        }
    }
}

fn ending(spoil: Spoil) -> (FakeHost, Stop) {
    let mut run = full(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    host.world(spoil);
    let stop = run.deploy(&host).unwrap_err();
    (host, stop)
}

fn finding(step: &str, spoil: Spoil) -> Stop {
    let (host, run) = deployed();
    host.world(spoil);
    match run.check(&host, step) {
        Ok(Verdict::Blocked { advice }) => Stop::Advice(advice.into()),
        Ok(other) => panic!("{step}: {other:?}"),
        Err(found) => found,
    }
}

/// Every finding of both tables.
pub(super) fn every_finding() -> Vec<Advice> {
    let fresh = FRESH.iter().map(|(_, spoil)| ending(*spoil).1);
    let deployed = DEPLOYED.iter().map(|(step, _, spoil)| finding(step, *spoil));
    fresh
        .chain(deployed)
        .map(|stop| match stop {
            Stop::Advice(advice) | Stop::Passing(advice) => *advice,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn an_option_that_cannot_work_stops_before_anything_is_written() {
    for (code, spoil) in FRESH {
        let (host, stop) = ending(*spoil);
        assert_eq!(stop.code(), *code, "{stop:?}");
        assert_eq!(host.writes(), 0, "{code}");
    }
}

#[test]
fn each_option_is_looked_at_by_its_effect() {
    for (step, code, spoil) in DEPLOYED {
        let stop = finding(step, *spoil);
        assert_eq!(stop.code(), *code, "{step}: {stop:?}");
    }
}

#[test]
fn a_token_that_the_registry_refuses_never_replaces_one_that_it_accepts() {
    let (host, mut run) = deployed();
    let before = host.world(|world| world.text("/srv/chatalot/secrets/registry_creds"));
    run.secrets.registry_token = Some(Secret::new("a-wrong-one"));
    assert_eq!(run.deploy(&host).unwrap_err().code(), "REGISTRY_DENIED");
    let after = host.world(|world| world.text("/srv/chatalot/secrets/registry_creds"));
    assert_eq!(after, before);
}

#[test]
fn f53_an_updater_that_is_refused_gets_the_credentials_and_is_started_anew() {
    let (host, mut run) = deployed();
    for spoilt in [
        "",
        "{\"username\":\"deploy-alice\",\"password\":\"old\",\"serveraddress\":\"registry.example.net\"}",
    ] {
        host.world(|world| {
            world.put("/srv/chatalot/secrets/registry_creds", spoilt);
        });
        let needed = run.check(&host, "install.registry").unwrap();
        assert!(matches!(needed, Verdict::Needed { .. }), "{needed:?}");
        run.deploy(&host).unwrap();
        let file = host.world(|world| world.text("/srv/chatalot/secrets/registry_creds"));
        assert!(file.unwrap().contains("registry-token-1"));
        assert!(
            host.log()
                .iter()
                .any(|call| call.ends_with("compose restart chatalot-updater"))
        );
    }
}

#[test]
fn one_to_one_nat_is_recognised_and_not_taken_for_a_wrong_address() {
    let run = full(&DISTROS[0]);
    let host = FakeHost::fresh(run.distro);
    host.world(behind_nat);
    let verdict = run.check(&host, "preflight.turn").unwrap();
    assert!(
        matches!(&verdict, Verdict::Satisfied { saw, .. } if saw.contains("one-to-one NAT")),
        "{verdict:?}"
    );
    let (host, run) = deployed();
    host.world(|world| {
        behind_nat(world);
        world.turn.everywhere = true;
    });
    let verdict = run.check(&host, "verify.turn").unwrap();
    assert!(
        matches!(&verdict, Verdict::Satisfied { saw, .. } if saw.contains("one-to-one NAT: it listens at 10.0.0.5")),
        "{verdict:?}"
    );
}

#[test]
fn turn_over_tls_is_asked_for_where_somebody_listens() {
    let (host, run) = deployed();
    let saw = |verdict: Verdict| match verdict {
        Verdict::Satisfied { saw, .. } => saw,
        other => panic!("{other:?}"),
    };
    assert!(saw(run.check(&host, "verify.turn").unwrap()).contains("TLS is off"));
    host.world(|world| world.turn.tls = true);
    assert!(saw(run.check(&host, "verify.turn").unwrap()).contains("over TLS 5349"));
}

#[test]
fn a_site_without_options_has_none_of_their_steps() {
    let run = least(&DISTROS[0]);
    for id in [
        "preflight.turn",
        "preflight.oidc",
        "install.registry",
        "verify.turn",
    ] {
        assert!(!crate::runbook::step(id).unwrap().applies(&run.site), "{id}");
    }
}
