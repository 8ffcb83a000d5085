//! A deployment that is to end before it is done.

use super::*;
use std::collections::BTreeSet;

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

/// A deployment, and what is done at its nth call; how it ends.
pub(super) async fn at_call(
    machine: &Machine,
    agent: &Agent,
    n: usize,
    strike: impl AsyncFnOnce(DeploymentId),
) -> (DeploymentId, DeploymentState) {
    let job = agent.job(&least()).await;
    let (id, bell) = (job.id, machine.host.bell_at(n));
    let struck = async {
        bell.notified().await;
        strike(id).await;
    };
    let run = async {
        agent.desk.take(job).await.unwrap();
        agent.end(&machine.host, id).await
    };
    let (state, ()) = tokio::join!(run, struck);
    (id, state)
}

/// Whatever it is at, it ends once: with what it was at done or not begun, or at its own end. And then it can be made again.
#[tokio::test]
async fn f45_a_deployment_that_is_cancelled_at_any_call_ends_once_between_two_steps_or_at_its_end() {
    let (wanted, calls) = undisturbed(&least()).await;
    let mut cancelled = 0;
    for n in 1..=calls {
        let machine = Machine::fresh();
        let agent = machine.agent();
        let (id, state) = at_call(&machine, &agent, n, async |id| {
            agent.desk.cancel(id).await.unwrap();
            agent.desk.cancel(id).await.unwrap();
        })
        .await;
        let mut under_way = BTreeSet::new();
        let mut ends = Vec::new();
        for what in agent.events(id).await {
            match what {
                What::StepStarted { step, .. } => drop(under_way.insert(step)),
                What::StepFinished { step, end, .. } => {
                    under_way.remove(&step);
                    assert!(
                        !matches!(end, StepEnd::Failed | StepEnd::Blocked),
                        "call {n}: {end:?}"
                    );
                }
                What::DeploymentFinished { state, .. } => ends.push((state, under_way.len())),
                _ => {}
            }
        }
        assert_eq!(ends, [(state, 0)], "call {n}");
        if state == DeploymentState::Cancelled {
            cancelled += 1;
            let again = agent.job(&least()).await;
            agent.desk.take(again.clone()).await.unwrap();
            let state = agent.end(&machine.host, again.id).await;
            assert_eq!(state, DeploymentState::Succeeded, "call {n}");
        } else {
            assert_eq!(state, DeploymentState::Succeeded, "call {n}");
        }
        assert!(lasting(&machine.host) == wanted, "call {n} ends otherwise");
    }
    assert!(cancelled > calls / 2, "{cancelled} of {calls}");
}
