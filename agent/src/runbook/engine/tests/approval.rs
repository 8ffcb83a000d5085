//! A deployment that goes on after a restart, under its own approval.

use super::*;

async fn cut_off(machine: &Machine) -> DeploymentId {
    let agent = machine.agent();
    let job = agent.job(&least()).await;
    machine.host.kill_nth(80, Mode::NoEffect);
    agent.desk.take(job.clone()).await.unwrap();
    while machine.host.writes() == 0 {
        machine.host.advance(1);
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
    agent.dies().await;
    machine.reboot();
    machine.host.heal();
    job.id
}

#[tokio::test]
async fn a_resumed_deployment_runs_under_its_own_approval_whatever_has_changed_on_the_host() {
    let machine = Machine::fresh();
    let id = cut_off(&machine).await;
    // By now another plan would be made: what is installed, another address, other observations.
    machine.host.world(|world| world.resources.disk_free -= 1 << 30);
    let agent = machine.agent();
    agent.desk.resume("the host was rebooted").await.unwrap();
    assert_eq!(agent.end(&machine.host, id).await, DeploymentState::Succeeded);
}

#[tokio::test]
async fn a_resumed_deployment_stops_where_the_agent_would_do_something_else_and_shows_what() {
    let machine = Machine::fresh();
    let id = cut_off(&machine).await;
    let writes = machine.host.writes();
    let agent = machine.agent();
    // As if it had been approved with an agent whose installer step did something else.
    let exchange = move |db: &rusqlite::Connection| {
        db.execute(
            "UPDATE approval SET plan = replace(plan, '\"recipe\":1', '\"recipe\":0') WHERE deployment = ?1",
            [id.to_string()],
        )?;
        Ok(())
    };
    agent.ledger.with(exchange).await.unwrap();
    agent.desk.resume("the agent was upgraded").await.unwrap();
    assert_eq!(agent.end(&machine.host, id).await, DeploymentState::Blocked);
    let told = agent.events(id).await;
    let Some(What::DeploymentFinished {
        advice: Some(advice), ..
    }) = told.last()
    else {
        panic!("{told:?}")
    };
    assert_eq!(advice.code, "PLAN_CHANGED_UNDERWAY");
    assert_eq!(advice.evidence, ["approved: recipe 0", "now: recipe 1"]);
    assert_eq!(machine.host.writes(), writes);
}
