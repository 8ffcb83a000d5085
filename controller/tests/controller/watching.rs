//! Watching a deployment: everything, in order, with the output between the events that enclose it.

use crate::agent::{Agent, event, joined, started};
use crate::deployments::deploy;
use crate::world::World;
use chatalot_protocol::api::WatchLine;
use chatalot_protocol::event::{StepEnd, What};
use chatalot_protocol::message::ToAgent;
use chatalot_protocol::names::{DeploymentId, StepId};
use chatalot_protocol::report::DeploymentState;
use chatalotctl::watch::Watcher;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::time::Instant;
use uuid::Uuid;

const STEP: StepId = StepId::known("install.run");

fn step_started(stream: u32) -> What {
    What::StepStarted {
        step: STEP,
        attempt: 1,
        stream,
        why: String::new(),
    }
}

fn step_finished(stream: u32, output_bytes: u64) -> What {
    What::StepFinished {
        step: STEP,
        end: StepEnd::Done,
        saw: String::new(),
        millis: 1,
        advice: None,
        stream,
        output_bytes,
    }
}

fn finished() -> What {
    What::DeploymentFinished {
        state: DeploymentState::Succeeded,
        advice: None,
        diagnosis: Vec::new(),
        values: std::collections::BTreeMap::new(),
        handover: None,
    }
}

async fn lines(watcher: &mut Watcher) -> Option<Vec<WatchLine>> {
    let bytes = watcher.next().await.unwrap()?;
    let text = std::str::from_utf8(&bytes).unwrap();
    assert!(text.ends_with('\n'));
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

async fn all(mut watcher: Watcher) -> Vec<WatchLine> {
    let mut all = Vec::new();
    while let Some(lines) = lines(&mut watcher).await {
        all.extend(lines);
    }
    all
}

/// What was seen, in short: the kinds of lines, and the output as one text.
fn told(lines: &[WatchLine]) -> (String, String) {
    let (mut kinds, mut text) = (String::new(), String::new());
    for line in lines {
        let kind = match line {
            WatchLine::Event { event } => match event.what {
                What::StepStarted { .. } => '(',
                What::StepFinished { .. } => ')',
                _ => 'e',
            },
            WatchLine::Log {
                text: output, offset, ..
            } => {
                assert_eq!(*offset, text.len() as u64);
                text.push_str(output);
                'l'
            }
            WatchLine::End { .. } => '.',
            _ => continue,
        };
        if kind != 'l' || !kinds.ends_with('l') {
            kinds.push(kind);
        }
    }
    (kinds, text)
}

async fn at_work(world: &World) -> (DeploymentId, Agent<DuplexStream>) {
    let (peer, _) = joined(world, "chat-1").await;
    let id = deploy(world, "chat-1").await;
    let (mut agent, _) = Agent::pipe(world, peer);
    agent.greet(Uuid::new_v4()).await;
    assert!(matches!(agent.hear().await, Some(ToAgent::Job(_))));
    (id, agent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_sees_every_event_and_byte_in_order_however_late_the_output_comes() {
    let world = World::start().await;
    let (id, mut agent) = at_work(&world).await;
    let early = tokio::spawn(all(Watcher::new(Arc::clone(&world.centre), id, true)));
    let output = "a line of output \u{20ac}\n".repeat(40_000);
    let size = output.len() as u64;
    agent
        .events(vec![event(1, id, started()), event(2, id, step_started(1))])
        .await;
    // The end of the step is told before its output has come.
    agent
        .events(vec![
            event(3, id, step_finished(1, size)),
            event(4, id, finished()),
        ])
        .await;
    agent.hear_acked(4).await;
    let (mut at, mut sender) = (0_u64, agent);
    for piece in output.as_bytes().chunks(50_001) {
        sender.log(id, 1, at, piece).await;
        at += piece.len() as u64;
        while !matches!(sender.hear().await, Some(ToAgent::LogStored { .. })) {}
    }
    let (kinds, text) = told(&early.await.unwrap());
    assert_eq!((kinds.as_str(), text == output), ("e(l)e.", true));
    let late = all(Watcher::new(Arc::clone(&world.centre), id, true)).await;
    assert_eq!(told(&late), ("e(l)e.".to_owned(), output));
    let without = all(Watcher::new(Arc::clone(&world.centre), id, false)).await;
    assert_eq!(told(&without), ("e()e.".to_owned(), String::new()));
    let Some(WatchLine::End { view }) = late.last() else {
        panic!("no end")
    };
    assert_eq!(view.state, DeploymentState::Succeeded);
}

#[tokio::test]
async fn a_watcher_waits_for_output_that_never_comes_only_for_a_while() {
    let world = World::start().await;
    let (id, mut agent) = at_work(&world).await;
    let events = [started(), step_started(1), step_finished(1, 99), finished()];
    let events = (1..).zip(events).map(|(seq, what)| event(seq, id, what));
    agent.events(events.collect()).await;
    agent.hear_acked(4).await;
    let watcher = Watcher::new(Arc::clone(&world.centre), id, true);
    let since = Instant::now();
    let lines = all(watcher.patient_for(Duration::from_millis(50))).await;
    assert_eq!(told(&lines).0, "e()e.");
    assert!(since.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn a_watcher_of_a_silent_deployment_hears_that_the_line_lives() {
    let world = World::start().await;
    joined(&world, "chat-1").await;
    let id = deploy(&world, "chat-1").await;
    let mut watcher = Watcher::new(Arc::clone(&world.centre), id, true);
    tokio::time::pause();
    for _ in 0..3 {
        assert_eq!(lines(&mut watcher).await.unwrap(), [WatchLine::Alive]);
    }
}

#[tokio::test]
async fn a_watch_over_the_socket_ends_with_the_view() {
    let world = World::start().await;
    let (id, mut agent) = at_work(&world).await;
    agent
        .events(vec![event(1, id, started()), event(2, id, finished())])
        .await;
    agent.hear_acked(2).await;
    let path = format!("/v1/deployments/{id}/watch?logs=1");
    let stream = tokio::net::UnixStream::connect(world.centre.config.socket())
        .await
        .unwrap();
    let whole = crate::world::exchange(stream, "GET", &path, Vec::new());
    let (_, body) = tokio::time::timeout(Duration::from_mins(1), whole).await.unwrap();
    let lines: Vec<WatchLine> = std::str::from_utf8(&body)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(told(&lines).0, "ee.");
}
