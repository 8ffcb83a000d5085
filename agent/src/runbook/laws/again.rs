//! What a deployment of a site that is there already ends with, once the host does not do what it is told.

use super::bad_inputs::{deployed, fails};
use super::driver::{Run, Stop};
use crate::host::fake::World;
use chatalot_protocol::advice::Advice;

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
