use super::daemon::{Daemon, Reply, Then};
use super::watch::Watcher;
use super::*;
use crate::ask::script::Script;
use crate::client::ClientError;
use crate::exit::finish;
use crate::follow::Follow;
use crate::output::Format;
use crate::render::testing;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::api::{DeploymentView, WatchLine};
use chatalot_protocol::message::Answer;
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::plan::Plan;
use chatalot_protocol::report::DeploymentState;
use clap::Parser;
use serde_json::{Value, json};
use tokio::sync::mpsc;

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
        state,
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

/// The stream breaks in the middle of a line, begins again in other pieces, and ends.
fn broken_and_resumed() -> Vec<(&'static str, Reply)> {
    let mut first = events(0..4);
    first.extend([log(0, "one\ntwo\n"), log(8, "thr")]);
    let mut bytes = ndjson(&first);
    let cut = ndjson(&[log(11, "ee\nfour\n")]);
    bytes.extend_from_slice(&cut[..20]);
    let mut second = events(0..4);
    second.extend([log(0, "one\ntwo\nthree\n"), WatchLine::Alive]);
    second.extend(events(4..5));
    second.extend([log(14, "four\n"), end(DeploymentState::Failed)]);
    vec![
        (WATCH_LOGS, Reply::Pieces(vec![bytes], Then::Breaks)),
        (WATCH_LOGS, Reply::Json(503, json!("restarting"))),
        (WATCH_LOGS, Reply::Pieces(vec![ndjson(&second)], Then::Ends)),
    ]
}

#[tokio::test]
async fn a_broken_stream_is_resumed_without_losing_or_repeating_a_line() {
    let daemon = Daemon::start(broken_and_resumed());
    let (mut out, printed) = Output::recorded(Format::Text);
    out.verbose = true;
    let exit = watch(&daemon.client(), &WatchArgs { deployment: id() }, &mut out).await;
    assert_eq!(exit.unwrap(), Exit::Failed);
    let told = printed.out();
    let begin = told.find("one\n").unwrap();
    let until = told.find("\n✗ Failed").unwrap();
    assert_eq!(
        told[begin..until],
        *"one\ntwo\nthree\nResumed: agent restarted\nfour\n",
        "{told}"
    );
    assert_eq!(told.matches("packages.docker  started").count(), 1);
    assert_eq!(
        printed.err().matches("trying again").count(),
        1,
        "{}",
        printed.err()
    );
}

#[tokio::test]
async fn a_program_gets_each_event_once_too() {
    let daemon = Daemon::start(broken_and_resumed());
    let (mut out, printed) = Output::recorded(Format::Json);
    out.verbose = true;
    let exit = watch(&daemon.client(), &WatchArgs { deployment: id() }, &mut out).await;
    assert_eq!(exit.unwrap(), Exit::Failed);
    let mut output = String::new();
    let mut seqs = Vec::new();
    for line in printed.out().lines() {
        match serde_json::from_str(line).unwrap() {
            WatchLine::Event { event } => seqs.push(event.seq),
            WatchLine::Log { text, .. } => output += &text,
            _ => {}
        }
    }
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
    assert_eq!(output, "one\ntwo\nthree\nfour\n");
}

#[tokio::test]
async fn a_daemon_that_never_answered_is_not_waited_for() {
    let daemon = Daemon::start(vec![(WATCH, Reply::Json(503, json!("starting")))]);
    let (mut out, _) = Output::recorded(Format::Text);
    let result = watch(&daemon.client(), &WatchArgs { deployment: id() }, &mut out).await;
    assert!(matches!(
        result,
        Err(Failure::Client(ClientError::Unavailable(_)))
    ));
    assert_eq!(daemon.heard().len(), 1);
}

async fn interrupted(answers: &[&'static str]) -> (Exit, Vec<String>, String) {
    let mut rest = events(4..10);
    rest.push(end(DeploymentState::Cancelled));
    let running = serde_json::to_value(view(DeploymentState::Running)).unwrap();
    let pieces = vec![ndjson(&events(0..4)), ndjson(&rest)];
    let daemon = Daemon::start(vec![
        (WATCH, Reply::Pieces(pieces, Then::Stays)),
        (CANCEL, Reply::Json(200, running)),
    ]);
    let (mut out, printed) = Output::recorded(Format::Text);
    out.interactive = !answers.is_empty();
    out.term = Box::new(Script::of(answers));
    let (ctrl_c, interrupts) = mpsc::channel(1);
    ctrl_c.send(()).await.unwrap();
    let client = daemon.client();
    let follow = Follow::new(&client, id(), false);
    let exit = Watcher::new(&client, follow, &mut out).run(interrupts).await;
    (exit.unwrap(), daemon.heard(), printed.all())
}

#[tokio::test]
async fn ctrl_c_off_a_terminal_detaches_and_says_how_to_come_back() {
    let (exit, heard, told) = interrupted(&[]).await;
    assert_eq!(exit, Exit::Detached);
    assert!(!heard.contains(&CANCEL.to_owned()));
    assert!(
        told.contains(&format!("chatalotctl deployment watch {ID}")),
        "{told}"
    );
}

#[tokio::test]
async fn ctrl_c_at_a_terminal_asks_whether_to_cancel_or_to_detach() {
    let (exit, heard, told) = interrupted(&["c"]).await;
    assert_eq!(exit, Exit::Cancelled, "{told}");
    assert!(heard.contains(&CANCEL.to_owned()));
    assert!(told.contains("Cancelling at the next step boundary"), "{told}");
    let (exit, heard, _) = interrupted(&["d"]).await;
    assert_eq!(exit, Exit::Detached);
    assert!(!heard.contains(&CANCEL.to_owned()));
}

fn show_args(wait: bool, timeout: Option<u64>) -> ShowArgs {
    ShowArgs {
        deployment: id(),
        wait,
        timeout,
    }
}

#[tokio::test]
async fn a_shown_deployment_is_one_json_object_however_long_it_took() {
    let over = serde_json::to_value(view(DeploymentState::Succeeded)).unwrap();
    let daemon = Daemon::start(vec![
        (WATCH, whole(DeploymentState::Succeeded)),
        (VIEW, Reply::Json(200, over)),
    ]);
    let (mut out, printed) = Output::recorded(Format::Json);
    let exit = show(&daemon.client(), &show_args(true, Some(30)), &mut out).await;
    assert_eq!(exit.unwrap(), Exit::Done);
    let told: Value = serde_json::from_str(&printed.out()).unwrap();
    assert_eq!(told["state"], "succeeded");
    assert_eq!(told["handover"]["admin"], "alice");
}

#[tokio::test]
async fn waiting_has_an_end() {
    let running = serde_json::to_value(view(DeploymentState::Running)).unwrap();
    let daemon = Daemon::start(vec![
        (WATCH, Reply::Pieces(vec![ndjson(&events(0..4))], Then::Stays)),
        (VIEW, Reply::Json(200, running)),
    ]);
    let (mut out, printed) = Output::recorded(Format::Json);
    let exit = show(&daemon.client(), &show_args(true, Some(0)), &mut out).await;
    assert_eq!(exit.unwrap(), Exit::TimedOut);
    assert!(printed.out().contains("\"running\""));
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
