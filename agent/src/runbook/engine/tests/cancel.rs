//! A deployment that is to end before it is done.

use super::*;

#[tokio::test]
async fn f45_a_cancelled_deployment_ends_once_at_a_step_boundary_and_can_be_made_again() {
    let machine = Machine::fresh();
    let agent = machine.agent();
    let job = agent.job(&least()).await;
    machine.host.kill_nth(60, Mode::NoEffect);
    agent.desk.take(job.clone()).await.unwrap();
    agent.desk.cancel(job.id).await.unwrap();
    agent.desk.cancel(job.id).await.unwrap();
    assert_eq!(agent.end(&machine.host, job.id).await, DeploymentState::Cancelled);
    agent.desk.cancel(job.id).await.unwrap();
    let ends = agent.events(job.id).await;
    assert_eq!(
        ends.iter()
            .filter(|what| matches!(what, What::DeploymentFinished { .. }))
            .count(),
        1
    );
    machine.host.heal();
    let again = agent.job(&least()).await;
    agent.desk.take(again.clone()).await.unwrap();
    assert_eq!(
        agent.end(&machine.host, again.id).await,
        DeploymentState::Succeeded
    );
}

#[tokio::test]
async fn f45_a_cancellation_outlives_the_agent_and_may_come_before_the_job() {
    let machine = Machine::fresh();
    let agent = machine.agent();
    let job = agent.job(&least()).await;
    machine.host.kill_nth(60, Mode::NoEffect);
    agent.desk.take(job.clone()).await.unwrap();
    agent.desk.cancel(job.id).await.unwrap();
    agent.dies().await;
    machine.reboot();
    machine.host.heal();
    let next = machine.agent();
    next.desk.resume("the host was rebooted").await.unwrap();
    assert_eq!(next.end(&machine.host, job.id).await, DeploymentState::Cancelled);

    let late = next.job(&least()).await;
    next.desk.cancel(late.id).await.unwrap();
    next.desk.take(late.clone()).await.unwrap();
    assert_eq!(next.end(&machine.host, late.id).await, DeploymentState::Cancelled);
}
