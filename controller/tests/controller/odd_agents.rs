//! Agents that do not listen, know better, or speak a newer version.

use crate::agent::{Agent, hello, joined};
use crate::generations::shown;
use crate::world::World;
use chatalot_protocol::event::What;
use chatalot_protocol::frame;
use chatalot_protocol::message::{NOTHING_MORE, RejectReason, ToAgent, ToController};
use chatalot_protocol::names::{DeploymentId, StepId};
use chatalotctl::session::{Ended, SessionError};
use std::time::Duration;
use uuid::Uuid;

fn framed(body: &str) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&length[..], &[1], body.as_bytes()].concat()
}

#[tokio::test]
async fn an_agent_that_takes_nothing_is_read_no_further_and_cut_off() {
    use tokio::io::AsyncWriteExt;
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (mut agent, session) = Agent::pipe(&world, peer);
    agent.greet(Uuid::new_v4()).await;
    let mut pings = Vec::new();
    for n in 0..20_000 {
        frame::put_message(&ToController::Ping { n }, &mut pings).unwrap();
    }
    tokio::time::pause();
    let mut sent = 0;
    // Its own answers are what it does not take.
    while let Ok(written) = tokio::time::timeout(Duration::from_secs(1), agent.stream.write_all(&pings)).await
    {
        written.unwrap();
        sent += pings.len();
        assert!(sent < 16 << 20, "what waits for it is bounded");
    }
    let ended = session.await.unwrap();
    assert!(matches!(ended, Err(SessionError::Stuck)), "{ended:?}");
}

#[tokio::test]
async fn f33_an_agent_that_has_seen_a_later_state_ends_its_session_with_this_controller() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (mut agent, session) = Agent::pipe(&world, peer);
    agent.greet(Uuid::new_v4()).await;
    agent.say(&ToController::EpochRefused { known: 9 }).await;
    assert_eq!(session.await.unwrap().unwrap(), Ended::Outdated);
}

#[tokio::test]
async fn output_of_a_deployment_that_nobody_knows_is_not_wanted() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (mut agent, _) = Agent::pipe(&world, peer);
    agent.greet(Uuid::new_v4()).await;
    let (deployment, stream) = (DeploymentId::fresh(), 3);
    let step = StepId::known("install.run");
    agent
        .say(&ToController::LogOpened {
            deployment,
            stream,
            step,
        })
        .await;
    let told = ToAgent::LogStored {
        deployment,
        stream,
        offset: NOTHING_MORE,
    };
    assert_eq!(agent.hear().await, Some(told));
}

#[tokio::test]
async fn f29_an_agent_without_a_common_version_is_told_so_and_the_operator_how_to_bring_it_up_to_date() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    for (min, max, fix) in [
        (7, 9, "a newer `chatalotctl`"),
        (0, 0, "`chatalotctl host add chat-1`"),
    ] {
        let (mut agent, _) = Agent::pipe(&world, peer);
        let mut hello = hello(Uuid::new_v4());
        (hello.protocol_min, hello.protocol_max) = (min, max);
        agent.say(&ToController::Hello(Box::new(hello))).await;
        let answer = agent.hear().await;
        assert!(
            matches!(answer, Some(ToAgent::Rejected { reason, .. }) if reason == RejectReason::Version),
            "{answer:?}"
        );
        let alarms = shown(&world, "chat-1").await.alarms;
        assert!(
            alarms.len() == 1 && alarms[0].code == "NO_COMMON_VERSION" && alarms[0].fix.contains(fix),
            "{alarms:?}"
        );
        let (mut agent, _) = Agent::pipe(&world, peer);
        agent.greet(Uuid::new_v4()).await;
        let alarms = shown(&world, "chat-1").await.alarms;
        assert!(alarms.is_empty(), "it is over once a session begins");
    }
}

#[tokio::test]
async fn f29_what_a_newer_agent_says_is_stored_as_far_as_it_is_understood() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (mut agent, _) = Agent::pipe(&world, peer);
    let hello = r#"{"type":"hello","protocol_min":1,"protocol_max":2,"agent":"9.9","boot_id":"b",
        "stream_epoch":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","hostname":"h","system":"s","architecture":"z80",
        "steps":["preflight.future"],"moods":["sunny"]}"#;
    agent.raw(&framed(hello)).await;
    let Some(ToAgent::Welcome(welcome)) = agent.hear().await else {
        panic!("no welcome")
    };
    assert_eq!(welcome.protocol, chatalot_protocol::version::NEWEST.min(2));
    agent.raw(&framed(r#"{"type":"sing","song":"la"}"#)).await;
    let events = r#"{"type":"events","events":[
        {"seq":1,"at_ms":1,"event":"agent_started","version":"9.9","rebooted":false,"new":1},
        {"seq":2,"at_ms":2,"event":"agent_sang","song":"la"},
        {"seq":3,"at_ms":3,"event":"level_changed","from":"ok","to":"euphoric","cause":7},
        {"seq":4,"at_ms":4,"event":"step_finished","step":"a.b","end":"transcended","saw":"","millis":1,"stream":0,
         "output_bytes":0}]}"#;
    agent.raw(&framed(events)).await;
    agent.hear_acked(4).await;
    let stored = world.centre.store.read(|c| {
        let mut statement = c.prepare("SELECT body FROM events ORDER BY seq")?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.collect::<Result<Vec<_>, _>>()
            .map_err(chatalotctl::store::StoreError::from)
    });
    let whats: Vec<What> = stored
        .await
        .unwrap()
        .iter()
        .map(|body| {
            serde_json::from_str::<chatalot_protocol::event::Event>(body)
                .unwrap()
                .what
        })
        .collect();
    assert!(matches!(whats[0], What::AgentStarted { .. }), "{whats:?}");
    assert_eq!(whats[1..3], [What::Unknown, What::Unknown]);
    assert!(matches!(whats[3], What::StepFinished { .. }));
}

#[tokio::test]
async fn f27_whoever_talks_nonsense_is_told_so() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    for greeted in [false, true] {
        let (mut agent, session) = Agent::pipe(&world, peer);
        if greeted {
            agent.greet(Uuid::new_v4()).await;
        }
        agent.raw(&framed("nonsense")).await;
        let told = agent.hear().await;
        let malformed = RejectReason::Malformed;
        assert!(
            matches!(told, Some(ToAgent::Rejected { reason, .. }) if reason == malformed),
            "{told:?}"
        );
        assert!(session.await.unwrap().is_err());
    }
}
