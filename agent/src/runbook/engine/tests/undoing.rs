//! Taking away goes the way of every deployment: approved, recorded, carried on after a crash.

use super::*;
use chatalot_protocol::message::{Answer, Ask};

impl Agent {
    async fn removal(&self, order: &Order, work: Work) -> Job {
        let plan = self.desk.plan(order, work).await.unwrap().unwrap();
        assert_eq!(plan.work, work);
        Job {
            work,
            plan: plan.hash,
            ..self.job(order).await
        }
    }

    async fn done(&self, host: &FakeHost, job: Job) -> DeploymentState {
        let id = job.id;
        self.desk.take(job).await.unwrap();
        self.end(host, id).await
    }
}

fn bare(order: &Order) -> Order {
    Order {
        site: order.site.clone(),
        secrets: chatalot_protocol::site::Secrets::default(),
    }
}

#[tokio::test]
async fn what_was_taken_away_is_deployed_no_more_and_can_be_deployed_again() {
    let machine = Machine::fresh();
    let agent = machine.agent();
    let order = order(Inputs::default());
    let state = agent.done(&machine.host, agent.job(&order).await).await;
    assert_eq!(state, DeploymentState::Succeeded);
    assert!(agent.ledger.with(records::deployed).await.unwrap().is_some());

    let removal = agent.removal(&bare(&order), Work::Uninstall).await;
    assert_eq!(
        agent.done(&machine.host, removal).await,
        DeploymentState::Succeeded
    );
    assert!(agent.ledger.with(records::deployed).await.unwrap().is_none());
    let made = |work| agent.ledger.with(move |db| records::made(db, work));
    assert!(made(Work::Uninstall).await.unwrap().is_none());
    assert!(
        made(Work::UninstallWithData).await.unwrap().is_some(),
        "its data is there"
    );
    assert!(machine.host.world(|world| world.containers.is_empty()));

    // Deleting data is not what a policy allows by itself.
    let removal = agent.removal(&bare(&order), Work::UninstallWithData).await;
    assert_eq!(agent.done(&machine.host, removal).await, DeploymentState::Refused);
    let all = "enabled = true\nverbs = [\"deploy\", \"uninstall_with_data\"]\ngit_remotes = [\"*\"]\n";
    machine.host.world(|world| world.put(crate::policy::PATH, all));
    let removal = agent.removal(&bare(&order), Work::UninstallWithData).await;
    assert_eq!(
        agent.done(&machine.host, removal).await,
        DeploymentState::Succeeded
    );
    assert!(machine.host.world(|world| world.volumes.is_empty()));

    let state = agent.done(&machine.host, agent.job(&order).await).await;
    assert_eq!(state, DeploymentState::Succeeded);
}

#[tokio::test]
async fn only_what_the_ledger_knows_is_taken_away() {
    let machine = Machine::fresh();
    let agent = machine.agent();
    let order = order(Inputs::default());
    let never = agent.removal(&bare(&order), Work::Uninstall).await;
    assert_eq!(agent.done(&machine.host, never).await, DeploymentState::Refused);
    agent.done(&machine.host, agent.job(&order).await).await;
    let mut other = bare(&order);
    other.site.folder = "/opt/others".parse().unwrap();
    let writes = machine.host.writes();
    let elsewhere = agent.removal(&other, Work::UninstallWithData).await;
    assert_eq!(
        agent.done(&machine.host, elsewhere).await,
        DeploymentState::Refused
    );
    let unknown = Job {
        work: Work::Unknown,
        ..agent.job(&order).await
    };
    assert_eq!(agent.done(&machine.host, unknown).await, DeploymentState::Refused);
    assert_eq!(machine.host.writes(), writes);
}

#[tokio::test]
async fn f41_a_removal_that_fails_midway_tells_what_is_left_and_goes_on_when_run_again() {
    let machine = Machine::fresh();
    let agent = machine.agent();
    let order = order(Inputs::default());
    agent.done(&machine.host, agent.job(&order).await).await;
    let refused = Output {
        code: 1,
        stdout: "permission denied".into(),
        ..Output::default()
    };
    let down = "docker compose --project-name";
    machine.host.world(|world| {
        world.resources.writable = false;
        world.outputs.insert(down.into(), refused)
    });
    let removal = agent.removal(&bare(&order), Work::Uninstall).await;
    let id = removal.id;
    assert_eq!(agent.done(&machine.host, removal).await, DeploymentState::Failed);
    let result = agent.record(id).await.result;
    let advice = result.advice.unwrap();
    assert_eq!(advice.code, "CONTAINERS_STAY");
    let left = "not done yet: chatalot's source is gone".to_owned();
    assert!(advice.evidence.contains(&left), "{:?}", advice.evidence);
    // What is half gone is no fault of the host's; what is below it may be the cause.
    let found: Vec<&str> = result.diagnosis.iter().map(|one| &*one.code).collect();
    assert_eq!(found, ["DISK_READ_ONLY"]);

    machine.host.world(|world| {
        world.resources.writable = true;
        world.outputs.remove(down);
    });
    let again = agent.removal(&bare(&order), Work::Uninstall).await;
    assert_eq!(agent.done(&machine.host, again).await, DeploymentState::Succeeded);
}

#[test]
fn the_question_and_the_old_answer_are_understood_by_both_sides() {
    let typed = Ask::Uninstall {
        delete_data: Some("chat.example.com".into()),
    };
    let text = serde_json::to_string(&typed).unwrap();
    assert_eq!(text, r#"{"ask":"uninstall","delete_data":"chat.example.com"}"#);
    assert_eq!(serde_json::from_str::<Ask>(&text).unwrap(), typed);
    assert_eq!(
        serde_json::from_str::<Answer>(r#"{"answer":"pong"}"#).unwrap(),
        Answer::Pong
    );
}
