//! What a deployment of a site that is there already ends with, once the host does not do what it is told.

use super::bad_inputs::{deployed, fails};
use super::driver::{Run, Stop, full};
use crate::host::fake::{FakeHost, Mode, World};
use crate::runbook::chapters::uninstall::STEPS;
use crate::runbook::distro::DISTROS;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::secret::Secret;
use std::path::Path;

type Change = fn(&mut Run);
type Spoil = fn(&mut World);

/// What is deployed now, what is spoilt, and how that ends.
const AGAIN: &[(&str, Change, Spoil)] = &[
    (
        "CONTAINERS_STAY",
        |run| (run.site.turn, run.site.overwrite_env) = (None, true),
        |w| fails(w, "docker stop -- chatalot-turn", "permission denied"),
    ),
    (
        "ENV_NOT_TAKEN_UP",
        |run| {
            run.site.registration = "open".parse().unwrap();
            run.site.overwrite_env = true;
        },
        |w| fails(w, "docker compose up -d", "port is already allocated"),
    ),
    (
        "ENV_NOT_TAKEN_UP",
        |run| run.site.overwrite_env = true,
        |w| {
            w.files.remove(Path::new(KEY)).unwrap();
            fails(w, "docker compose restart chatalot", "permission denied");
        },
    ),
    (
        "UPDATER_NOT_RESTARTED",
        |_| {},
        |w| {
            w.put("/srv/chatalot/secrets/registry_creds", "");
            fails(w, "docker compose restart chatalot-updater", "permission denied");
        },
    ),
];

fn ending(change: Change, spoil: Spoil) -> Stop {
    let (host, mut run) = deployed();
    run.keep_baseline(&host);
    change(&mut run);
    host.world(spoil);
    run.deploy(&host).unwrap_err()
}

/// Every finding of the table.
pub(super) fn every_finding() -> Vec<Advice> {
    let stops = AGAIN.iter().map(|(_, change, spoil)| ending(*change, *spoil));
    stops
        .map(|stop| match stop {
            Stop::Advice(advice) | Stop::Passing(advice) => *advice,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_later_deployment_that_the_host_does_not_carry_out_says_what_to_do_by_hand() {
    for (code, change, spoil) in AGAIN {
        let stop = ending(*change, *spoil);
        assert_eq!(stop.code(), *code, "{stop:?}");
    }
}

/// A site whose `.env` is there and of which nothing is remembered: set up by hand, or taken away with its data kept, or
/// of a first run that came to nothing.
fn forgotten() -> (FakeHost, Run) {
    let (host, mut run) = deployed();
    run.walk(&host, STEPS).unwrap();
    run.memory.clear();
    (host, run)
}

#[test]
fn what_an_env_has_otherwise_is_told_though_nothing_is_remembered_of_it() {
    let changes: [(&str, Change); 4] = [
        ("registration closed", |run| {
            run.site.registration = "closed".parse().unwrap();
        }),
        ("oidc-disable-password-login on", |run| {
            run.site.oidc.as_mut().unwrap().disable_password_login = true;
        }),
        ("admin-username bob", |run| {
            run.site.admin = "bob".parse().unwrap();
        }),
        ("oidc-client-secret", |run| {
            run.secrets.oidc_client_secret = Some(Secret::new("another-secret"));
        }),
    ];
    for (what, change) in changes {
        let (host, mut run) = forgotten();
        change(&mut run);
        let Err(Stop::Advice(told)) = run.deploy(&host) else {
            panic!("{what} is not told")
        };
        assert_eq!(told.code, "INSTALLER_KEPT_ENV");
        assert!(told.saw.ends_with(&format!("asked for: {what}")), "{told}");
        run.site.overwrite_env = true;
        run.deploy(&host)
            .unwrap_or_else(|stop| panic!("{what}: {stop:?}"));
    }
}

#[test]
fn an_env_that_has_what_is_asked_for_is_taken_over_though_nothing_is_remembered_of_it() {
    let (host, mut run) = forgotten();
    run.deploy(&host).unwrap();
}

#[test]
fn a_first_run_that_has_written_env_and_is_corrected_says_what_is_kept_of_it() {
    let calm = FakeHost::fresh(&DISTROS[0]);
    full(&DISTROS[0]).deploy(&calm).unwrap();
    let log = calm.log();
    let ran = log
        .iter()
        .position(|call| call.contains("install.sh --non-interactive"));
    let (host, mut run) = (FakeHost::fresh(&DISTROS[0]), full(&DISTROS[0]));
    host.kill_nth(ran.unwrap() + 1, Mode::EffectButAnswerLost);
    run.deploy(&host).unwrap_err();
    host.heal();
    assert!(run.memory.keys().all(|key| key != "install.inputs"));
    run.site.registration = "closed".parse().unwrap();
    assert_eq!(run.deploy(&host).unwrap_err().code(), "INSTALLER_KEPT_ENV");
    run.site.registration = "invite_only".parse().unwrap();
    run.deploy(&host).unwrap();
}

#[test]
fn a_site_that_goes_back_to_its_former_domain_does_not_keep_the_other_ones_env() {
    let (host, mut run) = deployed();
    host.world(|world| {
        let env = world.text("/srv/chatalot/.env").unwrap();
        let other = env.replace("chat.example.com", "other.example.com");
        assert_ne!(env, other);
        world.put("/srv/chatalot/.env", other);
    });
    let told = run.check(&host, "install.run").unwrap();
    assert_eq!(
        told,
        Verdict::needed(".env is of another domain than chat.example.com")
    );
    assert_eq!(run.deploy(&host).unwrap_err().code(), "INSTALLER_KEPT_ENV");
    run.site.overwrite_env = true;
    run.deploy(&host).unwrap();
}

#[test]
fn a_secret_that_was_made_anew_and_not_taken_up_is_not_taken_for_done() {
    let (host, mut run) = without_a_key();
    run.site.overwrite_env = true;
    let restart = "docker compose restart chatalot";
    host.world(|world| fails(world, restart, "permission denied"));
    assert_eq!(run.deploy(&host).unwrap_err().code(), "ENV_NOT_TAKEN_UP");
    let told = run.check(&host, "install.run").unwrap();
    assert!(matches!(told, Verdict::Needed { .. }), "{told:?}");
    host.world(|world| world.outputs.remove(restart));
    run.deploy(&host).unwrap();
}

const KEY: &str = "/srv/chatalot/secrets/totp_key";

/// A site that runs on though one of its secrets is gone.
fn without_a_key() -> (FakeHost, Run) {
    let (host, mut run) = deployed();
    run.keep_baseline(&host);
    host.world(|world| world.files.remove(Path::new(KEY)).unwrap());
    (host, run)
}

#[test]
fn a_secret_that_is_gone_is_made_anew_on_request_though_chatalot_runs_and_is_taken_up_by_what_uses_it() {
    let (host, mut run) = without_a_key();
    let told = run.check(&host, "install.run").unwrap();
    let Verdict::Satisfied { note: Some(note), .. } = told else {
        panic!("{told:?}")
    };
    assert_eq!(note.code, "SECRET_FILE_MISSING");
    run.deploy(&host).unwrap();
    assert!(host.world(|world| world.text(KEY)).is_none());
    run.site.overwrite_env = true;
    let told = run.check(&host, "install.run").unwrap();
    assert_eq!(
        told,
        Verdict::needed("missing below /srv/chatalot/secrets: totp_key")
    );
    run.deploy(&host).unwrap();
    assert!(host.world(|world| world.text(KEY)).is_some());
    let restarted = |service: &str| {
        let call = format!("compose restart {service}");
        host.log().iter().filter(|line| line.ends_with(&call)).count()
    };
    assert_eq!(
        (restarted("chatalot"), restarted("coturn"), restarted("postgres")),
        (1, 0, 0)
    );
    let writes = host.writes();
    run.deploy(&host).unwrap();
    assert_eq!(host.writes(), writes);
}

#[test]
fn a_run_that_makes_a_secret_anew_may_be_killed_in_any_call_and_the_others_stay() {
    let (calm, mut run) = without_a_key();
    run.site.overwrite_env = true;
    let before = calm.calls();
    run.deploy(&calm).unwrap();
    for n in 1..=calm.calls() - before {
        for mode in [Mode::NoEffect, Mode::EffectButAnswerLost] {
            let (host, mut run) = without_a_key();
            run.site.overwrite_env = true;
            host.kill_nth(n, mode);
            let _ = run.deploy(&host);
            host.heal();
            host.advance(600);
            run.deploy(&host)
                .unwrap_or_else(|stop| panic!("call {n}, {mode:?}: {stop:?}"));
            let what = || format!("call {n}, {mode:?}: {:#?}", host.log());
            let text = |path: &str| host.world(|world| world.text(path));
            let env = text("/srv/chatalot/.env").unwrap();
            assert!(env.contains("DB_PASSWORD=generated"), "{}", what());
            assert!(text(KEY).is_some(), "{}", what());
            assert_eq!(text("/srv/chatalot/copies/pending"), None, "{}", what());
            let taken_up = |line: &String| line.ends_with("compose restart chatalot");
            assert!(host.log().iter().any(taken_up), "{}", what());
        }
    }
}

#[test]
fn the_public_half_of_a_key_that_was_made_anew_is_not_put_back() {
    const PRIVATE: &str = "/srv/chatalot/secrets/jwt_private.pem";
    const PUBLIC: &str = "/srv/chatalot/secrets/jwt_public.pem";
    for (gone, public) in [(PRIVATE, "anew"), (KEY, "generated"), (PUBLIC, "")] {
        let (host, mut run) = deployed();
        run.keep_baseline(&host);
        host.world(|world| world.files.remove(Path::new(gone)).unwrap());
        run.site.overwrite_env = true;
        run.deploy(&host).unwrap();
        let text = host.world(|world| world.text(PUBLIC)).unwrap_or_default();
        assert_eq!(text, public, "{gone}");
        run.deploy(&host).unwrap();
    }
}
