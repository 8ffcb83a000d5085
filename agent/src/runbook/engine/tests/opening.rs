//! A limited route is opened by the agent itself, as a deployment of its own, whenever it is killed meanwhile.

use super::*;
use crate::ledger::audit;
use crate::opener::{Opener, Seen};
use crate::runbook::route;

const LIMIT: &str = "198.51.100.7";

impl Agent {
    fn opener(&self, machine: &Machine) -> Opener {
        Opener {
            ledger: self.ledger.clone(),
            host: Arc::new(machine.host.clone()),
            deployments: self.desk.clone(),
        }
    }

    async fn deployed_limited(&self, host: &FakeHost) -> Order {
        let order = order(Inputs {
            limit_until_admin: Some(LIMIT.into()),
            ..Inputs::default()
        });
        let job = self.job(&order).await;
        let id = job.id;
        self.desk.take(job).await.unwrap();
        assert_eq!(self.end(host, id).await, DeploymentState::Succeeded);
        order
    }

    async fn route(&self, order: &Order) -> String {
        self.desk.memory(&order.site).await.unwrap()[route::KEY].clone()
    }
}

fn registers(host: &FakeHost, name: &str) {
    host.world(|world| world.accounts = Some(vec![(name.to_owned(), true)]));
}

#[tokio::test]
async fn the_route_is_opened_once_the_administrator_has_registered_and_not_before() {
    let machine = Machine::fresh();
    let agent = machine.agent();
    let opener = agent.opener(&machine);
    assert_eq!(opener.look().await.unwrap(), Seen::Open, "nothing is deployed");
    let order = agent.deployed_limited(&machine.host).await;
    for (accounts, who) in [(Some(vec![]), "nobody"), (None, "it cannot be told")] {
        machine.host.world(|world| world.accounts = accounts);
        assert_eq!(opener.look().await.unwrap(), Seen::Limited, "{who}");
    }
    registers(&machine.host, "mallory");
    assert_eq!(opener.look().await.unwrap(), Seen::Limited);
    assert!(agent.route(&order).await.starts_with("limited 203.0.113.42"));

    registers(&machine.host, "alice");
    let Seen::Opening(id) = opener.look().await.unwrap() else {
        panic!("it is not opened");
    };
    assert_eq!(agent.end(&machine.host, id).await, DeploymentState::Succeeded);
    assert_eq!(agent.route(&order).await, route::OPEN);
    assert!(
        machine
            .host
            .world(|world| !world.caddy_loaded.as_deref().unwrap().contains("@outsiders"))
    );
    assert_eq!(opener.look().await.unwrap(), Seen::Open);
    let events = agent.events(id).await;
    assert!(
        matches!(&events[0], What::DeploymentStarted { work: Work::Open, .. }),
        "{events:?}"
    );
    let records = agent.ledger.with(|db| audit::after(db, 0)).await.unwrap();
    assert!(
        records
            .iter()
            .any(|record| record.body.contains("the agent itself"))
    );
    // It is still the deployed site, and may be taken away.
    let deployed = agent.ledger.with(records::deployed).await.unwrap().unwrap();
    let made = agent
        .ledger
        .with(|db| records::made(db, Work::Uninstall))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((&deployed.site, &made.site), (&order.site, &order.site));
}

#[tokio::test]
async fn an_agent_that_is_killed_while_it_opens_the_route_goes_on_in_its_next_life() {
    for n in [1, 4, 8, 12, 16, 20] {
        let machine = Machine::fresh();
        let agent = machine.agent();
        let order = agent.deployed_limited(&machine.host).await;
        registers(&machine.host, "alice");
        machine.host.kill_nth(n + 8, Mode::EffectButAnswerLost);
        let looked = tokio::time::timeout(Duration::from_millis(200), agent.opener(&machine).look()).await;
        agent.dies().await;
        machine.host.heal();
        let next = machine.agent();
        next.desk.resume("the agent was started again").await.unwrap();
        let id = match looked {
            Ok(Ok(Seen::Opening(id))) => id,
            other => match next.opener(&machine).look().await.unwrap() {
                Seen::Opening(id) => id,
                seen => panic!("call {n}: {seen:?} after {other:?}"),
            },
        };
        assert_eq!(
            next.end(&machine.host, id).await,
            DeploymentState::Succeeded,
            "call {n}"
        );
        assert_eq!(next.route(&order).await, route::OPEN, "call {n}");
    }
}

#[tokio::test]
async fn a_policy_that_forbids_it_keeps_the_route_limited_without_a_word_for_each_look() {
    let machine = Machine::fresh();
    let agent = machine.agent();
    agent.deployed_limited(&machine.host).await;
    registers(&machine.host, "alice");
    machine
        .host
        .world(|world| world.put(crate::policy::PATH, "enabled = false\n"));
    let before = agent.ledger.with(|db| audit::after(db, 0)).await.unwrap().len();
    assert_eq!(agent.opener(&machine).look().await.unwrap(), Seen::Limited);
    let after = agent.ledger.with(|db| audit::after(db, 0)).await.unwrap().len();
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_route_that_is_not_limited_is_not_opened() {
    let machine = Machine::fresh();
    let agent = machine.agent();
    let order = order(Inputs::default());
    let job = agent.job(&order).await;
    let id = job.id;
    agent.desk.take(job).await.unwrap();
    agent.end(&machine.host, id).await;
    let elsewhere = super::order(Inputs {
        limit_until_admin: Some(LIMIT.into()),
        ..Inputs::default()
    });
    let plan = agent.desk.plan(&elsewhere, Work::Open).await.unwrap().unwrap();
    let job = Job {
        work: Work::Open,
        plan: plan.hash,
        ..agent.job(&elsewhere).await
    };
    let id = job.id;
    agent.desk.take(job).await.unwrap();
    assert_eq!(
        agent.state(id).await,
        DeploymentState::Refused,
        "it is not what was deployed here"
    );
}
