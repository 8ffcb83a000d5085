//! Strangers are kept out until the administrator has registered, whichever proxy does it.

use super::differ;
use super::driver::{Run, behind_nginx, behind_traefik, least, limited};
use crate::host::fake::{FakeHost, Mode};
use crate::host::{Fetch, Look};
use crate::runbook::answer::LOCAL_PROXY;
use crate::runbook::chapters::opening::STEPS;
use crate::runbook::chapters::uninstall;
use crate::runbook::distro::{DISTROS, Distro};
use crate::runbook::route::{self, STRANGER};
use chatalot_protocol::report::Verdict;
use futures_util::FutureExt;

fn every_proxy(row: &'static Distro) -> [(&'static str, Run); 3] {
    [
        ("Caddy", limited(least(row))),
        ("nginx", limited(behind_nginx(row))),
        ("Traefik", limited(behind_traefik(row))),
    ]
}

/// What somebody gets who is not let in.
fn stranger(host: &FakeHost) -> u16 {
    let mut page = Fetch::page("https://chat.example.com/api/health");
    (page.connect_to, page.from) = (Some(LOCAL_PROXY), Some(STRANGER));
    host.fetch(page).now_or_never().unwrap().unwrap().status
}

fn registers(host: &FakeHost, name: &str) {
    host.world(|world| world.accounts = Some(vec![(name.to_owned(), true)]));
}

fn saw(verdict: Verdict) -> String {
    match verdict {
        Verdict::Satisfied { saw, .. } => saw,
        Verdict::Needed { why } => why,
        Verdict::Blocked { advice } => advice.code.to_string(),
    }
}

// coverage: assumed · every row · caddy, nginx, traefik · limited until admin
#[test]
fn strangers_are_kept_out_until_the_route_is_opened_and_then_let_in() {
    let rows = DISTROS.iter().filter(|row| row.refused.is_none());
    for (name, mut run) in rows.flat_map(every_proxy) {
        let host = run.host();
        run.deploy(&host)
            .unwrap_or_else(|stop| panic!("{name}: {stop:?}"));
        assert_eq!(stranger(&host), 403, "{name}");
        let public = saw(run.check(&host, "verify.public").unwrap());
        assert!(
            public.contains("answers, version"),
            "{name}: the host itself is let in: {public}"
        );
        let world = saw(run.check(&host, "verify.outside").unwrap());
        assert!(
            world.contains("/api/health kept from strangers"),
            "{name}: {world}"
        );
        let handover = run.handover(&host);
        assert_eq!(handover.open_to_first_comer, Some(true), "{name}");
        assert_eq!(
            handover.let_in.as_deref(),
            Some("198.51.100.7, 2001:db8::/48"),
            "{name}"
        );
        registers(&host, "alice");
        run.walk(&host, STEPS)
            .unwrap_or_else(|stop| panic!("{name}: {stop:?}"));
        assert_eq!(stranger(&host), 200, "{name}");
        let writes = host.writes();
        run.walk(&host, STEPS).unwrap();
        run.deploy(&host).unwrap();
        assert_eq!(host.writes(), writes, "{name}: {:?}", host.log());
        assert_eq!(run.handover(&host).let_in, None, "{name}");
    }
}

#[test]
fn an_opening_may_fail_or_be_killed_in_any_call_and_ends_the_same() {
    for (name, mut run) in every_proxy(&DISTROS[0]) {
        let prepared = |run: &mut Run| {
            let host = run.host();
            run.memory.clear();
            run.deploy(&host).unwrap();
            registers(&host, "alice");
            host
        };
        let calm = prepared(&mut run);
        let before = calm.calls();
        run.walk(&calm, STEPS).unwrap();
        let (calls, end) = (calm.calls() - before, calm.snapshot());
        for n in 1..=calls {
            for mode in [Mode::NoEffect, Mode::EffectButAnswerLost] {
                for spoil in [FakeHost::fail_nth, FakeHost::kill_nth] {
                    let host = prepared(&mut run);
                    spoil(&host, n, mode);
                    let _ = run.walk(&host, STEPS);
                    host.heal();
                    run.walk(&host, STEPS)
                        .unwrap_or_else(|stop| panic!("{name}, call {n}, {mode:?}: {stop:?}"));
                    let now = host.snapshot();
                    assert!(now == end, "{name}, call {n}, {mode:?}: {}", differ(&now, &end));
                }
            }
        }
    }
}

#[test]
fn nothing_of_a_limit_is_left_when_the_site_is_taken_away() {
    for (name, mut run) in every_proxy(&DISTROS[0]) {
        let host = run.host();
        run.deploy(&host).unwrap();
        run.walk(&host, uninstall::WITH_DATA).unwrap();
        let texts = host.world(|world| world.files.values().cloned().collect::<Vec<_>>());
        for text in texts {
            let text = String::from_utf8_lossy(&text);
            assert!(!text.contains("198.51.100.7"), "{name}: {text}");
        }
    }
}

#[test]
fn a_site_whose_administrator_is_there_is_never_limited() {
    for (name, run) in every_proxy(&DISTROS[0]) {
        let mut run = run;
        let limit = std::mem::take(&mut run.site.limit_until_admin);
        let host = run.host();
        run.deploy(&host).unwrap();
        registers(&host, "Alice");
        run.site.limit_until_admin = limit;
        run.deploy(&host).unwrap();
        assert_eq!(
            (stranger(&host), run.memory[route::KEY].as_str()),
            (200, route::OPEN),
            "{name}"
        );
    }
}

#[test]
fn what_is_not_known_of_the_administrator_is_told_and_keeps_the_limit() {
    let (_, mut run) = every_proxy(&DISTROS[0]).into_iter().next().unwrap();
    let host = run.host();
    run.deploy(&host).unwrap();
    let watched = |host: &FakeHost, run: &Run| saw(run.check(host, "open.admin").unwrap());
    assert!(watched(&host, &run).contains("until alice has registered"));
    registers(&host, "mallory");
    assert_eq!(watched(&host, &run), "ADMIN_OTHER");
    assert_eq!(run.handover(&host).open_to_first_comer, Some(false));
    host.world(|world| world.accounts = None);
    assert_eq!(watched(&host, &run), "ADMIN_UNTOLD");
    assert_eq!(run.handover(&host).open_to_first_comer, None);
    run.deploy(&host).unwrap();
    assert_eq!(stranger(&host), 403);
    registers(&host, "alice");
    assert!(watched(&host, &run).contains("about to be opened"));
}

#[test]
fn a_new_address_of_the_host_is_let_in_by_the_next_deployment() {
    for (name, mut run) in every_proxy(&DISTROS[0]) {
        let host = run.host();
        run.deploy(&host).unwrap();
        host.world(|world| world.addresses.push("203.0.113.77".parse().unwrap()));
        let needed = saw(run.check(&host, "proxy.limit").unwrap());
        assert!(needed.contains("203.0.113.77"), "{name}: {needed}");
        run.deploy(&host).unwrap();
        assert!(run.memory[route::KEY].contains("203.0.113.77"), "{name}");
        assert!(
            saw(run.check(&host, "proxy.limit").unwrap()).contains("until alice"),
            "{name}"
        );
    }
}

#[test]
fn a_proxy_that_lets_strangers_in_too_early_is_not_taken_for_one_that_does_not() {
    let (_, mut run) = every_proxy(&DISTROS[0]).into_iter().next().unwrap();
    let host = run.host();
    run.deploy(&host).unwrap();
    host.world(|world| {
        let loaded = world.caddy_loaded.take().unwrap();
        world.caddy_loaded = Some(loaded.replace("respond @outsiders", "respond @nobody"));
    });
    host.advance(600);
    let needed = saw(run.check(&host, "proxy.site").unwrap());
    assert!(
        needed.contains("a stranger is answered with status 200"),
        "{needed}"
    );
}
