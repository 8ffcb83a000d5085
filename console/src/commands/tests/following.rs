//! Watching, detaching, cancelling and waiting.

use super::*;
use crate::commands::watch::Watcher;
use crate::follow::Follow;
use tokio::sync::mpsc;

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
