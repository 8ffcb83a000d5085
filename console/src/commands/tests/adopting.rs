//! A proxy that is there already is offered to whoever sits at a terminal.

use super::*;
use chatalot_protocol::advice::ADOPTABLE;
use chatalot_protocol::plan::Standing;
use chatalot_protocol::report::Verdict;

fn offering() -> Plan {
    let mut plan = testing::plan();
    let verdict: Verdict = Advice::new(
        ADOPTABLE,
        "port 443 belongs to nginx",
        "nginx as the proxy",
        "deploy with `--proxy nginx`",
    )
    .into();
    plan.steps[1].standing = Standing::Known { verdict };
    plan
}

#[tokio::test]
async fn f55_a_proxy_that_is_there_is_taken_by_a_yes_and_planned_anew() {
    let daemon = Daemon::start(vec![planned(offering()), planned(testing::good_plan())]);
    let (mut out, _) = Output::recorded(Format::Text);
    out.interactive = true;
    out.term = Box::new(Script::of(&["y", "n"]));
    let exit = deploy(&daemon.client(), &args(&[]), &mut out).await.unwrap();
    assert_eq!(exit, Exit::Cancelled);
    assert_eq!(daemon.heard(), [ASK, ASK]);
}

#[tokio::test]
async fn f55_without_a_person_or_with_a_no_it_stays_a_finding() {
    for (answer, interactive) in [("n", true), ("y", false)] {
        let daemon = Daemon::start(vec![planned(offering())]);
        let (mut out, printed) = Output::recorded(Format::Text);
        out.interactive = interactive;
        out.term = Box::new(Script::of(&[answer]));
        let result = deploy(&daemon.client(), &args(&[]), &mut out).await;
        assert_eq!(finish(result, &mut out), Exit::Blocked);
        assert!(printed.err().contains("--proxy nginx"), "{}", printed.err());
    }
}
