//! The host's policy against deployments: before they begin, and before each step.

use super::*;
use crate::effect::{EffectJob, Ended};
use crate::policy::PATH;
use async_trait::async_trait;
use std::path::Path;
use tokio_util::sync::CancellationToken;

impl Machine {
    fn set_policy(&self, text: Option<&str>) {
        self.host.world(|world| match text {
            Some(text) => drop(world.files.insert(PATH.into(), text.into())),
            None => drop(world.files.remove(Path::new(PATH))),
        });
    }
}

/// A policy that anybody else could write, none at all, and one that has become another.
#[tokio::test]
async fn f60_a_deployment_is_refused_on_the_record_by_whatever_the_policy_says_at_that_moment() {
    let allows = Machine::fresh().host.snapshot().files[Path::new(PATH)].clone();
    for (policy, code) in [
        (None, "POLICY_MISSING"),
        (Some("enabled = tru"), "POLICY_INVALID"),
        (Some("enabled = false"), "POLICY_DISABLED"),
        (
            Some("enabled = true\nverbs = [\"deploy\"]\ndomains = []"),
            "POLICY_DOMAIN",
        ),
    ] {
        let machine = Machine::fresh();
        let agent = machine.agent();
        let job = agent.job(&least()).await;
        machine.set_policy(policy);
        agent.desk.take(job.clone()).await.unwrap();
        assert_eq!(agent.state(job.id).await, DeploymentState::Refused);
        let told = agent.events(job.id).await;
        let Some(What::DeploymentFinished {
            advice: Some(advice), ..
        }) = told.last()
        else {
            panic!("{told:?}")
        };
        assert_eq!(advice.code, code);
        assert_eq!(machine.host.writes(), 0);
        machine.host.world(|world| world.put(PATH, &allows));
        let again = agent.job(&least()).await;
        agent.desk.take(again.clone()).await.unwrap();
        assert_eq!(
            agent.end(&machine.host, again.id).await,
            DeploymentState::Succeeded
        );
    }
}

/// Edits the policy as soon as an effect is at work.
struct Edits(Arc<FakeRunner>, FakeHost);

#[async_trait]
impl Runner for Edits {
    async fn start(&self, job: &EffectJob, stop: &CancellationToken) -> Ended {
        self.1
            .world(|world| world.files.insert(PATH.into(), "enabled = false".into()));
        self.0.start(job, stop).await
    }

    async fn adopt(&self, deployment: DeploymentId, stream: u32, stop: &CancellationToken) -> Ended {
        self.0.adopt(deployment, stream, stop).await
    }
}

#[tokio::test]
async fn f60_a_policy_that_is_edited_under_way_lets_the_running_step_end_and_refuses_the_next() {
    let (wanted, _) = undisturbed(&least()).await;
    let machine = Machine::fresh();
    let edits = Edits(machine.runner.clone(), machine.host.clone());
    let agent = machine.agent_with(Arc::new(edits));
    let job = agent.job(&least()).await;
    agent.desk.take(job.clone()).await.unwrap();
    assert_eq!(agent.end(&machine.host, job.id).await, DeploymentState::Blocked);
    let told = agent.events(job.id).await;
    let ends = told.iter().filter_map(|what| match what {
        What::StepFinished {
            end, advice, step, ..
        } if *end != StepEnd::Satisfied => {
            let code = advice.as_ref().map(|advice| advice.code.to_string());
            Some((step.to_string(), *end, code))
        }
        _ => None,
    });
    let ends: Vec<_> = ends.collect();
    let [(_, StepEnd::Done, None), (refused, StepEnd::Blocked, Some(code))] = &ends[..] else {
        panic!("{ends:#?}")
    };
    assert_eq!(code, "POLICY_DISABLED", "{refused}");
    machine.host.world(|world| {
        world
            .files
            .insert(PATH.into(), wanted.files[Path::new(PATH)].clone())
    });
    let agent = machine.agent();
    let again = agent.job(&least()).await;
    agent.desk.take(again.clone()).await.unwrap();
    assert_eq!(
        agent.end(&machine.host, again.id).await,
        DeploymentState::Succeeded
    );
    assert!(lasting(&machine.host) == wanted, "ends otherwise");
}

#[tokio::test]
async fn f60_an_unusable_policy_is_told_once_and_its_end_too() {
    let machine = Machine::fresh();
    let agent = machine.agent();
    for (policy, at_ms) in [
        (Some("enabled = true"), 1),
        (None, 2),
        (None, 3),
        (Some("x"), 4),
        (Some("enabled = true"), 5),
    ] {
        machine.set_policy(policy);
        let unusable = crate::policy::Policy::in_force(&machine.host).await.err();
        crate::policy::watch::tell(&agent.ledger, unusable, at_ms)
            .await
            .unwrap();
    }
    let events = agent.ledger.with(|db| outbox::after(db, 0)).await.unwrap();
    let told: Vec<_> = events
        .into_iter()
        .map(|event| match event.what {
            What::Alarm { advice } => (event.at_ms, format!("alarm {}", advice.code)),
            What::AlarmOver { code } => (event.at_ms, format!("over {code}")),
            other => panic!("{other:?}"),
        })
        .collect();
    let wanted = [
        (2, "alarm POLICY_MISSING"),
        (4, "over POLICY_MISSING"),
        (4, "alarm POLICY_INVALID"),
        (5, "over POLICY_INVALID"),
    ];
    assert_eq!(told, wanted.map(|(at, text)| (at, text.to_owned())));
}
