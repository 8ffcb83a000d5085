//! A deployment that does not end well has the host looked at by itself.

use super::*;

#[tokio::test]
async fn a_deployment_that_does_not_end_well_tells_what_a_look_at_the_host_has_found() {
    let machine = Machine::fresh();
    let agent = machine.agent();
    machine.host.world(|world| {
        let owner = crate::host::PortOwner {
            process: "python3".into(),
            ..crate::host::PortOwner::default()
        };
        world.ports.insert((crate::host::Transport::Tcp, 80), owner);
    });
    let job = agent.job(&least()).await;
    agent.desk.take(job.clone()).await.unwrap();
    assert_eq!(agent.end(&machine.host, job.id).await, DeploymentState::Blocked);
    let Some(What::DeploymentFinished { diagnosis, .. }) = agent.events(job.id).await.pop() else {
        panic!("no end")
    };
    let codes: Vec<&str> = diagnosis.iter().map(|found| found.code.as_ref()).collect();
    assert!(codes.contains(&"PORT_TAKEN"), "{codes:?}");
}

#[tokio::test]
async fn a_deployment_whose_secrets_are_gone_ends_and_says_so() {
    let machine = Machine::fresh();
    let id = killed_at(&machine, 60, Mode::NoEffect).await;
    std::fs::remove_file(machine.state.path().join(format!("secrets-{id}.json"))).unwrap();
    let agent = machine.agent();
    agent.desk.resume("the agent was started again").await.unwrap();
    assert_eq!(agent.end(&machine.host, id).await, DeploymentState::Failed);
    let result = agent.record(id).await.result;
    assert_eq!(result.advice.unwrap().code, "SECRETS_LOST");
}
