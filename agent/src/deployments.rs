//! Takes deployments up, one at a time, and goes on with the one that an earlier life began.

mod delivery;
mod files;

use crate::ledger::audit::{self, Door};
use crate::ledger::deployments::{self as records, Deployment, DeploymentResult};
use crate::ledger::{Ledger, LedgerError, outbox};
use crate::policy::Policy;
use crate::runbook::engine::Engine;
use crate::runbook::{Cx, Intent, distro, plan};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::audit::Entry;
use chatalot_protocol::event::What;
use chatalot_protocol::message::{Job, Order};
use chatalot_protocol::names::{DeploymentId, StepId};
use chatalot_protocol::plan::Plan;
use chatalot_protocol::report::DeploymentState;
use chatalot_protocol::site::{Secrets, Site};
use chatalot_protocol::work::Work;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Which deployment was asked to end.
const CANCELLED: &str = "cancelled";
/// How long a deployment may show no sign of life: longer than any single check.
const AT_WORK: Duration = Duration::from_mins(5);
/// How long after a refused write the ledger is tried again: a full disk may be emptied.
const LEDGER_AGAIN: Duration = Duration::from_secs(5);

/// How many deployments' output is kept.
const KEPT: usize = 10;

/// The deployments of this host.
pub struct Deployments {
    engine: Arc<Engine>,
    state: PathBuf,
    tag_key: String,
    current: Mutex<Option<(DeploymentId, CancellationToken)>>,
    life: CancellationToken,
    /// The controller's clock, and when it was read.
    clock: Mutex<Option<(Instant, i64)>>,
}

impl Deployments {
    /// The desk at which deployments are handed in; `tag_key` keys the tags of secrets.
    pub fn new(engine: Arc<Engine>, state: PathBuf, tag_key: String) -> Self {
        Self {
            engine,
            state,
            tag_key,
            current: Mutex::new(None),
            life: CancellationToken::new(),
            clock: Mutex::default(),
        }
    }

    /// The plan for some work on an order's site on this host.
    pub async fn plan(&self, order: &Order, work: Work) -> Result<Result<Plan, Advice>, LedgerError> {
        let distro = match self.distro().await {
            Ok(distro) => distro,
            Err(advice) => return Ok(Err(advice)),
        };
        let memory = self.memory(&order.site).await?;
        let tags = plan::secret_tags(&self.tag_key, &order.secrets);
        let cx = Cx {
            site: &order.site,
            distro,
            host: &*self.engine.host,
            memory: &memory,
            secret_tags: &tags,
        };
        let plan = plan::make(self.engine.steps_for(work), cx).await?;
        Ok(Ok(Plan { work, ..plan }))
    }

    /// What earlier deployments of a site left to be remembered.
    pub async fn memory(&self, site: &Site) -> Result<BTreeMap<String, String>, LedgerError> {
        let domain = site.domain.to_string();
        self.engine
            .ledger
            .with(move |db| records::memory(db, &domain))
            .await
    }

    /// The host's distribution.
    pub async fn distro(&self) -> Result<&'static distro::Distro, Advice> {
        let system = self.engine.host.system().await.map_err(|error| {
            Advice::new(
                "SYSTEM_UNREADABLE",
                crate::chain(&error),
                "a readable system",
                "look at /etc/os-release",
            )
        })?;
        distro::detect(&system).map_err(|advice| *advice)
    }

    /// The engine's steps.
    pub fn steps(&self) -> &[&'static dyn crate::runbook::Step] {
        &self.engine.steps
    }

    fn ledger(&self) -> &Ledger {
        &self.engine.ledger
    }

    /// Takes a job of the controller's up, or refuses it on the record. The same job again changes nothing.
    pub async fn take(self: &Arc<Self>, job: Job) -> Result<(), LedgerError> {
        self.take_from(job, Door::Controller).await
    }

    /// The same for a job that came in by some door.
    pub async fn take_from(self: &Arc<Self>, job: Job, door: Door) -> Result<(), LedgerError> {
        let id = job.id;
        if self
            .ledger()
            .with(move |db| records::find(db, id))
            .await?
            .is_some()
        {
            return Ok(());
        }
        let now = self.engine.host.now_ms();
        let mut deployment = Deployment {
            id,
            plan: job.plan.clone(),
            site: job.order.site.clone(),
            work: job.work,
            by: job.by.clone(),
            state: DeploymentState::Running,
            result: DeploymentResult::default(),
        };
        let mut entry = audit::working(job.work, &job.by, door, id);
        (entry.plan, entry.detail) = (Some(job.plan.clone()), deployment.site.domain.to_string());
        if let Some(advice) = self.objection(&job).await? {
            log::warn!(deployment:% = id, code:% = advice.code; "a deployment is refused");
            (entry.verdict, entry.detail) = (advice.code.to_string(), advice.saw.clone());
            deployment.state = DeploymentState::Refused;
            deployment.result.advice = Some(advice);
            return self
                .ledger()
                .with(move |db| refuse(db, &deployment, entry, now))
                .await;
        }
        self.keep_secrets(id, &job.order.secrets)?;
        let started = self.started(&deployment).await;
        let row = deployment.clone();
        let stored = self.ledger().with(move |db| {
            records::insert(db, &row, now)?;
            audit::append(db, now, entry)?;
            outbox::record(db, now, Some(id), &started)
        });
        stored.await?;
        log::info!(deployment:% = id, domain:% = deployment.site.domain, by = deployment.by; "a deployment has started");
        // A cancellation may overtake what it cancels, or come between these two looks.
        let early = self.is_cancelled(id).await?;
        self.spawn(deployment, job.order.secrets);
        if early || self.is_cancelled(id).await? {
            self.stop(id);
        }
        Ok(())
    }

    async fn objection(&self, job: &Job) -> Result<Option<Advice>, LedgerError> {
        if let Some(advice) = self.undeliverable(job).await? {
            return Ok(Some(advice));
        }
        if let Some(other) = self.ledger().with(records::running).await? {
            return Ok(Some(Advice::new(
                "DEPLOYMENT_RUNNING",
                format!("deployment {} of {} is running", other.id, other.site.domain),
                "one deployment at a time",
                format!("wait for it, or end it with `deployment cancel {}`", other.id),
            )));
        }
        if let Some(advice) = self.not_made_here(job).await? {
            return Ok(Some(advice));
        }
        let policy = Policy::in_force(&*self.engine.host).await;
        if let Err(advice) =
            policy.and_then(|policy| policy.judge_work(&job.order.site, job.work, self.engine.host.now_ms()))
        {
            return Ok(Some(advice));
        }
        let distro = match self.distro().await {
            Ok(distro) => distro,
            Err(advice) => return Ok(Some(advice)),
        };
        let (memory, tags) = (
            BTreeMap::new(),
            plan::secret_tags(&self.tag_key, &job.order.secrets),
        );
        let cx = Cx {
            site: &job.order.site,
            distro,
            host: &*self.engine.host,
            memory: &memory,
            secret_tags: &tags,
        };
        let hash = plan::hash_of(self.engine.steps_for(job.work), cx)?;
        Ok((hash != job.plan).then(|| {
            Advice::new(
                "PLAN_CHANGED",
                format!(
                    "the approved plan {}, while this host would execute {}",
                    job.plan.short(),
                    hash.short()
                ),
                "the plan that was approved",
                "make a new plan, look at it, and approve that one",
            )
        }))
    }

    /// Why this host does not take away or open what it is asked to: it does that to what its own ledger knows, and to
    /// nothing else.
    async fn not_made_here(&self, job: &Job) -> Result<Option<Advice>, LedgerError> {
        let work = job.work;
        let made = match work {
            Work::Deploy => return Ok(None),
            Work::Open => self.ledger().with(records::deployed).await?,
            Work::Uninstall | Work::UninstallWithData => {
                self.ledger().with(move |db| records::made(db, work)).await?
            }
            Work::Unknown => None,
        };
        let ours = made.is_some_and(|made| made.site == job.order.site);
        Ok((!ours).then(|| {
            Advice::new(
                "NOT_MADE_HERE",
                format!("work of the kind `{}` on {}", work.word(), job.order.site.domain),
                "the site that this host's own ledger says was deployed last",
                format!(
                    "ask for `{}` anew, which begins with what the ledger knows",
                    if work == Work::Open { "open" } else { "uninstall" }
                ),
            )
        }))
    }

    async fn started(&self, deployment: &Deployment) -> What {
        let steps = match self.distro().await {
            Ok(distro) => {
                let intent = Intent {
                    site: &deployment.site,
                    distro,
                };
                plan::steps_of(self.engine.steps_for(deployment.work), intent)
                    .map(|s| (s.step_id(), s.title().to_owned()))
                    .collect()
            }
            Err(_) => Vec::<(StepId, String)>::new(),
        };
        let domain = deployment.site.domain.to_string();
        What::DeploymentStarted {
            plan: deployment.plan.clone(),
            domain,
            work: deployment.work,
            steps,
        }
    }

    /// Goes on with the deployment that an earlier life began, if there is one.
    pub async fn resume(self: &Arc<Self>, because: &str) -> Result<(), LedgerError> {
        let running = self.ledger().with(records::running).await?;
        self.forget_orphans(running.as_ref().map(|deployment| deployment.id));
        let Some(deployment) = running else {
            return Ok(());
        };
        let (id, now, because) = (deployment.id, self.engine.host.now_ms(), because.to_owned());
        log::info!(deployment:% = id, because; "a deployment goes on");
        let told = What::DeploymentResumed { because };
        self.ledger()
            .with(move |db| outbox::record(db, now, Some(id), &told))
            .await?;
        match self.kept_secrets(id) {
            Ok(secrets) => {
                self.spawn(deployment, secrets);
                if self.is_cancelled(id).await? {
                    self.stop(id);
                }
            }
            Err(error) => self.give_up(id, &error).await?,
        }
        Ok(())
    }

    fn spawn(self: &Arc<Self>, deployment: Deployment, secrets: Secrets) {
        let stop = CancellationToken::new();
        *self.current() = Some((deployment.id, stop.clone()));
        let desk = self.clone();
        tokio::spawn(async move {
            let tags = plan::secret_tags(&desk.tag_key, &secrets);
            tokio::select! {
                biased;
                () = desk.life.cancelled() => return, // cancel-safe: level-triggered
                () = desk.carry_out(&deployment, &secrets, &tags, &stop) => {} // dropped only with this life
            }
            *desk.current() = None;
        });
    }

    /// Walks a deployment to its recorded end, however often the ledger refuses a write on the way.
    async fn carry_out(
        &self,
        deployment: &Deployment,
        secrets: &Secrets,
        tags: &BTreeMap<String, String>,
        stop: &CancellationToken,
    ) {
        loop {
            match self.engine.run(deployment, secrets, tags, stop).await {
                Ok(state) => {
                    log::info!(deployment:% = deployment.id, state:? = state; "a deployment has ended");
                    self.forget_secrets(deployment.id);
                    self.forget_old_output();
                    if let Err(error) = self.tidy().await {
                        log::warn!(error = crate::chain(&error); "what is old cannot be let go of");
                    }
                    return;
                }
                Err(error) => {
                    log::error!(deployment:% = deployment.id, error = crate::chain(&error); "a deployment cannot be recorded");
                    if matches!(error, LedgerError::Stopped) {
                        return;
                    }
                }
            }
            self.engine.pulse.beat();
            tokio::time::sleep(LEDGER_AGAIN).await;
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Option<(DeploymentId, CancellationToken)>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the deployment that runs, if there is one, has shown a sign of life of late.
    pub fn is_at_work(&self) -> bool {
        !self.is_running() || self.engine.pulse.age() < AT_WORK
    }

    /// Ends a deployment at its next step boundary, in this life or the next; one that has ended is left as it is.
    pub async fn cancel(&self, id: DeploymentId) -> Result<(), LedgerError> {
        self.cancel_from(id, "the controller", Door::Controller).await
    }

    /// The same for whoever came in by some door.
    pub async fn cancel_from(&self, id: DeploymentId, by: &str, door: Door) -> Result<(), LedgerError> {
        let (now, entry) = (self.engine.host.now_ms(), audit::asked("cancel", by, door, id));
        self.ledger()
            .with(move |db| {
                // The controller says it again until it hears of the end.
                let text = id.to_string();
                if outbox::meta(db, CANCELLED)?.as_ref() != Some(&text) {
                    audit::append(db, now, entry)?;
                }
                outbox::set_meta(db, CANCELLED, &text)
            })
            .await?;
        self.stop(id);
        Ok(())
    }

    async fn is_cancelled(&self, id: DeploymentId) -> Result<bool, LedgerError> {
        let asked = self.ledger().with(|db| outbox::meta(db, CANCELLED)).await?;
        Ok(asked == Some(id.to_string()))
    }

    fn stop(&self, id: DeploymentId) {
        if let Some((current, stop)) = &*self.current()
            && *current == id
        {
            stop.cancel();
        }
    }

    /// Ends this life of the agent in the middle of whatever it does: nothing more is written, effects go on in
    /// their units, and the next life goes on from there.
    pub fn leave_off(&self) {
        self.life.cancel();
    }

    /// Whether a deployment runs.
    pub fn is_running(&self) -> bool {
        self.current().is_some()
    }

    /// Ends a deployment that cannot go on without what it was given.
    async fn give_up(&self, id: DeploymentId, error: &std::io::Error) -> Result<(), LedgerError> {
        let advice = Advice::new(
            "SECRETS_LOST",
            format!("the secrets of this deployment cannot be read: {error}"),
            "the file that the deployment began with",
            "deploy again, with its secrets",
        );
        let result = DeploymentResult {
            advice: Some(advice),
            ..DeploymentResult::default()
        };
        let now = self.engine.host.now_ms();
        self.ledger()
            .with(move |db| records::finish(db, id, DeploymentState::Failed, &result, now))
            .await
    }
}

fn refuse(
    db: &rusqlite::Connection,
    deployment: &Deployment,
    entry: Entry,
    now: i64,
) -> Result<(), LedgerError> {
    records::insert(db, deployment, now)?;
    audit::append(db, now, entry)?;
    records::finish(db, deployment.id, deployment.state, &deployment.result, now)
}
