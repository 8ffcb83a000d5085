//! Whose the labels in the override are: ours are those that were not there before, and only they go.

use super::driver::{Run, behind_traefik, limited};
use crate::host::fake::{FakeHost, Mode};
use crate::runbook::chapters::uninstall::STEPS;
use crate::runbook::distro::DISTROS;
use crate::runbook::route;

const OVERRIDE: &str = "/srv/chatalot/docker-compose.override.yml";
const MADE: &str = "/var/lib/chatalot-agent/made";

fn text(host: &FakeHost, path: &str) -> Option<String> {
    host.world(|world| world.text(path))
}

/// The notes of what is ours in the override.
fn notes(host: &FakeHost) -> Vec<String> {
    let made = text(host, MADE).unwrap_or_default();
    let lines = made.lines().filter(|line| line.starts_with("override traefik "));
    lines.map(str::to_owned).collect()
}

/// The override that we write.
fn ours() -> String {
    let mut run = behind_traefik(&DISTROS[0]);
    let host = run.host();
    run.deploy(&host).unwrap();
    text(&host, OVERRIDE).unwrap()
}

/// A host on which an operator has put the site behind Traefik himself, in his words.
fn by_hand(theirs: &str) -> (Run, FakeHost) {
    let run = behind_traefik(&DISTROS[0]);
    let host = run.host();
    host.world(|world| world.put(OVERRIDE, theirs));
    (run, host)
}

#[test]
fn what_an_operator_has_written_in_other_words_is_as_it_was_after_all_has_gone() {
    let ours = ours();
    let middlewares = |line: &&str| line.contains("middlewares");
    let his: Vec<&str> = ours.lines().filter(|line| !middlewares(line)).collect();
    let rule = "      - \"traefik.http.routers.chatalot.tls=true\"\n";
    for theirs in [
        ours.trim_end().to_owned(),
        ours.replace('\n', "\r\n"),
        ours.replace('"', "'"),
        ours.replace('"', ""),
        // The runbook's labels without the headers and the compression, and one that we never write.
        his.join("\n") + "\n",
        ours.replace(
            rule,
            &format!("{rule}      - traefik.http.routers.chatalot.priority=9\n"),
        ),
    ] {
        let (mut run, host) = by_hand(&theirs);
        run.deploy(&host)
            .unwrap_or_else(|stop| panic!("{theirs}: {stop:?}"));
        run.walk(&host, STEPS).unwrap();
        assert_eq!(text(&host, OVERRIDE), Some(theirs));
        assert_eq!(notes(&host), Vec::<String>::new());
    }
}

#[test]
fn what_is_ours_beside_an_operators_labels_goes_though_the_run_may_be_killed_in_any_call() {
    let theirs = "services:\n  chatalot:\n    labels:\n      - traefik.enable=true\n      - traefik.http.routers.chatalot.priority=9\n";
    let (mut run, calm) = by_hand(theirs);
    run.deploy(&calm).unwrap();
    let (made, whole) = (notes(&calm), text(&calm, OVERRIDE));
    let is_noted = |key: &str| made.iter().any(|line| line.ends_with(key));
    assert!(
        is_noted(".rule") && !is_noted(".enable") && !is_noted(".priority"),
        "{made:?}"
    );
    for n in 1..=calm.calls() {
        for mode in [Mode::NoEffect, Mode::EffectButAnswerLost] {
            let (mut run, host) = by_hand(theirs);
            host.kill_nth(n, mode);
            let _ = run.deploy(&host);
            host.heal();
            // What is in it is noted, at every moment.
            let now = text(&host, OVERRIDE).unwrap();
            assert!(now == theirs || notes(&host) == made, "call {n}, {mode:?}: {now}");
            run.deploy(&host).unwrap();
            assert_eq!(
                (notes(&host), text(&host, OVERRIDE)),
                (made.clone(), whole.clone())
            );
            run.walk(&host, STEPS).unwrap();
            assert_eq!(
                text(&host, OVERRIDE).as_deref(),
                Some(theirs),
                "call {n}, {mode:?}"
            );
            assert_eq!(notes(&host), Vec::<String>::new());
        }
    }
}

/// A host whose compose takes up nothing.
fn refusing() -> (Run, FakeHost) {
    let run = behind_traefik(&DISTROS[0]);
    let host = run.host();
    host.world(|world| super::bad_inputs::fails(world, "docker compose up -d", "no such network"));
    (run, host)
}

#[test]
fn the_notes_go_back_with_an_override_that_compose_refuses_wherever_the_run_is_killed() {
    let (mut run, calm) = refusing();
    assert_eq!(run.deploy(&calm).unwrap_err().code(), "COMPOSE_UP_FAILED");
    assert_eq!((text(&calm, OVERRIDE), notes(&calm)), (None, Vec::new()));
    for n in 1..=calm.calls() {
        for mode in [Mode::NoEffect, Mode::EffectButAnswerLost] {
            let (mut run, host) = refusing();
            host.kill_nth(n, mode);
            let _ = run.deploy(&host);
            host.heal();
            let is_there = text(&host, OVERRIDE).is_some();
            assert!(!is_there || !notes(&host).is_empty(), "call {n}, {mode:?}");
            run.walk(&host, STEPS).unwrap();
            assert_eq!(
                (text(&host, OVERRIDE), notes(&host)),
                (None, Vec::new()),
                "call {n}, {mode:?}"
            );
        }
    }
}

#[test]
fn a_limit_that_has_gone_is_noted_no_more() {
    let mut run = limited(behind_traefik(&DISTROS[0]));
    let host = run.host();
    run.deploy(&host).unwrap();
    let limits = |host: &FakeHost| {
        notes(host)
            .iter()
            .filter(|line| line.contains("chatalot-limit"))
            .count()
    };
    assert_eq!(limits(&host), 1);
    run.memory.insert(route::KEY.to_owned(), route::OPEN.to_owned());
    run.deploy(&host).unwrap();
    assert!(!text(&host, OVERRIDE).unwrap().contains("chatalot-limit"));
    assert_eq!(limits(&host), 0);
    run.walk(&host, STEPS).unwrap();
    assert_eq!(text(&host, OVERRIDE), None);
}
