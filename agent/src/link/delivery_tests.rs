//! What a session does when one of the two sides is not what it was, is slow, or speaks a newer version.

use super::session::SessionEnd;
use super::tests::{Controller, World, world};
use crate::ledger::{deployments as records, outbox};
use chatalot_protocol::event::What;
use chatalot_protocol::inputs::Inputs;
use chatalot_protocol::message::{Answer, Ask, Job, Order, ToAgent, ToController, Welcome};
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::plan::PlanHash;
use chatalot_protocol::report::DeploymentState;
use chatalot_protocol::work::Work;
use rusqlite::Connection;
use tokio::io::AsyncWriteExt;

impl Controller {
    async fn welcome_in(&mut self, epoch: u64, acked: u64, acked_at_ms: Option<i64>) {
        self.hello().await;
        self.say(&ToAgent::Welcome(Welcome {
            protocol: 1,
            epoch,
            ping_secs: 15,
            acked,
            acked_at_ms,
            now_ms: None,
            your_address: "203.0.113.9".to_owned(),
            addresses: Vec::new(),
            looks: true,
            spread_secs: 0,
        }))
        .await;
    }

    /// Sends the JSON of a message.
    async fn say_raw(&mut self, body: &str) {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let frame = [&length[..], &[1], body.as_bytes()].concat();
        self.0.write_all(&frame).await.unwrap();
    }

    /// What is told until a question is answered.
    async fn told_until_answered(&mut self) -> Vec<chatalot_protocol::event::Event> {
        let ask = Box::new(Ask::Ping);
        self.say(&ToAgent::Ask { id: 99, ask }).await;
        let mut told = Vec::new();
        loop {
            match self.message().await {
                ToController::Events { events } => told.extend(events),
                ToController::Answer { id: 99, .. } => return told,
                _ => {}
            }
        }
    }
}

fn job(not_after_ms: i64) -> Job {
    let inputs = Inputs {
        domain: Some("chat.example.com".into()),
        admin_username: Some("a".into()),
        ..Inputs::default()
    };
    let (site, secrets) = inputs.complete().unwrap();
    Job {
        id: DeploymentId::fresh(),
        issued_ms: 0,
        not_after_ms,
        by: "test".into(),
        plan: PlanHash::of(&[0; 32]),
        work: Work::default(),
        order: Order { site, secrets },
    }
}

/// Why a job is refused.
async fn refusal(world: &World, job: Job) -> String {
    let id = job.id;
    world.service.deployments.take(job).await.unwrap();
    let found = world.service.ledger.with(move |db| records::find(db, id)).await;
    found.unwrap().unwrap().result.advice.unwrap().code.to_string()
}

#[tokio::test]
async fn f32_a_ledger_that_was_restored_begins_a_new_stream_and_uses_no_number_twice() {
    for (acked, at_ms) in [(5, None), (2, Some(77))] {
        let world = world();
        world.happened(3).await;
        let (mut controller, session) = world.session();
        let before = controller.hello().await.stream_epoch;
        drop((controller, session));
        let (mut controller, session) = world.session();
        controller.welcome_in(1, acked, at_ms).await;
        assert!(matches!(session.await.unwrap(), SessionEnd::Restored));
        let (mut controller, _session) = world.session();
        assert_ne!(controller.hello().await.stream_epoch, before);
        drop(controller);
        let (mut controller, _session) = world.session();
        controller.welcome_in(1, 0, None).await;
        assert_eq!(controller.events().await, [1, 2, 3], "nothing is lost");
    }
}

#[tokio::test]
async fn f33_a_controller_that_is_older_than_it_was_is_refused_and_told_so() {
    let world = world();
    world.happened(3).await;
    let (mut controller, session) = world.session();
    controller.welcome_in(2, 0, None).await;
    assert_eq!(controller.events().await, [1, 2, 3]);
    controller.say(&ToAgent::Acked { seq: 3 }).await;
    controller.told_until_answered().await;
    drop(controller);
    session.await.unwrap();
    world.service.connection.send_replace(None);
    // An epoch that is over; and one that is not, in which less is stored than was acknowledged.
    for (epoch, acked) in [(1, 3), (2, 1)] {
        let (mut controller, session) = world.session();
        controller.welcome_in(epoch, acked, None).await;
        assert_eq!(
            controller.message().await,
            ToController::EpochRefused { known: 2 }
        );
        let end = session.await.unwrap();
        assert!(matches!(end, SessionEnd::OldController { known: 2 }), "{end}");
        assert_eq!(*world.service.connection.borrow(), None);
    }
    let (mut controller, _session) = world.session();
    controller.welcome_in(3, 1, None).await;
    assert_eq!(controller.events().await, [2, 3], "what it lacks");
}

#[tokio::test]
async fn f29_a_newer_job_is_refused_once_a_newer_question_too_and_the_session_goes_on() {
    let world = world();
    let (mut controller, _session) = world.session();
    controller.welcome_in(1, 0, None).await;
    let job = r#"{"type":"job","id":"0190b7a0-0000-7000-8000-000000000000","order":"of the future"}"#;
    controller.say_raw(job).await;
    controller.say_raw(job).await;
    controller
        .say_raw(r#"{"type":"ask","id":7,"ask":{"ask":"sing"}}"#)
        .await;
    controller.say_raw(r#"{"type":"acked","seq":"all"}"#).await;
    let mut told = Vec::new();
    loop {
        match controller.message().await {
            ToController::Events { events } => told.extend(events),
            ToController::Answer { id: 7, answer } => {
                assert!(matches!(*answer, Answer::Refused { advice } if advice.code == "UNSUPPORTED"));
                break;
            }
            _ => {}
        }
    }
    told.extend(controller.told_until_answered().await);
    let [refused] = told.as_slice() else {
        panic!("{told:?}")
    };
    let is_refused = |what: &What| {
        matches!(what, What::DeploymentFinished { state: DeploymentState::Refused, advice: Some(advice), .. }
            if advice.code == "UNSUPPORTED")
    };
    assert!(is_refused(&refused.what), "{refused:?}");
}

#[tokio::test]
async fn f31_output_that_is_gone_before_it_was_passed_on_is_a_gap_with_its_ends() {
    let world = world();
    let id = world.has_output(b"0123456789").await;
    let output = crate::effect::folder::JobFolder::of(&world.service.state, id, 1).output();
    std::fs::write(output, b"012345").unwrap();
    let (mut controller, _session) = world.session();
    controller.welcome_in(1, 0, None).await;
    while !matches!(controller.message().await, ToController::LogOpened { .. }) {}
    let stored = |offset| ToAgent::LogStored {
        deployment: id,
        stream: 1,
        offset,
    };
    controller.say(&stored(4)).await;
    controller.say(&stored(6)).await;
    loop {
        if let ToController::Events { events } = controller.message().await {
            let gap = What::Gap {
                stream: 1,
                from: 6,
                to: 10,
            };
            assert_eq!((events[0].deployment, &events[0].what), (Some(id), &gap));
            break;
        }
    }
    let left = world.service.ledger.with(records::unlogged).await.unwrap();
    assert_eq!(left, []);
}

#[tokio::test]
async fn f31_a_full_outbox_takes_no_more_jobs_and_keeps_what_it_has() {
    let world = world();
    let (mut controller, _session) = world.session();
    controller.welcome_in(1, 0, None).await;
    controller.told_until_answered().await;
    drop(controller);
    let fill = |db: &Connection| {
        let sql = r#"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
            INSERT INTO event (at_ms, what) SELECT 1, '{"event":"agent_started","version":"1","rebooted":false}' FROM n"#;
        Ok(db.execute(sql, [])?)
    };
    world.service.ledger.with(fill).await.unwrap();
    assert_eq!(refusal(&world, job(i64::MAX)).await, "OUTBOX_FULL");
    let latest = world.service.ledger.with(outbox::latest).await.unwrap();
    let acked = move |db: &Connection| outbox::acked(db, latest);
    world.service.ledger.with(acked).await.unwrap();
    assert_ne!(refusal(&world, job(i64::MAX)).await, "OUTBOX_FULL");
}

#[tokio::test]
async fn f35_f19_a_late_job_is_refused_by_the_clock_of_whoever_sent_it() {
    let world = world();
    let desk = &world.service.deployments;
    let (ours, year) = (world.service.host.now_ms(), 365 * 24 * 3_600_000);
    desk.clock_is(Some(ours - year));
    assert_ne!(refusal(&world, job(ours - year + 60_000)).await, "JOB_EXPIRED");
    desk.clock_is(Some(ours + year));
    assert_eq!(refusal(&world, job(ours + 60_000)).await, "JOB_EXPIRED");
}

#[tokio::test]
async fn a_controller_that_stores_slowly_is_sent_no_more_than_a_window() {
    let world = world();
    world.happened(1000).await;
    let (mut controller, _session) = world.session();
    controller.welcome_in(1, 0, None).await;
    let mut told = controller.told_until_answered().await.len();
    told += controller.told_until_answered().await.len();
    assert!((256..356).contains(&told), "{told}");
    let seq = told as u64;
    controller.say(&ToAgent::Acked { seq }).await;
    assert_eq!(controller.events().await[0], seq + 1);
}

#[tokio::test]
async fn events_of_any_length_fit_into_messages() {
    let world = world();
    let record = |db: &Connection| {
        for bytes in [400 << 10, 400 << 10, 400 << 10, 2 << 20] {
            let because = "x".repeat(bytes);
            outbox::record(db, 1, None, &What::DeploymentResumed { because })?;
        }
        Ok(())
    };
    world.service.ledger.with(record).await.unwrap();
    let (mut controller, _session) = world.session();
    controller.welcome_in(1, 0, None).await;
    let mut told = Vec::new();
    while told.len() < 4 {
        if let ToController::Events { events } = controller.message().await {
            told.extend(events);
        }
    }
    assert!(told.iter().map(|event| event.seq).eq(1..5));
    assert_eq!(told[3].what, What::Unknown, "only that it happened is told");
}
