//! What a deployment of a site that is there already ends with, once the host does not do what it is told.

use super::bad_inputs::{deployed, fails};
use super::driver::{Run, Stop, full};
use crate::host::fake::{FakeHost, Mode, World};
use crate::runbook::chapters::uninstall::STEPS;
use crate::runbook::distro::DISTROS;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::secret::Secret;

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
