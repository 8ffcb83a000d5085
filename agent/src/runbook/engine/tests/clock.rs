//! A clock that is set by years while a deployment runs.

use super::cancel::at_call;
use super::*;

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
            let (id, state) = at_call(&machine, &agent, n, async |_| machine.host.advance(jump)).await;
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
