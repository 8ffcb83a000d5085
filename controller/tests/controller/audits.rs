//! The audit of a host, as the controller keeps an eye on it.

use crate::agent::{Agent, joined};
use crate::world::World;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::audit::{Anchor, Record};
use chatalot_protocol::event::{Event, What};
use chatalot_protocol::message::{Answer, Ask, ToAgent, ToController};
use chatalot_protocol::names::HostId;
use chatalotctl::model::HostView;
use chatalotctl::store::{StoreError, alarms};
use std::time::Duration;
use tokio::io::DuplexStream;
use uuid::Uuid;

/// A chain whose records name its writer.
fn chain(writer: &str, count: u64) -> Vec<Record> {
    let mut at = Anchor::START;
    let body = |n| format!("{{\"by\":\"{writer}\",\"n\":{n}}}");
    let record = |n| {
        at = at.after(&body(n));
        Record {
            n,
            body: body(n),
            hash: at.hash.to_string(),
        }
    };
    (1..=count).map(record).collect()
}

fn anchor(records: &[Record]) -> Anchor {
    let last = records.last().unwrap();
    Anchor {
        n: last.n,
        hash: last.hash.parse().unwrap(),
    }
}

/// Says how far the audit has got, and shows what is asked for of it.
async fn shows(agent: &mut Agent<DuplexStream>, records: &[Record], expects: Option<u64>) {
    let anchor = anchor(records);
    agent.say(&ToController::Audited { anchor }).await;
    let Some(after) = expects else { return };
    let Some(ToAgent::Ask { id, ask }) = agent.hear().await else {
        panic!("nothing is asked")
    };
    assert_eq!(*ask, Ask::Audit { after });
    let records = records.iter().filter(|record| record.n > after).cloned();
    let answer = Box::new(Answer::Audit {
        records: records.collect(),
    });
    agent.say(&ToController::Answer { id, answer }).await;
}

async fn seen(world: &World, host: HostId) -> Anchor {
    let read = world.centre.store.read(move |c| alarms::anchor(c, host));
    let read: Result<_, StoreError> = read.await;
    read.unwrap()
}

async fn alarms_of(world: &World) -> Vec<Advice> {
    let view: HostView = world.get("/v1/hosts/chat-1").await.1.unwrap();
    view.alarms
}

async fn until<F: AsyncFn() -> bool>(holds: F) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .unwrap();
}

#[tokio::test]
async fn f68_a_host_cannot_take_back_what_its_audit_has_shown() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (mut agent, _) = Agent::pipe(&world, peer);
    agent.greet(Uuid::new_v4()).await;
    let whole = chain("alice", 7);
    shows(&mut agent, &whole[..5], Some(0)).await;
    until(async || seen(&world, peer.host).await.n == 5).await;
    shows(&mut agent, &whole, Some(5)).await;
    until(async || seen(&world, peer.host).await.n == 7).await;
    assert!(alarms_of(&world).await.is_empty());

    shows(&mut agent, &whole[..6], None).await;
    until(async || alarms_of(&world).await.len() == 1).await;
    let other = chain("mallory", 7);
    shows(&mut agent, &other, None).await;
    until(async || alarms_of(&world).await.len() == 2).await;
    // It was cut, and has grown further than it was seen: its records do not go on from there.
    shows(&mut agent, &chain("mallory", 9), Some(7)).await;
    until(async || alarms_of(&world).await.len() == 3).await;
    let alarms = alarms_of(&world).await;
    let codes: Vec<_> = alarms.iter().map(|alarm| &*alarm.code).collect();
    assert_eq!(codes, ["AUDIT_CUT", "AUDIT_EDITED", "AUDIT_FORKED"]);
    assert!(alarms[0].saw.contains("records 7 to 7"), "{}", alarms[0]);
    assert!(alarms[1].saw.contains("record 8"), "{}", alarms[1]);
    assert_eq!(seen(&world, peer.host).await, anchor(&whole));

    // The host cannot end what it did not raise, nor what it is told to have been.
    let over = |code: &'static str| What::AlarmOver { code: code.into() };
    let missing = Advice::new("POLICY_MISSING", "no policy", "a policy", "write one");
    let said = [
        over("AUDIT_CUT"),
        What::Alarm { advice: missing },
        over("AUDIT_FORKED"),
    ];
    let events = said.into_iter().zip(1..).map(|(what, seq)| Event {
        seq,
        at_ms: 1,
        deployment: None,
        what,
    });
    agent.events(events.collect()).await;
    agent.hear_acked(3).await;
    assert_eq!(alarms_of(&world).await.len(), 4);
    let ends = vec![Event {
        seq: 4,
        at_ms: 1,
        deployment: None,
        what: over("POLICY_MISSING"),
    }];
    agent.events(ends).await;
    agent.hear_acked(4).await;
    assert_eq!(alarms_of(&world).await.len(), 3);
}
