//! The engine over a host made of maps, with a real ledger: killed anywhere, broken anywhere, rebooted anywhere.

use super::{Engine, Pace};
use crate::deployments::Deployments;
use crate::effect::Runner;
use crate::effect::fake::FakeRunner;
use crate::host::Output;
use crate::host::fake::{FakeHost, Mode, World};
use crate::ledger::{Ledger, deployments as records, outbox};
use crate::runbook::distro::DISTROS;
use chatalot_protocol::event::{StepEnd, What};
use chatalot_protocol::inputs::Inputs;
use chatalot_protocol::message::{Job, Order};
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::report::DeploymentState;
use chatalot_protocol::secret::Secret;
use chatalot_protocol::work::Work;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

mod approval;
mod audit;
mod cancel;
mod clock;
mod gone;
mod looked_into;
mod opening;
mod policy;
mod undoing;

const PACE: Pace = Pace {
    recheck: Duration::from_micros(200),
    retry: Duration::from_micros(200),
    budget: Duration::from_secs(20),
    patience: 0.001,
    attempts: 40,
};

/// A host with its state folder; the agent on it can be killed and started again.
pub(crate) struct Machine {
    pub(crate) host: FakeHost,
    runner: Arc<FakeRunner>,
    state: TempDir,
}

impl Machine {
    pub(crate) fn fresh() -> Self {
        let host = FakeHost::fresh(DISTROS.iter().find(|row| row.refused.is_none()).unwrap());
        let runner = Arc::new(FakeRunner::new(Arc::new(host.clone())));
        // In memory: the sweeps are about what was written down, not about the disk.
        let state = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        Self { host, runner, state }
    }

    /// A new life of the agent.
    pub(crate) fn agent(&self) -> Agent {
        self.agent_with(self.runner.clone())
    }

    fn agent_with(&self, runner: Arc<dyn Runner>) -> Agent {
        let ledger = Ledger::open(&self.state.path().join("ledger.sqlite")).unwrap();
        let engine = Engine {
            ledger: ledger.clone(),
            host: Arc::new(self.host.clone()),
            runner,
            steps: crate::runbook::steps().collect(),
            pace: PACE,
            pulse: Arc::default(),
        };
        let desk = Deployments::new(Arc::new(engine), self.state.path().to_owned(), "key".to_owned());
        Agent {
            ledger,
            desk: Arc::new(desk),
        }
    }

    fn reboot(&self) {
        self.runner.reboot();
        self.host.world(World::reboot);
    }
}

/// One life of the agent.
pub(crate) struct Agent {
    ledger: Ledger,
    pub(crate) desk: Arc<Deployments>,
}

impl Agent {
    pub(crate) async fn job(&self, order: &Order) -> Job {
        let plan = self.desk.plan(order, Work::Deploy).await.unwrap().unwrap();
        let (id, by) = (DeploymentId::fresh(), "a test".to_owned());
        Job {
            id,
            issued_ms: 0,
            not_after_ms: i64::MAX,
            by,
            plan: plan.hash,
            order: order.clone(),
            work: Work::Deploy,
        }
    }

    /// SIGKILL: nothing more is begun, and what was handed to the disk is on it.
    async fn dies(&self) {
        self.desk.leave_off();
        self.ledger.with(|_| Ok(())).await.unwrap();
    }

    /// What is written down of a deployment.
    async fn record(&self, id: DeploymentId) -> records::Deployment {
        let found = self.ledger.with(move |db| records::find(db, id)).await;
        found.unwrap().unwrap()
    }

    async fn state(&self, id: DeploymentId) -> DeploymentState {
        self.record(id).await.state
    }

    /// Waits for the end of a deployment, letting the host's time pass.
    async fn end(&self, host: &FakeHost, id: DeploymentId) -> DeploymentState {
        for _ in 0..40_000 {
            let state = self.state(id).await;
            if state.is_over() {
                return state;
            }
            host.advance(1);
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
        panic!(
            "no end; the last calls were {:#?}",
            host.log().iter().rev().take(8).collect::<Vec<_>>()
        );
    }

    async fn events(&self, id: DeploymentId) -> Vec<What> {
        let mut all = Vec::new();
        let mut seq = 0;
        loop {
            let more = self
                .ledger
                .with(move |db| outbox::of_deployment(db, id, seq))
                .await
                .unwrap();
            let Some(last) = more.last() else { return all };
            seq = last.seq;
            all.extend(more.into_iter().map(|event| event.what));
        }
    }
}

pub(crate) fn least() -> Order {
    order(Inputs::default())
}

fn full() -> Order {
    order(Inputs {
        turn_external_ip: Some("203.0.113.42".into()),
        registry_user: Some("deploy-alice".into()),
        registry_token: Some(Secret::new("registry-token-1")),
        ..Inputs::default()
    })
}

fn order(inputs: Inputs) -> Order {
    let inputs = Inputs {
        domain: Some("chat.example.com".into()),
        admin_username: Some("alice".into()),
        reference: Some("v0.24.0".into()),
        ..inputs
    };
    let (site, secrets) = inputs.complete().unwrap();
    Order { site, secrets }
}

/// What a whole, undisturbed deployment leaves, and how many calls it takes.
async fn undisturbed(order: &Order) -> (World, usize) {
    let machine = Machine::fresh();
    let agent = machine.agent();
    let job = agent.job(order).await;
    let (id, before) = (job.id, machine.host.calls());
    agent.desk.take(job).await.unwrap();
    assert_eq!(agent.end(&machine.host, id).await, DeploymentState::Succeeded);
    (lasting(&machine.host), machine.host.calls() - before)
}

/// The host's state, whichever boot it is in.
fn lasting(host: &FakeHost) -> World {
    let mut world = host.snapshot();
    world.system.boot_id.clear();
    world
}

#[tokio::test]
async fn a_deployment_ends_well_and_a_second_one_writes_nothing() {
    for order in [least(), full()] {
        let machine = Machine::fresh();
        let agent = machine.agent();
        let job = agent.job(&order).await;
        agent.desk.take(job.clone()).await.unwrap();
        assert_eq!(agent.end(&machine.host, job.id).await, DeploymentState::Succeeded);
        let told = agent.events(job.id).await;
        let done = told
            .iter()
            .filter(|what| {
                matches!(
                    what,
                    What::StepFinished {
                        end: StepEnd::Done,
                        ..
                    }
                )
            })
            .count();
        assert!(done >= 5, "{told:#?}");
        let Some(What::DeploymentFinished {
            handover: Some(_),
            values,
            ..
        }) = told.last()
        else {
            panic!("{:#?}", told.last())
        };
        assert_eq!(values["public_url"], "https://chat.example.com");

        let (writes, again) = (machine.host.writes(), agent.job(&order).await);
        agent.desk.take(again.clone()).await.unwrap();
        assert_eq!(
            agent.end(&machine.host, again.id).await,
            DeploymentState::Succeeded
        );
        assert_eq!(machine.host.writes(), writes, "{:#?}", machine.host.log());
    }
}

#[tokio::test]
async fn a_step_that_never_succeeds_is_given_up_after_so_many_attempts() {
    let machine = Machine::fresh();
    let agent = machine.agent();
    let job = agent.job(&least()).await;
    let locked = Output {
        code: 100,
        stderr: "E: Could not get lock /var/lib/dpkg/lock-frontend".into(),
        ..Output::default()
    };
    machine
        .host
        .world(|world| drop(world.outputs.insert("apt-get".into(), locked)));
    agent.desk.take(job.clone()).await.unwrap();
    assert_eq!(agent.end(&machine.host, job.id).await, DeploymentState::Failed);
    let told = agent.events(job.id).await;
    let Some(What::DeploymentFinished {
        advice: Some(advice), ..
    }) = told.last()
    else {
        panic!("{told:?}")
    };
    assert_eq!(advice.code, "STEP_KEEPS_FAILING");
}

#[tokio::test]
async fn a_secret_that_a_cut_off_life_left_behind_is_removed_by_the_next() {
    let machine = Machine::fresh();
    let orphan = machine
        .state
        .path()
        .join(format!("secrets-{}.json", DeploymentId::fresh()));
    std::fs::write(&orphan, "{}").unwrap();
    machine
        .agent()
        .desk
        .resume("the agent was started again")
        .await
        .unwrap();
    assert!(!orphan.exists());
}

#[tokio::test]
async fn f34_the_same_job_again_changes_nothing_and_another_one_has_to_wait() {
    let machine = Machine::fresh();
    let agent = machine.agent();
    let job = agent.job(&least()).await;
    agent.desk.take(job.clone()).await.unwrap();
    agent.desk.take(job.clone()).await.unwrap();
    let other = agent.job(&least()).await;
    agent.desk.take(other.clone()).await.unwrap();
    assert_eq!(agent.state(other.id).await, DeploymentState::Refused);
    assert_eq!(agent.end(&machine.host, job.id).await, DeploymentState::Succeeded);
    let started = agent.events(job.id).await;
    assert_eq!(
        started
            .iter()
            .filter(|what| matches!(what, What::DeploymentStarted { .. }))
            .count(),
        1
    );
}

#[tokio::test]
async fn f35_an_expired_job_and_one_with_another_plan_are_refused_on_the_record() {
    let machine = Machine::fresh();
    let agent = machine.agent();
    let expired = Job {
        not_after_ms: 0,
        ..agent.job(&least()).await
    };
    let other = Job {
        order: full(),
        ..agent.job(&least()).await
    };
    for (job, code) in [(expired, "JOB_EXPIRED"), (other, "PLAN_CHANGED")] {
        let id = job.id;
        agent.desk.take(job).await.unwrap();
        let told = agent.events(id).await;
        let Some(What::DeploymentFinished {
            state,
            advice: Some(advice),
            ..
        }) = told.last()
        else {
            panic!("{told:?}")
        };
        assert_eq!((*state, &*advice.code), (DeploymentState::Refused, code));
    }
    assert_eq!(machine.host.writes(), 0);
}

/// Every host call of a whole deployment goes wrong once, without effect or with its answer lost.
#[tokio::test]
async fn f40_a_deployment_ends_well_whichever_call_goes_wrong_once() {
    let (wanted, calls) = undisturbed(&least()).await;
    for mode in [Mode::NoEffect, Mode::EffectButAnswerLost] {
        for n in 1..=calls {
            let machine = Machine::fresh();
            let agent = machine.agent();
            let job = agent.job(&least()).await;
            machine.host.fail_nth(n, mode);
            agent.desk.take(job.clone()).await.unwrap();
            let mut state = agent.end(&machine.host, job.id).await;
            if state != DeploymentState::Succeeded {
                // Refused before it began, or failed with advice: deploying again converges.
                let again = agent.job(&least()).await;
                agent.desk.take(again.clone()).await.unwrap();
                state = agent.end(&machine.host, again.id).await;
            }
            assert_eq!(state, DeploymentState::Succeeded, "call {n}, {mode:?}");
            assert!(
                lasting(&machine.host) == wanted,
                "call {n}, {mode:?} ends otherwise"
            );
        }
    }
}

/// The host goes down at every call of a whole deployment; the next boot finds the same end by itself.
#[tokio::test]
async fn f36_a_deployment_goes_on_by_itself_after_a_reboot_at_any_call() {
    let (wanted, calls) = undisturbed(&least()).await;
    for mode in [Mode::NoEffect, Mode::EffectButAnswerLost] {
        for n in 1..=calls {
            let machine = Machine::fresh();
            let id = killed_at(&machine, n, mode).await;
            machine.reboot();
            let agent = machine.agent();
            agent.desk.resume("the host was rebooted").await.unwrap();
            assert_eq!(
                agent.end(&machine.host, id).await,
                DeploymentState::Succeeded,
                "call {n}, {mode:?}"
            );
            assert!(
                lasting(&machine.host) == wanted,
                "call {n}, {mode:?} ends otherwise"
            );
        }
    }
}

/// Starts a deployment and lets everything stand still at its nth call.
async fn killed_at(machine: &Machine, n: usize, mode: Mode) -> DeploymentId {
    let agent = machine.agent();
    let job = agent.job(&least()).await;
    let before = machine.host.calls();
    machine.host.kill_nth(n, mode);
    let taken = tokio::time::timeout(Duration::from_millis(200), agent.desk.take(job.clone())).await;
    while machine.host.calls() < before + n && taken.is_ok() && !agent.state(job.id).await.is_over() {
        machine.host.advance(1);
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
    agent.dies().await;
    machine.host.heal();
    if taken.is_err() {
        // It was not even taken: the controller sends it again.
        let next = machine.agent();
        next.desk.take(job.clone()).await.unwrap();
        next.dies().await;
    }
    job.id
}

/// Only the agent dies, again and again, while its effects go on in their units: each is adopted, none done twice.
#[tokio::test]
async fn f37_an_agent_that_keeps_dying_adopts_its_effects_and_does_none_twice() {
    let (wanted, _) = undisturbed(&least()).await;
    let mut lives = BTreeMap::new();
    for millis in [0, 1, 2, 3, 5] {
        let machine = Machine::fresh();
        let first = machine.agent();
        let job = first.job(&least()).await;
        first.desk.take(job.clone()).await.unwrap();
        let mut agent = first;
        let mut count = 1;
        while !agent.state(job.id).await.is_over() && count < 200 {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            machine.host.advance(1);
            agent.dies().await;
            agent = machine.agent();
            agent.desk.resume("the agent was started again").await.unwrap();
            count += 1;
        }
        assert_eq!(agent.end(&machine.host, job.id).await, DeploymentState::Succeeded);
        assert!(lasting(&machine.host) == wanted, "ends otherwise");
        let told = agent.events(job.id).await;
        let ends = told
            .iter()
            .filter(|what| matches!(what, What::DeploymentFinished { .. }))
            .count();
        assert_eq!(ends, 1);
        lives.insert(millis, count);
    }
    assert!(lives.values().any(|count| *count > 5), "{lives:?}");
}
