use super::*;
use crate::deployments::Deployments;
use crate::effect::fake::FakeRunner;
use crate::health::Health;
use crate::host::fake::FakeHost;
use crate::ledger::Ledger;
use crate::outside::Desk;
use crate::runbook::distro::DISTROS;
use crate::runbook::engine::{Engine, Pace};
use chatalot_protocol::event::StepEnd;
use chatalot_protocol::names::StepId;
use chatalot_protocol::report::DeploymentState;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use tokio::sync::watch;

pub(in crate::local) fn service(state: &Path) -> Arc<Service> {
    let ledger = Ledger::open(&state.join("ledger.sqlite")).unwrap();
    let host = Arc::new(FakeHost::fresh(&DISTROS[0]));
    let engine = Engine {
        pulse: Arc::default(),
        ledger: ledger.clone(),
        host: host.clone(),
        runner: Arc::new(FakeRunner::new(host.clone())),
        steps: crate::runbook::steps().collect(),
        pace: Pace::default(),
    };
    let deployments = Deployments::new(Arc::new(engine), state.to_owned(), "key".to_owned());
    Arc::new(Service {
        ledger,
        host,
        deployments: Arc::new(deployments),
        health: watch::channel(Health::default()).1,
        state: state.to_owned(),
        controller: None,
        connection: watch::channel(None).0,
        spread_secs: AtomicU64::default(),
        outside: Arc::new(Desk::new(false)),
        started: std::time::Instant::now(),
    })
}

fn attempt(stream: u32) -> What {
    What::StepStarted {
        step: StepId::known("install.run"),
        attempt: stream,
        stream,
        why: String::new(),
    }
}

/// What a watch of these events shows, when each stream has said its own number.
async fn shown(events: Vec<What>, streams: u32) -> String {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path());
    let id = DeploymentId::fresh();
    for stream in 1..=streams {
        let output = JobFolder::of(folder.path(), id, stream).output();
        std::fs::create_dir_all(output.parent().unwrap()).unwrap();
        std::fs::write(output, format!("said in {stream}")).unwrap();
    }
    for what in events {
        let record = move |db: &rusqlite::Connection| outbox::record(db, 1, Some(id), &what);
        service.ledger.with(record).await.unwrap();
    }
    let bytes = body(service, id, true).collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn the_output_of_every_attempt_is_shown_and_before_the_word_of_what_came_next() {
    let over = What::DeploymentFinished {
        state: DeploymentState::Failed,
        advice: None,
        diagnosis: Vec::new(),
        values: BTreeMap::new(),
        handover: None,
    };
    let finished = What::StepFinished {
        step: StepId::known("install.run"),
        end: StepEnd::Done,
        saw: String::new(),
        millis: 1,
        advice: None,
        stream: 2,
        output_bytes: 9,
    };
    let text = shown(vec![attempt(1), attempt(2), finished, attempt(3), over], 3).await;
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in {text}"));
    assert!(at("said in 1") < at("\"attempt\":2"), "{text}");
    assert!(at("said in 2") < at("step_finished"), "{text}");
    assert!(at("said in 3") < at("deployment_finished"), "{text}");
    assert_eq!(text.matches("said in").count(), 3);
}
