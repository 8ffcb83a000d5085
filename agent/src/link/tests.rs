//! Sessions against a controller that follows a script, over a byte stream in memory.

use super::session::{self, SessionEnd};
use crate::effect::fake::FakeRunner;
use crate::effect::folder::JobFolder;
use crate::effect::{Ended, Outcome};
use crate::health::Health;
use crate::host::fake::FakeHost;
use crate::ledger::deployments::{self as records, Deployment, DeploymentResult};
use crate::ledger::{Ledger, outbox};
use crate::outside::Desk;
use crate::runbook::distro::DISTROS;
use crate::runbook::engine::{Engine, Pace};
use crate::service::Service;
use chatalot_protocol::event::What;
use chatalot_protocol::frame::{self, Frame, LogChunk, MAX_CONTROL, put_message};
use chatalot_protocol::inputs::Inputs;
use chatalot_protocol::message::{Answer, Ask, Hello, RejectReason, ToAgent, ToController, Welcome};
use chatalot_protocol::names::{DeploymentId, StepId};
use chatalot_protocol::plan::PlanHash;
use chatalot_protocol::report::DeploymentState;
use chatalot_protocol::stream;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub(crate) struct World {
    pub(crate) service: Arc<Service>,
    _state: TempDir,
}

pub(crate) fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_owned();
    let ledger = Ledger::open(&state.join("ledger.sqlite")).unwrap();
    let host = FakeHost::fresh(&DISTROS[0]);
    let runner = Arc::new(FakeRunner::new(Arc::new(host.clone())));
    let host = Arc::new(host);
    let steps = crate::runbook::steps().collect();
    let engine = Engine {
        ledger: ledger.clone(),
        host: host.clone(),
        runner,
        steps,
        pace: Pace::default(),
        pulse: Arc::default(),
    };
    let desk = crate::deployments::Deployments::new(Arc::new(engine), state.clone(), "key".to_owned());
    let (deployments, health) = (Arc::new(desk), watch::channel(Health::default()).1);
    let (connection, started) = (watch::channel(None).0, std::time::Instant::now());
    let controller = Some("ctl.example.com:8443".to_owned());
    let service = Service {
        ledger,
        host,
        deployments,
        health,
        state,
        controller,
        connection,
        spread_secs: AtomicU64::default(),
        outside: Arc::new(Desk::new(true)),
        started,
    };
    World {
        service: Arc::new(service),
        _state: folder,
    }
}

impl World {
    pub(super) async fn happened(&self, times: i64) {
        for at in 0..times {
            let what = What::AgentStarted {
                version: at.to_string(),
                rebooted: false,
            };
            self.service
                .ledger
                .with(move |db| outbox::record(db, at, None, &what))
                .await
                .unwrap();
        }
    }

    /// An effect that has ended with some output.
    pub(super) async fn has_output(&self, output: &[u8]) -> DeploymentId {
        let id = DeploymentId::fresh();
        let inputs = Inputs {
            domain: Some("chat.example.com".into()),
            admin_username: Some("a".into()),
            ..Inputs::default()
        };
        let (plan, result) = (PlanHash::of(&[0; 32]), DeploymentResult::default());
        let site = inputs.complete().unwrap().0;
        let row = Deployment {
            work: chatalot_protocol::work::Work::Deploy,
            id,
            plan,
            site,
            by: "test".into(),
            state: DeploymentState::Running,
            result,
        };
        let ended = Ended {
            outcome: Outcome::Done {
                remember: BTreeMap::new(),
            },
            output_bytes: output.len() as u64,
        };
        let work = move |db: &rusqlite::Connection| {
            records::insert(db, &row, 1)?;
            let (stream, _) =
                records::intend(db, id, &StepId::known("install.run"), "boot", "nothing there", 1)?;
            records::conclude(db, id, stream, "chat.example.com", &ended)
        };
        self.service.ledger.with(work).await.unwrap();
        let path = JobFolder::of(&self.service.state, id, 1).output();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, output).unwrap();
        id
    }

    /// A session, with the controller's end of it.
    pub(super) fn session(&self) -> (Controller, JoinHandle<SessionEnd>) {
        self.session_as(Uuid::nil())
    }

    /// The same, as whom joining has made of the host.
    pub(super) fn session_as(&self, joining: Uuid) -> (Controller, JoinHandle<SessionEnd>) {
        let (near, far) = tokio::io::duplex(64 << 10);
        let service = self.service.clone();
        (
            Controller(near),
            tokio::spawn(async move { session::run(far, &service, joining).await }),
        )
    }
}

/// The controller's end of a session.
pub(super) struct Controller(pub(super) DuplexStream);

impl Controller {
    pub(super) async fn hear(&mut self) -> Frame {
        let frame =
            tokio::time::timeout(Duration::from_secs(10), stream::read(&mut self.0, MAX_CONTROL)).await;
        frame
            .expect("the agent says something")
            .unwrap()
            .expect("the agent does not hang up")
    }

    pub(super) async fn message(&mut self) -> ToController {
        loop {
            if let Frame::Control(body) = self.hear().await {
                return frame::message(&body).unwrap();
            }
        }
    }

    async fn chunk(&mut self) -> LogChunk {
        loop {
            if let Frame::Log(chunk) = self.hear().await {
                return chunk;
            }
        }
    }

    pub(super) async fn say(&mut self, message: &ToAgent) {
        let mut bytes = Vec::new();
        put_message(message, &mut bytes).unwrap();
        self.0.write_all(&bytes).await.unwrap();
    }

    pub(super) async fn hello(&mut self) -> Hello {
        let ToController::Hello(hello) = self.message().await else {
            panic!("no hello")
        };
        *hello
    }

    pub(super) async fn welcome(&mut self, acked: u64) {
        self.hello().await;
        let your_address = "203.0.113.9".to_owned();
        self.say(&ToAgent::Welcome(Welcome {
            protocol: 1,
            epoch: 1,
            ping_secs: 15,
            acked,
            acked_at_ms: None,
            now_ms: None,
            your_address,
            addresses: Vec::new(),
            looks: true,
            spread_secs: 0,
        }))
        .await;
    }

    /// The numbers of the next events.
    pub(super) async fn events(&mut self) -> Vec<u64> {
        loop {
            if let ToController::Events { events } = self.message().await {
                return events.iter().map(|event| event.seq).collect();
            }
        }
    }
}

#[tokio::test]
async fn only_a_welcomed_agent_counts_as_connected_and_it_learns_its_address() {
    let world = world();
    let (mut controller, session) = world.session();
    let hello = controller.hello().await;
    assert!(
        hello.steps.contains(&StepId::known("preflight.dns")),
        "{:?}",
        hello.steps
    );
    assert_eq!(*world.service.connection.borrow(), None);
    let your_address = "203.0.113.9".to_owned();
    controller
        .say(&ToAgent::Welcome(Welcome {
            protocol: 1,
            epoch: 1,
            ping_secs: 15,
            acked: 0,
            acked_at_ms: None,
            now_ms: None,
            your_address,
            addresses: Vec::new(),
            looks: true,
            spread_secs: 0,
        }))
        .await;
    controller
        .say(&ToAgent::Ask {
            id: 7,
            ask: Box::new(Ask::Ping),
        })
        .await;
    let ToController::Answer { id: 7, answer } = controller.message().await else {
        panic!("no answer")
    };
    assert_eq!(*answer, Answer::Pong);
    assert_eq!(
        world.service.connection.borrow().unwrap().to_string(),
        "203.0.113.9"
    );
    drop(controller);
    assert!(matches!(
        session.await.unwrap(),
        SessionEnd::HungUp | SessionEnd::Read(_) | SessionEnd::Write(_)
    ));
}

#[tokio::test]
async fn f30_events_go_in_order_from_the_last_stored_one_and_again_after_a_cut() {
    let world = world();
    world.happened(5).await;
    let (mut controller, _session) = world.session();
    controller.welcome(2).await;
    assert_eq!(controller.events().await, [3, 4, 5]);
    drop(controller);
    let (mut controller, _session) = world.session();
    controller.welcome(4).await;
    assert_eq!(controller.events().await, [5]);
    world.happened(1).await;
    assert_eq!(controller.events().await, [6]);
}

#[tokio::test]
async fn a_host_that_has_joined_anew_has_a_new_stream_that_begins_after_what_was_stored_before() {
    let world = world();
    world.happened(5).await;
    let (mut controller, _session) = world.session();
    let before = controller.hello().await.stream_epoch;
    drop(controller);
    let (mut controller, _session) = world.session();
    controller.welcome(3).await;
    assert_eq!(controller.events().await, [4, 5]);
    drop(controller);
    let joining = Uuid::new_v4();
    let (mut controller, _session) = world.session_as(joining);
    assert_ne!(controller.hello().await.stream_epoch, before);
    drop(controller);
    let (mut controller, _session) = world.session_as(joining);
    controller.welcome(0).await;
    assert_eq!(controller.events().await, [4, 5]);
}

#[tokio::test]
async fn a_controller_restored_from_a_backup_gets_a_stream_without_a_hole() {
    let world = world();
    world.happened(6).await;
    let let_go = |db: &rusqlite::Connection| Ok(db.execute("DELETE FROM event WHERE seq IN (2, 3, 5)", [])?);
    world.service.ledger.with(let_go).await.unwrap();
    let (mut controller, _session) = world.session();
    controller.welcome(1).await;
    assert_eq!(controller.events().await, [2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn f25_output_goes_on_where_the_controllers_copy_ends() {
    let world = world();
    let id = world.has_output(b"0123456789").await;
    let (mut controller, _session) = world.session();
    controller.welcome(0).await;
    loop {
        if let ToController::LogOpened {
            deployment,
            stream: 1,
            ..
        } = controller.message().await
        {
            assert_eq!(deployment, id);
            break;
        }
    }
    controller
        .say(&ToAgent::LogStored {
            deployment: id,
            stream: 1,
            offset: 4,
        })
        .await;
    let chunk = controller.chunk().await;
    assert_eq!((chunk.offset, &*chunk.output), (4, &b"456789"[..]));
    controller
        .say(&ToAgent::LogStored {
            deployment: id,
            stream: 1,
            offset: 10,
        })
        .await;
    controller
        .say(&ToAgent::Ask {
            id: 1,
            ask: Box::new(Ask::Ping),
        })
        .await;
    while !matches!(controller.message().await, ToController::Answer { .. }) {}
    let left = world.service.ledger.with(records::unlogged).await.unwrap();
    assert_eq!(left, [], "what the controller has whole is let go of");
}

#[tokio::test]
async fn f12_a_refused_agent_says_so_and_waits_as_long_as_it_was_told() {
    let world = world();
    let (mut controller, session) = world.session();
    controller.hello().await;
    controller
        .say(&ToAgent::Rejected {
            reason: RejectReason::Revoked,
            retry_after_secs: 300,
        })
        .await;
    let end = session.await.unwrap();
    assert_eq!(end.retry_after(), Some(Duration::from_mins(5)));
    assert_eq!(*world.service.connection.borrow(), None);
}

#[tokio::test]
async fn f27_f29_senseless_bytes_end_the_session_and_unknown_messages_do_not() {
    let world = world();
    let (mut controller, session) = world.session();
    controller.welcome(0).await;
    let body = br#"{"type":"sing","song":"la"}"#;
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    controller
        .0
        .write_all(&[&length[..], &[1], body].concat())
        .await
        .unwrap();
    controller
        .say(&ToAgent::Ask {
            id: 1,
            ask: Box::new(Ask::Unknown),
        })
        .await;
    let ToController::Answer { answer, .. } = controller.message().await else {
        panic!("no answer")
    };
    assert!(matches!(*answer, Answer::Refused { advice } if advice.code == "UNSUPPORTED"));
    controller
        .0
        .write_all(&[0xff, 0xff, 0xff, 0xff, 1])
        .await
        .unwrap();
    assert!(matches!(session.await.unwrap(), SessionEnd::Read(_)));
}

#[tokio::test]
async fn f66_a_flood_of_questions_whose_answers_nobody_reads_takes_bounded_room() {
    let world = world();
    let (mut controller, _session) = world.session();
    controller.welcome(0).await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let (mut most, mut asked) = (0, 0);
    let flood = async {
        loop {
            let ask = Box::new(Ask::Ping);
            controller.say(&ToAgent::Ask { id: asked, ask }).await;
            asked += 1;
            most = most.max(tasks());
        }
    };
    // It ends by being stuck, or not at all.
    let _stuck = tokio::time::timeout(Duration::from_secs(1), flood).await;
    assert!(asked > 100, "{asked} questions are no flood");
    assert!(most <= before + 16, "{most} tasks, {before} before");
}

#[tokio::test]
async fn f22_a_controller_that_says_nothing_for_45_seconds_is_dead_and_one_that_answers_lives() {
    let world = world();
    let (mut controller, session) = world.session();
    controller.welcome(0).await;
    let mut pings = 0;
    let mut heard = tokio::time::Instant::now();
    tokio::time::pause();
    while let Ok(Some(frame)) = stream::read(&mut controller.0, MAX_CONTROL).await {
        let Frame::Control(body) = frame else { continue };
        if let ToController::Ping { n } = frame::message(&body).unwrap() {
            pings += 1;
            if pings <= 8 {
                controller.say(&ToAgent::Pong { n }).await;
                heard = tokio::time::Instant::now();
            }
        }
    }
    let end = session.await.unwrap();
    assert!(matches!(end, SessionEnd::Silent(45)), "{end}");
    let silent = heard.elapsed();
    assert!((45..=60).contains(&silent.as_secs()), "{silent:?}");
    assert!(pings > 8, "{pings}");
}
