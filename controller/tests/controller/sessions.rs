//! A session: events once and acknowledged after they are stored, logs by offset, one session a host.

use crate::agent::{Agent, event, joined, resumed, started};
use crate::world::World;
use chatalot_protocol::event::{Event, What};
use chatalot_protocol::message::{Answer, Ask, RejectReason, ToAgent, ToController};
use chatalot_protocol::names::{DeploymentId, StepId};
use chatalot_protocol::report::{CheckState, Level};
use chatalotctl::fleet::AskError;
use chatalotctl::model::HostView;
use chatalotctl::session::Ended;
use chatalotctl::store::{StoreError, events};
use hyper::StatusCode;
use std::collections::BTreeSet;
use std::time::Duration;
use uuid::Uuid;

async fn stored(world: &World, id: DeploymentId) -> Vec<u64> {
    let found = world.centre.store.read(move |c| events::after(c, id, 0, 1000));
    let found: Result<Vec<(i64, Event)>, StoreError> = found.await;
    found.unwrap().into_iter().map(|(_, event)| event.seq).collect()
}

#[tokio::test]
async fn f30_events_are_stored_once_in_order_and_acknowledged_when_they_are() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (id, epoch) = (DeploymentId::fresh(), Uuid::new_v4());
    let (mut agent, _) = Agent::pipe(&world, peer);
    assert_eq!(agent.greet(epoch).await.acked, 0);
    agent.events(vec![event(1, id, started())]).await;
    agent.hear_acked(1).await;
    assert_eq!(stored(&world, id).await, [1]);
    let again = event(1, id, started());
    agent
        .events(vec![
            event(3, id, resumed("c")),
            again,
            event(2, id, resumed("b")),
        ])
        .await;
    agent.hear_acked(3).await;
    drop(agent);
    let world = world.restart().await;
    let (mut agent, _) = Agent::pipe(&world, peer);
    assert_eq!(agent.greet(epoch).await.acked, 3);
    assert_eq!(stored(&world, id).await, [1, 2, 3]);
}

#[tokio::test]
async fn f30_after_a_gap_nothing_is_stored_until_the_missing_events_come() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (id, epoch) = (DeploymentId::fresh(), Uuid::new_v4());
    let (mut agent, session) = Agent::pipe(&world, peer);
    agent.greet(epoch).await;
    agent
        .events(vec![event(1, id, started()), event(3, id, resumed("c"))])
        .await;
    agent.hear_acked(1).await;
    assert_eq!(session.await.unwrap().unwrap(), Ended::Gap);
    let (mut agent, _) = Agent::pipe(&world, peer);
    assert_eq!(agent.greet(epoch).await.acked, 1);
    agent
        .events(vec![event(2, id, resumed("b")), event(3, id, resumed("c"))])
        .await;
    agent.hear_acked(3).await;
    assert_eq!(stored(&world, id).await, [1, 2, 3]);
}

#[tokio::test]
async fn a_stream_begins_where_the_agent_begins_it_and_has_no_hole_from_there() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (id, epoch) = (DeploymentId::fresh(), Uuid::new_v4());
    let (mut agent, session) = Agent::pipe(&world, peer);
    agent.greet(epoch).await;
    agent.events(vec![event(501, id, started())]).await;
    agent.hear_acked(501).await;
    agent.events(vec![event(503, id, resumed("c"))]).await;
    assert_eq!(session.await.unwrap().unwrap(), Ended::Gap);
    let (mut agent, _) = Agent::pipe(&world, peer);
    assert_eq!(agent.greet(epoch).await.acked, 501);
    assert_eq!(stored(&world, id).await, [501]);
}

#[tokio::test]
async fn f32_events_of_another_life_of_the_agent_count_for_themselves() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let id = DeploymentId::fresh();
    for _ in 0..2 {
        let (mut agent, _) = Agent::pipe(&world, peer);
        assert_eq!(agent.greet(Uuid::new_v4()).await.acked, 0);
        agent.events(vec![event(1, id, started())]).await;
        agent.hear_acked(1).await;
    }
    assert_eq!(stored(&world, id).await, [1, 1]);
    let (_, view) = world
        .get::<serde_json::Value>(&format!("/v1/deployments/{id}"))
        .await;
    // The second life knows nothing of it until it says so; then the deployment is over for us.
    assert_eq!(view.unwrap()["advice"]["code"], "AGENT_STATE_LOST");
}

#[tokio::test]
async fn a_host_cannot_speak_of_the_deployments_of_another() {
    let world = World::start().await;
    let (one, _) = joined(&world, "chat-1").await;
    let (other, _) = joined(&world, "chat-2").await;
    let id = DeploymentId::fresh();
    let (mut agent, _) = Agent::pipe(&world, one);
    agent.greet(Uuid::new_v4()).await;
    agent.events(vec![event(1, id, started())]).await;
    agent.hear_acked(1).await;
    let (mut thief, _) = Agent::pipe(&world, other);
    thief.greet(Uuid::new_v4()).await;
    thief
        .events(vec![event(1, id, started()), event(2, id, resumed("mine"))])
        .await;
    thief.hear_acked(2).await;
    thief.log(id, 1, 0, b"forged").await;
    thief.say(&ToController::Ping { n: 5 }).await;
    while thief.hear().await.unwrap() != (ToAgent::Pong { n: 5 }) {}
    thief.events(vec![event(3, id, resumed("mine"))]).await;
    thief.hear_acked(3).await;
    assert_eq!(stored(&world, id).await, [1]);
    assert!(world.centre.logs.read((id, 1), 0, 100).unwrap().is_empty());
}

#[tokio::test]
async fn f25_a_log_goes_on_where_it_was_cut() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (id, epoch) = (DeploymentId::fresh(), Uuid::new_v4());
    let (mut agent, _) = Agent::pipe(&world, peer);
    agent.greet(epoch).await;
    agent.events(vec![event(1, id, started())]).await;
    agent.hear_acked(1).await;
    agent.log(id, 1, 0, b"hello ").await;
    let at = |offset| ToAgent::LogStored {
        deployment: id,
        stream: 1,
        offset,
    };
    assert_eq!(agent.hear().await, Some(at(6)));
    // A hole is not filled with anything: the answer says where to go on.
    agent.log(id, 1, 90, b"beyond").await;
    assert_eq!(agent.hear().await, Some(at(6)));
    drop(agent);
    let world = world.restart().await;
    let (mut agent, _) = Agent::pipe(&world, peer);
    agent.greet(epoch).await;
    let (deployment, step) = (id, StepId::known("install.run"));
    agent
        .say(&ToController::LogOpened {
            deployment,
            stream: 1,
            step,
        })
        .await;
    assert_eq!(agent.hear().await, Some(at(6)));
    agent.log(id, 1, 4, b"o world").await;
    assert_eq!(agent.hear().await, Some(at(11)));
    assert_eq!(world.centre.logs.read((id, 1), 0, 100).unwrap(), b"hello world");
}

#[tokio::test]
async fn f17_the_newest_session_of_a_host_wins_and_the_old_one_is_told() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (mut old, session) = Agent::pipe(&world, peer);
    old.greet(Uuid::new_v4()).await;
    let (mut new, _) = Agent::pipe(&world, peer);
    new.greet(Uuid::new_v4()).await;
    let told = old.hear().await;
    let superseded = RejectReason::Superseded;
    assert!(
        matches!(told, Some(ToAgent::Rejected { reason, .. }) if reason == superseded),
        "{told:?}"
    );
    assert_eq!(session.await.unwrap().unwrap(), Ended::Superseded);
    assert!(world.centre.fleet.is_connected(peer.host));
    new.say(&ToController::Ping { n: 3 }).await;
    assert_eq!(new.hear().await, Some(ToAgent::Pong { n: 3 }));
}

#[tokio::test]
async fn a_question_is_answered_over_the_operators_socket() {
    let world = World::start().await;
    let (_, identity) = joined(&world, "chat-1").await;
    let (status, refused) = world
        .command::<_, Answer>("POST", "/v1/hosts/chat-1/ask", &Ask::Ping)
        .await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.unwrap_err()["code"], "HOST_NOT_CONNECTED");
    let mut agent = Agent::dial(&world, identity).await;
    agent.greet(Uuid::new_v4()).await;
    let path = "/v1/hosts/chat-1?wait=connected&secs=60";
    let (_, host) = world.get::<HostView>(path).await;
    let host = host.unwrap();
    assert_eq!(
        (host.connected, host.hostname.as_deref()),
        (true, Some("vps[31m"))
    );
    let answer = async {
        let Some(ToAgent::Ask { id, ask }) = agent.hear().await else {
            panic!("no question")
        };
        assert_eq!(*ask, Ask::Ping);
        let answer = Box::new(Answer::Pong);
        agent.say(&ToController::Answer { id, answer }).await;
    };
    let ask = world.command::<_, Answer>("POST", "/v1/hosts/chat-1/ask", &Ask::Ping);
    let ((status, got), ()) = tokio::join!(ask, answer);
    assert_eq!((status, got.unwrap()), (StatusCode::OK, Answer::Pong));
}

#[tokio::test]
async fn a_question_fails_at_once_when_the_session_ends() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (mut agent, _) = Agent::pipe(&world, peer);
    agent.greet(Uuid::new_v4()).await;
    let gone = async {
        agent.hear().await;
        drop(agent);
    };
    let (answer, ()) = tokio::join!(world.centre.fleet.ask(peer.host, Box::new(Ask::Status)), gone);
    assert_eq!(answer.unwrap_err(), AskError::Lost);
}

#[tokio::test]
async fn a_change_of_level_is_shown_with_its_cause() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (mut agent, _) = Agent::pipe(&world, peer);
    agent.greet(Uuid::new_v4()).await;
    let cause = CheckState {
        check: "http".into(),
        level: Level::Down,
        saw: "502".into(),
        advice: None,
        since_ms: 5,
    };
    let what = What::LevelChanged {
        from: Level::Ok,
        to: Level::Down,
        cause: cause.clone(),
    };
    agent
        .events(vec![Event {
            seq: 1,
            at_ms: 5,
            deployment: None,
            what,
        }])
        .await;
    agent.hear_acked(1).await;
    let (_, host) = world.get::<HostView>("/v1/hosts/chat-1").await;
    let host = host.unwrap();
    assert_eq!((host.level, host.cause), (Level::Down, Some(cause)));
}

#[tokio::test]
async fn f22_a_silent_agent_is_dead_after_45_seconds_and_a_pinging_one_lives() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (mut agent, session) = Agent::pipe(&world, peer);
    agent.greet(Uuid::new_v4()).await;
    tokio::time::pause();
    for n in 0..10 {
        tokio::time::advance(Duration::from_secs(15)).await;
        agent.say(&ToController::Ping { n }).await;
        assert_eq!(agent.hear().await, Some(ToAgent::Pong { n }));
    }
    assert!(!session.is_finished());
    assert_eq!(session.await.unwrap().unwrap(), Ended::Silent);
}

#[tokio::test]
async fn f27_a_frame_that_arrives_byte_by_byte_is_still_one_frame() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (mut agent, _) = Agent::pipe(&world, peer);
    agent.greet(Uuid::new_v4()).await;
    let mut bytes = Vec::new();
    chatalot_protocol::frame::put_message(&ToController::Ping { n: 9 }, &mut bytes).unwrap();
    for byte in bytes {
        agent.raw(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(agent.hear().await, Some(ToAgent::Pong { n: 9 }));
}

#[tokio::test]
async fn f70_the_end_of_the_controller_ends_every_session() {
    let world = World::start().await;
    let mut agents = Vec::new();
    for number in 0..5 {
        let (peer, identity) = joined(&world, &format!("chat-{number}")).await;
        let mut agent = Agent::dial(&world, identity).await;
        agent.greet(Uuid::new_v4()).await;
        agents.push((peer.host, agent));
    }
    let hosts: BTreeSet<_> = agents.iter().map(|(host, _)| *host).collect();
    assert_eq!(hosts.len(), 5);
    let world = world.restart().await;
    for (_, mut agent) in agents {
        let told = agent.hear().await;
        let stopping = RejectReason::Stopping;
        assert!(
            matches!(told, Some(ToAgent::Rejected { reason, .. }) if reason == stopping),
            "{told:?}"
        );
        assert!(agent.hear().await.is_none());
    }
    assert!(world.centre.fleet.is_empty());
}
