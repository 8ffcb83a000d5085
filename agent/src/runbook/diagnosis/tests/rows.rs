//! Which causes have a row, and that none is hidden behind another.

use super::*;
use std::collections::BTreeSet;

#[test]
fn every_finding_of_the_runbook_has_its_row() {
    let known: BTreeSet<&str> = rows().map(|row| row.code).collect();
    let missing: BTreeSet<String> = laws::every_finding()
        .into_iter()
        .map(|advice| advice.code.to_string())
        .filter(|code| !known.contains(code.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn an_open_turn_server_is_told_though_something_else_is_wrong_too() {
    let case = Case::deployed().await;
    case.host.world(|world| {
        world.turn.open = true;
        answers(world, PUBLIC, 502);
    });
    let found = case.found(None).await;
    let codes: Vec<&str> = found.iter().map(|advice| &*advice.code).collect();
    assert_eq!(codes.first(), Some(&"PROXY_BAD_GATEWAY"), "{codes:?}");
    assert_eq!(codes.last(), Some(&"TURN_OPEN"), "{codes:?}");
}

#[tokio::test]
async fn a_turn_server_that_was_never_installed_lacks_no_secret() {
    let (_, site, memory) = laws::deployed();
    let host = FakeHost::fresh(&DISTROS[0]);
    let mut case = Case { host, site, memory };
    for is_installed in [true, false] {
        if !is_installed {
            case.memory.clear();
        }
        let last = Advice::new("PODMAN_DOCKER", "saw", "wanted", "fix");
        let found = case.found(Some(last)).await;
        let is_told = found.iter().any(|advice| advice.code == "TURN_SECRET_MISSING");
        assert_eq!(is_told, is_installed, "{found:#?}");
    }
}

#[tokio::test]
async fn what_a_check_or_the_last_deployment_tells_is_told_beside_another_cause() {
    let (case, tags) = (Case::deployed().await, BTreeMap::new());
    let calm = facts::gather(&case.cx(&tags), None).await;
    let told = rows().filter(|row| !row.symptom && !matches!(row.find, Find::Seen(_)));
    for row in told.filter(|row| row.code != "DISK_READ_ONLY") {
        let advice = |code| Advice::new(code, "saw", "wanted", "fix");
        let mut facts = calm.clone();
        facts
            .found
            .insert("preflight.resources".to_owned(), advice("DISK_READ_ONLY"));
        facts.last = Some(advice(row.code));
        let mut codes: Vec<String> = diagnose(&facts).iter().map(|one| one.code.to_string()).collect();
        codes.sort_unstable();
        let mut both = ["DISK_READ_ONLY", row.code];
        both.sort_unstable();
        assert_eq!(codes, both);
    }
}
