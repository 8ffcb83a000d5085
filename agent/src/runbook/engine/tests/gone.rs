//! What is missing below `secrets/` is told until it is there again, however often a deployment ends well meanwhile.

use super::*;
use crate::runbook::drift::Baseline;
use std::path::Path;

const SECRETS: &str = "/srv/chatalot/secrets";

/// A deployment that ends well; what its steps have to say besides.
async fn deploys(machine: &Machine, agent: &Agent, overwrite_env: bool) -> Vec<String> {
    let order = order(Inputs {
        overwrite_env: Some(overwrite_env),
        ..Inputs::default()
    });
    let job = agent.job(&order).await;
    let id = job.id;
    agent.desk.take(job).await.unwrap();
    assert_eq!(agent.end(&machine.host, id).await, DeploymentState::Succeeded);
    let notes = agent.events(id).await.into_iter().filter_map(|what| match what {
        What::StepFinished { advice, .. } => advice,
        _ => None,
    });
    let missing = notes.filter(|note| note.code == "SECRET_FILE_MISSING");
    missing
        .map(|note| format!("{}: {}", note.saw, note.fix))
        .collect()
}

/// Whether it is remembered that a file was there.
async fn is_known(agent: &Agent, name: &str) -> bool {
    let memory = agent.desk.memory(&least().site).await.unwrap();
    Baseline::of(&memory).unwrap().secrets.contains(name)
}

fn remove(machine: &Machine, name: &str) {
    let path = Path::new(SECRETS).join(name);
    machine
        .host
        .world(|world| world.files.remove(&path).expect("it was there"));
}

#[tokio::test]
async fn a_secret_that_is_gone_is_told_by_every_deployment_until_one_has_it_made_anew() {
    let machine = Machine::fresh();
    let agent = machine.agent();
    assert!(deploys(&machine, &agent, false).await.is_empty());
    remove(&machine, "totp_key");
    for _ in 0..2 {
        let told = deploys(&machine, &agent, false).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("missing below /srv/chatalot/secrets: totp_key"),
            "{told:?}"
        );
        assert!(told[0].contains("deploy again with --overwrite-env: what is missing is made anew"));
        assert!(is_known(&agent, "totp_key").await);
    }
    assert!(deploys(&machine, &agent, true).await.is_empty());
    let made = Path::new(SECRETS).join("totp_key");
    assert!(machine.host.world(|world| world.files.contains_key(&made)));
    let writes = machine.host.writes();
    assert!(deploys(&machine, &agent, true).await.is_empty());
    assert_eq!(machine.host.writes(), writes, "it was made anew once more");
}

#[tokio::test]
async fn what_the_installer_does_not_make_anew_is_told_as_that_until_somebody_does_without() {
    let machine = Machine::fresh();
    let agent = machine.agent();
    let mine = Path::new(SECRETS).join("of_mine");
    machine.host.world(|world| world.put(&mine, "mine"));
    deploys(&machine, &agent, false).await;
    remove(&machine, "of_mine");
    // Asked for once: tried once, and told as not made, also by those that do not ask for it.
    for anew in [true, false, false] {
        let told = deploys(&machine, &agent, anew).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].contains("was asked to make of_mine anew and has not"),
            "{told:?}"
        );
        assert!(!told[0].contains("Without a backup"), "{told:?}");
        assert!(is_known(&agent, "of_mine").await);
    }
    // There again and gone once more, it is another story.
    machine.host.world(|world| world.put(&mine, "mine"));
    assert!(deploys(&machine, &agent, false).await.is_empty());
    remove(&machine, "of_mine");
    let told = deploys(&machine, &agent, false).await;
    assert!(told[0].contains("Without a backup deploy again"), "{told:?}");
    deploys(&machine, &agent, true).await;
    let writes = machine.host.writes();
    deploys(&machine, &agent, true).await;
    assert_eq!(machine.host.writes(), writes, "it was tried once more");
    assert!(!is_known(&agent, "of_mine").await);
    assert!(deploys(&machine, &agent, false).await.is_empty());
}
