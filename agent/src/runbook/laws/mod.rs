//! What holds for every step, on every supported distribution, for every kind of site.

mod again;
mod bad_inputs;
mod distributions;
mod driver;
mod earlier;
mod fronts;
mod labels;
mod limits;
mod options;
mod outside;
mod stories;
mod undoing;

use super::distro::DISTROS;
use super::{Intent, Step, steps};
use crate::host::fake::{EngineState, FakeHost, Mode, World};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use std::collections::{BTreeMap, BTreeSet};

/// A deployed host, and what is remembered of its site, which has every feature of the runbook.
pub(super) fn deployed() -> (FakeHost, Site, BTreeMap<String, String>) {
    let (host, run) = bad_inputs::deployed();
    (host, run.site, run.memory)
}

/// Whether a site ends well on its host when it is deployed again.
pub(super) fn is_well_again(host: &FakeHost, site: &Site, memory: &BTreeMap<String, String>) -> bool {
    let mut run = full(&DISTROS[0]);
    (run.site, run.memory) = (site.clone(), memory.clone());
    run.deploy(host).is_ok()
}

/// What the checks of a chapter tell a person to do.
pub(super) async fn findings(
    host: &FakeHost,
    site: &Site,
    memory: &BTreeMap<String, String>,
    chapter: &str,
) -> Vec<Advice> {
    let (all, tags) = (steps().collect::<Vec<_>>(), BTreeMap::new());
    let cx = super::Cx {
        site,
        distro: &DISTROS[0],
        host,
        memory,
        secret_tags: &tags,
    };
    let findings = super::plan::report(&all, cx, chapter).await;
    let blocked = findings.into_iter().filter_map(|finding| match finding.verdict {
        Verdict::Blocked { advice } => Some(advice),
        _ => None,
    });
    blocked.collect()
}

/// Every finding of the tables here.
pub(super) fn every_finding() -> Vec<Advice> {
    [
        bad_inputs::every_finding(),
        options::every_finding(),
        again::every_finding(),
    ]
    .concat()
}
use driver::{Run, Stop, behind_nginx, behind_traefik, full, least, limited, tunnelled, with_everything};

/// Every supported distribution with every kind of site.
fn every_case() -> Vec<(&'static str, Run)> {
    let rows = DISTROS.iter().filter(|row| row.refused.is_none());
    let kinds = [
        least,
        full,
        with_everything,
        tunnelled,
        behind_nginx,
        behind_traefik,
    ];
    let everywhere = rows.flat_map(|row| kinds.map(|kind| (row.name, kind(row))));
    // What a limited site adds is the proxy's, which no row changes.
    let limits = [
        ("Caddy, limited", limited(least(&DISTROS[0]))),
        ("nginx, limited", limited(behind_nginx(&DISTROS[0]))),
        ("Traefik, limited", limited(behind_traefik(&DISTROS[0]))),
    ];
    everywhere.chain(limits).collect()
}

#[test]
fn step_ids_are_unique_and_named_after_their_chapter() {
    let mut seen = BTreeSet::new();
    for chapter in super::chapters::CHAPTERS {
        assert!(!chapter.steps.is_empty(), "{} is empty", chapter.name);
        for step in chapter.steps {
            assert_eq!(step.step_id().chapter(), chapter.name, "{}", step.id());
            assert!(seen.insert(step.id()), "{} twice", step.id());
            assert!(!step.title().is_empty(), "{}", step.id());
        }
    }
}

#[test]
fn a_step_comes_after_one_that_is_before_it_and_always_there() {
    let mut before = BTreeSet::new();
    for step in steps() {
        if let Some(after) = step.after() {
            assert!(before.contains(after), "{} is not after {after}", step.id());
            assert!(
                super::step(after).unwrap().applies(&least(&DISTROS[0]).site),
                "{after} may be left out"
            );
        }
        before.insert(step.id());
    }
}

#[test]
fn a_third_partys_repository_is_set_up_where_a_row_needs_it_and_not_elsewhere() {
    for (name, mut run) in every_case() {
        let host = run.host();
        run.deploy(&host).unwrap();
        let ours = |path: &std::path::Path| path.to_string_lossy().contains("chatalot-docker.");
        let there = host.world(|world| world.files.keys().any(|path| ours(path)));
        let foreign = run.host().world(|world| world.engine != EngineState::Absent);
        let wanted = run.distro.repositories.iter().any(|one| one.name == "docker") && !foreign;
        assert_eq!(there, wanted, "{name}");
    }
}

#[test]
fn every_effect_is_announced_and_a_probe_announces_none() {
    for (name, run) in every_case() {
        let intent = Intent {
            site: &run.site,
            distro: run.distro,
        };
        for step in steps().filter(|step| step.applies_to(&intent)) {
            let host = run.host();
            let probe = matches!(run.apply_alone(&host, step), Err(Stop::Probe));
            assert_eq!(step.effects(&intent).is_empty(), probe, "{} on {name}", step.id());
            assert!(
                !probe || host.writes() == 0,
                "{} is a probe that writes",
                step.id()
            );
        }
    }
}

#[test]
fn effects_never_show_a_secret() {
    let run = with_everything(&DISTROS[0]);
    let intent = Intent {
        site: &run.site,
        distro: run.distro,
    };
    for step in steps() {
        let text = step.effects(&intent).join("\n");
        for (name, secret) in run.secrets.present() {
            assert!(!text.contains(secret.expose()), "{} shows {name}", step.id());
        }
    }
}

// coverage: assumed · every row · caddy · updater off
// coverage: assumed · every row · caddy · TURN, updater on, registry, OIDC
// coverage: assumed · every row · caddy · TURN, updater on, registry, OIDC, SSO only, loopback-only
// coverage: assumed · every row · tunnel · updater off
// coverage: assumed · every row · nginx · TURN, updater on
// coverage: assumed · every row · traefik · updater off
#[test]
fn a_fresh_host_ends_deployed_and_a_second_run_writes_nothing() {
    for (name, mut run) in every_case() {
        let host = run.host();
        run.deploy(&host)
            .unwrap_or_else(|stop| panic!("{name}: {stop:?}"));
        let (writes, end) = (host.writes(), host.snapshot());
        run.deploy(&host)
            .unwrap_or_else(|stop| panic!("{name}, again: {stop:?}"));
        assert_eq!(host.writes(), writes, "{name}: {:?}", host.log());
        assert!(host.snapshot() == end, "{name}");
        assert!(
            host.world(|world| world.unknown.is_empty()),
            "{:?}",
            host.world(|world| world.unknown.clone())
        );
        assert!(run.memory.contains_key("commit") && run.memory.contains_key("installer.public_url"));
    }
}

/// A site in the words of the coverage table.
fn claimed(site: &Site) -> String {
    let options = [
        (site.turn.is_some(), "TURN"),
        (site.updates, "updater on"),
        (!site.updates, "updater off"),
        (site.registry_user.is_some(), "registry"),
        (site.oidc.is_some(), "OIDC"),
        (
            site.oidc.as_ref().is_some_and(|oidc| oidc.disable_password_login),
            "SSO only",
        ),
        (site.loopback_only, "loopback-only"),
    ];
    let had: Vec<&str> = options
        .iter()
        .filter(|(has, _)| *has)
        .map(|(_, name)| *name)
        .collect();
    format!(
        "assumed · every row · {} · {}",
        if site.tunnel {
            "tunnel"
        } else {
            site.proxy.as_str()
        },
        had.join(", ")
    )
}

#[test]
fn what_the_coverage_table_is_told_of_these_laws_is_what_they_do() {
    let told = include_str!("mod.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("// coverage: "));
    let told: BTreeSet<String> = told.map(str::to_owned).collect();
    for row in DISTROS.iter().filter(|row| row.refused.is_none()) {
        let runs = every_case().into_iter().filter(|(name, _)| *name == row.name);
        let done: BTreeSet<String> = runs.map(|(_, run)| claimed(&run.site)).collect();
        assert_eq!(done, told, "{}", row.name);
    }
}

/// What two worlds differ in, as far as a message needs it.
fn differ(one: &World, other: &World) -> String {
    let lines = |world: &World| format!("{world:#?}");
    let (one, other) = (lines(one), lines(other));
    let odd = one.lines().zip(other.lines()).find(|(a, b)| a != b);
    format!("{odd:?}")
}

/// So many cases are broken at each of their calls: all kinds of site on one distribution, and on a second one those
/// that do not differ in their proxy alone.
const WHOLE: usize = 5 + 3;

/// Lets every host call of a deployment go wrong once, in turn, and deploys again.
fn break_every_call(modes: &[Mode], spoil: fn(&FakeHost, usize, Mode), between: fn(&mut World)) {
    let mut broken = 0;
    let mut known: BTreeSet<(String, String)> = BTreeSet::new();
    // The example with every feature of the runbook is contained in the one with everything.
    let kinds = every_case()
        .into_iter()
        .filter(|(_, run)| run.site != full(run.distro).site);
    for (at, (name, mut run)) in kinds.enumerate() {
        let calm = run.host();
        run.deploy(&calm).unwrap();
        calm.world(between);
        let (calls, end) = (calm.calls(), calm.snapshot());
        // The others are broken at what they say and none before them.
        let kind = format!("{:?}", run.site);
        let new = |line: &String| known.insert((kind.clone(), line.clone())) || at < WHOLE;
        let new: Vec<bool> = calm.log()[..calls].iter().map(new).collect();
        for n in (1..=calls).filter(|n| new[n - 1]) {
            for mode in modes {
                run.memory.clear();
                let host = run.host();
                spoil(&host, n, *mode);
                let _ = run.deploy(&host);
                host.heal();
                host.world(between);
                let what = || format!("{name}, call {n}, {mode:?}: {}", host.log()[n - 1]);
                run.deploy(&host)
                    .unwrap_or_else(|stop| panic!("{}: {stop:?}", what()));
                assert!(
                    host.snapshot() == end,
                    "{}: {}",
                    what(),
                    differ(&host.snapshot(), &end)
                );
                broken += 1;
            }
        }
    }
    assert!(broken > 400 * modes.len(), "only {broken} faults");
}

#[test]
fn f40_any_call_may_fail_once_and_running_again_ends_the_same() {
    let modes = [Mode::NoEffect, Mode::EffectButAnswerLost];
    break_every_call(&modes, FakeHost::fail_nth, |_| {});
}

#[test]
fn f40_a_run_may_be_killed_in_any_call_and_running_again_ends_the_same() {
    let modes = [Mode::NoEffect, Mode::EffectButAnswerLost];
    break_every_call(&modes, FakeHost::kill_nth, |_| {});
}

#[test]
fn f38_the_host_may_boot_after_any_call_and_running_again_ends_the_same() {
    break_every_call(&[Mode::EffectButAnswerLost], FakeHost::kill_nth, World::reboot);
}

#[test]
fn every_finding_has_something_in_each_field() {
    let found = every_finding();
    assert!(found.len() > 30, "only {} findings", found.len());
    for advice in found {
        let code = &advice.code;
        assert!(
            code.bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'),
            "{code}"
        );
        assert!(
            !advice.saw.trim().is_empty() && !advice.wanted.trim().is_empty(),
            "{advice}"
        );
        assert!(!advice.fix.trim().is_empty(), "{advice}");
    }
}

#[test]
fn the_handover_is_whole() {
    let mut run = with_everything(&DISTROS[0]);
    let host = run.host();
    run.deploy(&host).unwrap();
    let handover = run.handover(&host);
    assert_eq!((handover.version.as_str(), handover.commit.len()), ("0.24.1", 40));
    assert_eq!(handover.duties.len(), 5);
    assert_eq!(handover.files.len(), 3);
    assert_eq!(
        (handover.open_to_first_comer, handover.let_in),
        (Some(true), None)
    );
}

#[test]
fn a_changed_input_runs_the_installer_again_and_says_why() {
    let mut run = least(&DISTROS[0]);
    let host = run.host();
    run.deploy(&host).unwrap();
    run.site.registration = "open".parse().unwrap();
    let verdict = run.check(&host, "install.run").unwrap();
    assert_eq!(
        verdict,
        Verdict::needed(
            "inputs changed: registration: invite_only → open; what the installer keeps of them in .env is told, and changed by --overwrite-env alone"
        )
    );
    let stop = run.deploy(&host).unwrap_err();
    assert_eq!(stop.code(), "INSTALLER_KEPT_ENV");
    host.world(|world| {
        let env = world.text("/srv/chatalot/.env").unwrap();
        world.put("/srv/chatalot/.env", env.replace("invite_only", "open"));
    });
    run.deploy(&host).unwrap();
    assert_eq!(run.memory["installer.registration_mode"], "open");
}

#[test]
fn a_branch_that_moves_is_followed() {
    let mut run = least(&DISTROS[0]);
    let host = run.host();
    run.deploy(&host).unwrap();
    let newer = "2e".repeat(20);
    host.world(|world| {
        let remote = world.remotes.values_mut().next().unwrap();
        let tree = remote.trees.values().next().unwrap().clone();
        remote.trees.insert(newer.clone(), tree);
        remote.refs.insert("refs/heads/main".into(), newer.clone());
    });
    run.deploy(&host).unwrap();
    assert_eq!(run.memory["commit"], newer);
}

#[test]
fn every_step_is_found_by_its_name() {
    for known in steps() {
        assert!(super::step(known.id()).is_some_and(|step: &dyn Step| step.id() == known.id()));
    }
    assert!(super::step("preflight.nonsense").is_none());
}
