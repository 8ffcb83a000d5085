use super::daemon::{Daemon, Reply, Then};
use super::*;
use crate::ask::script::Script;
use crate::client::ClientError;
use crate::exit::finish;
use crate::output::Format;
use crate::render::testing;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::api::{DeploymentView, WatchLine};
use chatalot_protocol::message::Answer;
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::plan::Plan;
use chatalot_protocol::report::DeploymentState;
use chatalot_protocol::work::Work;
use clap::Parser;
use serde_json::{Value, json};

mod adopting;
mod following;

const ID: &str = "0190a1b2-0000-7000-8000-000000000001";
const ASK: &str = "POST /v1/hosts/chat-1/ask";
const DEPLOYMENTS: &str = "POST /v1/hosts/chat-1/deployments";
const WATCH: &str = "GET /v1/deployments/0190a1b2-0000-7000-8000-000000000001/watch?logs=0";
const WATCH_LOGS: &str = "GET /v1/deployments/0190a1b2-0000-7000-8000-000000000001/watch?logs=1";
const VIEW: &str = "GET /v1/deployments/0190a1b2-0000-7000-8000-000000000001";
const CANCEL: &str = "POST /v1/deployments/0190a1b2-0000-7000-8000-000000000001/cancel";

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    deploy: DeployArgs,
}

fn args(more: &[&str]) -> DeployArgs {
    let line = ["x", "--domain", "chat.example.com", "--admin-username", "alice"];
    Line::try_parse_from(line.iter().chain(more)).unwrap().deploy
}

fn id() -> DeploymentId {
    ID.parse().unwrap()
}

fn view(state: DeploymentState) -> DeploymentView {
    let is_well = state == DeploymentState::Succeeded;
    DeploymentView {
        deployment: id(),
        host: None,
        domain: "chat.example.com".to_owned(),
        work: Work::Deploy,
        state,
        diagnosis: Vec::new(),
        advice: (state == DeploymentState::Failed).then(testing::wrong_address),
        values: [].into(),
        handover: is_well.then(|| Box::new(testing::handover())),
    }
}

fn planned(plan: Plan) -> (&'static str, Reply) {
    let answer = Answer::Plan(Box::new(plan));
    (ASK, Reply::Json(200, serde_json::to_value(answer).unwrap()))
}

fn deployed() -> (&'static str, Reply) {
    (DEPLOYMENTS, Reply::Json(200, json!({"deployment": ID})))
}

fn ndjson(lines: &[WatchLine]) -> Vec<u8> {
    let lines = lines
        .iter()
        .map(|line| serde_json::to_string(line).unwrap() + "\n");
    lines.collect::<String>().into_bytes()
}

fn events(range: std::ops::Range<usize>) -> Vec<WatchLine> {
    let events = testing::story().into_iter().skip(range.start).take(range.len());
    events
        .map(|event| WatchLine::Event {
            event: Box::new(event),
        })
        .collect()
}

fn log(offset: u64, text: &str) -> WatchLine {
    WatchLine::Log {
        stream: 1,
        offset,
        text: text.to_owned(),
    }
}

fn end(state: DeploymentState) -> WatchLine {
    WatchLine::End {
        view: Box::new(view(state)),
    }
}

/// A stream that arrives in one piece.
fn whole(state: DeploymentState) -> Reply {
    let mut lines = events(0..10);
    lines.push(end(state));
    Reply::Pieces(vec![ndjson(&lines)], Then::Ends)
}

#[tokio::test]
async fn missing_inputs_are_named_before_anything_is_asked_of_the_host() {
    let daemon = Daemon::start(vec![]);
    let (mut out, printed) = Output::recorded(Format::Json);
    let result = deploy(&daemon.client(), &DeployArgs::default(), &mut out).await;
    assert_eq!(finish(result, &mut out), Exit::Usage);
    let told: Value = serde_json::from_str(&printed.out()).unwrap();
    assert_eq!(told["error"], "INPUTS");
    assert_eq!(told["problems"].as_array().unwrap().len(), 2);
    assert!(daemon.heard().is_empty());
}

#[tokio::test]
async fn a_preflight_asks_for_the_domain_only() {
    let daemon = Daemon::start(vec![]);
    let (mut out, printed) = Output::recorded(Format::Json);
    let result = preflight(&daemon.client(), &PreflightArgs::default(), &mut out).await;
    assert_eq!(finish(result, &mut out), Exit::Usage);
    let told: Value = serde_json::from_str(&printed.out()).unwrap();
    let problems = told["problems"].as_array().unwrap();
    assert_eq!((problems.len(), &problems[0]["input"]), (1, &json!("domain")));
}

#[tokio::test]
async fn a_blocked_plan_stops_with_its_advice_before_it_is_approved() {
    let daemon = Daemon::start(vec![planned(testing::plan())]);
    let (mut out, printed) = Output::recorded(Format::Text);
    let result = deploy(&daemon.client(), &args(&["--yes"]), &mut out).await;
    assert_eq!(finish(result, &mut out), Exit::Blocked);
    assert!(
        printed
            .out()
            .contains("✗ Domain points to the host  DNS_WRONG_ADDRESS")
    );
    assert!(
        printed.err().contains("fix     set the A record"),
        "{}",
        printed.err()
    );
    assert_eq!(daemon.heard(), [ASK]);
}

#[tokio::test]
async fn a_deployment_ends_with_the_handover() {
    let daemon = Daemon::start(vec![
        planned(testing::good_plan()),
        deployed(),
        (WATCH, whole(DeploymentState::Succeeded)),
    ]);
    let (mut out, printed) = Output::recorded(Format::Text);
    let exit = deploy(&daemon.client(), &args(&["--yes"]), &mut out)
        .await
        .unwrap();
    assert_eq!(exit, Exit::Done);
    let told = printed.out();
    for part in [
        "  registration   invite_only\n",
        "[1/3] preflight.os     satisfied",
        "✓ Deployed: chat.example.com, 3 steps in 2m 53s\n",
        "URGENT: register now.",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    let request = daemon.body(DEPLOYMENTS);
    assert_eq!(request["plan"], "0b".repeat(32));
    assert_eq!(request["order"]["site"]["domain"], "chat.example.com");
}

#[tokio::test]
async fn a_program_reads_the_plan_the_id_each_line_and_the_end() {
    let daemon = Daemon::start(vec![
        planned(testing::good_plan()),
        deployed(),
        (WATCH, whole(DeploymentState::Failed)),
    ]);
    let (mut out, printed) = Output::recorded(Format::Json);
    let exit = deploy(&daemon.client(), &args(&["--yes"]), &mut out)
        .await
        .unwrap();
    assert_eq!(exit, Exit::Failed);
    let told = printed.out();
    let kinds: Vec<String> = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["line"].to_string())
        .collect();
    assert_eq!(kinds[..2], ["\"plan\"", "\"deployed\""]);
    assert_eq!((kinds.len(), kinds[12].as_str()), (13, "\"end\""));
}

#[tokio::test]
async fn nobody_at_the_terminal_means_nobody_approved() {
    let daemon = Daemon::start(vec![planned(testing::good_plan())]);
    let (mut out, printed) = Output::recorded(Format::Text);
    let result = deploy(&daemon.client(), &args(&[]), &mut out).await;
    assert_eq!(finish(result, &mut out), Exit::Usage);
    assert!(
        printed.err().contains("--yes, or --plan-hash 0b0b"),
        "{}",
        printed.err()
    );
    assert_eq!(daemon.heard(), [ASK]);
}

#[tokio::test]
async fn a_person_is_asked_once_and_may_say_no() {
    for (answer, expected) in [("n", Exit::Cancelled), ("y", Exit::Done)] {
        let daemon = Daemon::start(vec![
            planned(testing::good_plan()),
            deployed(),
            (WATCH, whole(DeploymentState::Succeeded)),
        ]);
        let (mut out, _) = Output::recorded(Format::Text);
        out.interactive = true;
        out.term = Box::new(Script::of(&[answer]));
        let exit = deploy(&daemon.client(), &args(&[]), &mut out).await.unwrap();
        assert_eq!(exit, expected);
        assert_eq!(daemon.heard().len(), if answer == "y" { 3 } else { 1 });
    }
}

#[tokio::test]
async fn a_hash_approves_exactly_its_plan() {
    for (digit, is_approved) in [("0b", true), ("0c", false)] {
        let daemon = Daemon::start(vec![planned(testing::good_plan()), deployed()]);
        let (mut out, printed) = Output::recorded(Format::Json);
        let args = args(&["--detach", "--plan-hash", &digit.repeat(32)]);
        let result = deploy(&daemon.client(), &args, &mut out).await;
        let exit = finish(result, &mut out);
        let told: Value = serde_json::from_str(&printed.out()).unwrap();
        if is_approved {
            assert_eq!((exit, &told["deployment"]), (Exit::Done, &json!(ID)));
        } else {
            assert_eq!((exit, &told["error"]), (Exit::Refused, &json!("PLAN_CHANGED")));
        }
    }
}

#[tokio::test]
async fn a_refusal_is_told_with_its_advice() {
    let advice = Advice::new(
        "POLICY_DOMAIN",
        "chat.example.com",
        "*.example.org",
        "ask its owner",
    );
    let advice = serde_json::to_value(advice).unwrap();
    for (status, expected) in [(403, Exit::Refused), (503, Exit::Unreachable)] {
        let daemon = Daemon::start(vec![
            planned(testing::good_plan()),
            (DEPLOYMENTS, Reply::Json(status, advice.clone())),
        ]);
        let (mut out, printed) = Output::recorded(Format::Text);
        let result = deploy(&daemon.client(), &args(&["--yes"]), &mut out).await;
        assert_eq!(finish(result, &mut out), expected);
        assert!(
            printed.err().starts_with("✗ POLICY_DOMAIN\n"),
            "{}",
            printed.err()
        );
    }
    let refused = json!({"answer": "refused", "advice": advice});
    let daemon = Daemon::start(vec![(ASK, Reply::Json(200, refused))]);
    let (mut out, _) = Output::recorded(Format::Text);
    let result = deploy(&daemon.client(), &args(&["--yes"]), &mut out).await;
    assert!(matches!(result, Err(Failure::Client(ClientError::Refused(_)))));
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_it_open_whether_the_deployment_was_started() {
    let broken = Reply::Pieces(vec![b"{\"deploy".to_vec()], Then::Breaks);
    let daemon = Daemon::start(vec![planned(testing::good_plan()), (DEPLOYMENTS, broken)]);
    let (mut out, printed) = Output::recorded(Format::Text);
    let result = deploy(&daemon.client(), &args(&["--yes"]), &mut out).await;
    assert_eq!(finish(result, &mut out), Exit::Unreachable);
    assert!(printed.err().contains("look at `status`"), "{}", printed.err());
}

#[tokio::test]
async fn checks_end_with_the_code_of_the_worst_finding() {
    let finding = |verdict: Value| {
        let mut finding = json!({"step": "verify.local", "title": "Local health"});
        let fields = finding.as_object_mut().unwrap();
        fields.extend(verdict.as_object().unwrap().clone());
        json!({"answer": "report", "findings": [finding]})
    };
    let advice = serde_json::to_value(testing::wrong_address()).unwrap();
    for (verdict, expected) in [
        (json!({"verdict": "satisfied", "saw": "200"}), Exit::Done),
        (json!({"verdict": "needed", "why": "502"}), Exit::Failed),
        (json!({"verdict": "blocked", "advice": advice}), Exit::Blocked),
    ] {
        let daemon = Daemon::start(vec![(ASK, Reply::Json(200, finding(verdict)))]);
        let (mut out, printed) = Output::recorded(Format::Text);
        let exit = verify(&daemon.client(), &VerifyArgs {}, &mut out).await;
        assert_eq!(exit.unwrap(), expected);
        assert!(printed.out().contains("Local health"));
    }
}
