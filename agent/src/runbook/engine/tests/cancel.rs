//! A deployment that is to end before it is done, or while the clock jumps.

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

/// Whatever it is at, it ends once: with what it was at done or not begun, or at its own end. And then it can be made again.
#[tokio::test]
async fn f45_a_deployment_that_is_cancelled_at_any_call_ends_once_between_two_steps_or_at_its_end() {
    let (wanted, calls) = undisturbed(&least()).await;
    let mut cancelled = 0;
    for n in 1..=calls {
        let machine = Machine::fresh();
        let agent = machine.agent();
        let job = agent.job(&least()).await;
        let (id, bell) = (job.id, machine.host.bell_at(n));
        let told = async {
            bell.notified().await;
            agent.desk.cancel(id).await.unwrap();
            agent.desk.cancel(id).await.unwrap();
        };
        let run = async {
            agent.desk.take(job).await.unwrap();
            agent.end(&machine.host, id).await
        };
        let (state, ()) = tokio::join!(run, told);
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

/// A clock that is set by years while a job runs is no reason to end it, or not to.
#[tokio::test]
async fn f19_a_clock_that_jumps_during_a_job_ends_no_patience_and_the_job_ends_well() {
    const DAY_S: i64 = 24 * 3600;
    let (wanted, calls) = undisturbed(&least()).await;
    let (mut tried, mut stopped) = (0, 0);
    for jump in [400 * DAY_S, -20 * 365 * DAY_S] {
        for n in (1..=calls).step_by(7) {
            let machine = Machine::fresh();
            let agent = machine.agent();
            let job = agent.job(&least()).await;
            let (id, bell) = (job.id, machine.host.bell_at(n));
            let jumps = async {
                bell.notified().await;
                machine.host.advance(jump);
            };
            let run = async {
                agent.desk.take(job).await.unwrap();
                agent.end(&machine.host, id).await
            };
            let (state, ()) = tokio::join!(run, jumps);
            if state != DeploymentState::Succeeded {
                // What it said of the clock, or had just seen by the other clock; once that is right again all is well.
                let code = said(&agent, id).await;
                assert!(
                    ["CLOCK_WRONG", "STEP_HAD_NO_EFFECT"].contains(&&*code),
                    "call {n}, {jump} s: {code}"
                );
                machine.host.advance(-jump);
                let again = agent.job(&least()).await;
                agent.desk.take(again.clone()).await.unwrap();
                let state = agent.end(&machine.host, again.id).await;
                assert_eq!(state, DeploymentState::Succeeded, "call {n}, {jump} s");
                stopped += 1;
            }
            assert!(
                lasting(&machine.host) == wanted,
                "call {n}, {jump} s ends otherwise"
            );
            tried += 1;
        }
    }
    assert!(stopped * 3 < tried, "{stopped} of {tried} did not go on");
}

/// Why a deployment has not ended well.
async fn said(agent: &Agent, id: DeploymentId) -> String {
    let what = agent.events(id).await.pop();
    let Some(What::DeploymentFinished {
        advice: Some(advice), ..
    }) = what
    else {
        panic!("{what:?}")
    };
    advice.code.to_string()
}

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
