//! Opens a limited route by itself, once the administrator has registered.
//!
//! It only looks and hands in a job, as an operator would: what opens the route is a deployment with steps of its own,
//! under the host's policy, recorded, told by events, and carried on after a crash.

use crate::deployments::Deployments;
use crate::host::Look;
use crate::ledger::audit::Door;
use crate::ledger::{Ledger, LedgerError, deployments as records};
use crate::policy::Policy;
use crate::runbook::route::admin::{Registered, registered};
use crate::runbook::{Cx, route};
use chatalot_protocol::message::{Job, Order};
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::site::{Secrets, Site};
use chatalot_protocol::work::Work;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often it is looked while there is a limit: the administrator waits for the others.
const LIMITED: Duration = Duration::from_secs(10);
/// How often it is looked whether there is one.
const IDLE: Duration = Duration::from_secs(30);
/// How long after an opening that did not end well it is tried again; doubled each time, up to an hour.
const AGAIN: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(1);

/// Waits for the administrator.
pub struct Opener {
    /// The durable record.
    pub ledger: Ledger,
    /// The host, to be read.
    pub host: Arc<dyn Look>,
    /// Where the job is handed in.
    pub deployments: Arc<Deployments>,
}

/// What a look has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Nothing is limited.
    Open,
    /// The limit stands for now.
    Limited,
    /// The administrator has registered, and this deployment opens the route.
    Opening(DeploymentId),
}

impl Opener {
    /// Looks until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut again = AGAIN;
        while !stop.is_cancelled() {
            let wait = match self.look().await {
                Ok(Seen::Open) => {
                    again = AGAIN;
                    IDLE
                }
                Ok(Seen::Limited) => LIMITED,
                // If it succeeds there is nothing more to do; if not, that is told, and trying on is no hurry.
                Ok(Seen::Opening(_)) => {
                    let wait = again;
                    again = (again * 2).min(LONGEST);
                    wait
                }
                Err(error) => {
                    log::error!(error = crate::chain(&error); "it cannot be told whether a route is limited");
                    IDLE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {} // cancel-safe: nothing is lost
                () = stop.cancelled() => {}         // cancel-safe: level-triggered
            }
        }
    }

    /// Looks once, and hands the job in where it is time.
    pub async fn look(&self) -> Result<Seen, LedgerError> {
        let Some(deployed) = self.ledger.with(records::deployed).await? else {
            return Ok(Seen::Open);
        };
        let site = deployed.site;
        let memory = self.deployments.memory(&site).await?;
        if route::let_in(&site, &memory).is_none() {
            return Ok(Seen::Open);
        }
        if self.deployments.is_running() || !self.is_time(&site, &memory).await {
            return Ok(Seen::Limited);
        }
        let order = Order {
            site,
            secrets: Secrets::default(),
        };
        let Ok(plan) = self.deployments.plan(&order, Work::Open).await? else {
            return Ok(Seen::Limited);
        };
        let id = DeploymentId::fresh();
        let job = Job {
            id,
            issued_ms: self.host.now_ms(),
            not_after_ms: i64::MAX,
            by: format!("the agent, for {} has registered", order.site.admin),
            plan: plan.hash,
            work: Work::Open,
            order,
        };
        self.deployments.take_from(job, Door::Itself).await?;
        Ok(Seen::Opening(id))
    }

    /// Whether the administrator has registered, and the policy lets something be changed at this hour.
    async fn is_time(&self, site: &Site, memory: &BTreeMap<String, String>) -> bool {
        let Ok(distro) = self.deployments.distro().await else {
            return false;
        };
        let tags = BTreeMap::new();
        let cx = Cx {
            site,
            distro,
            host: &*self.host,
            memory,
            secret_tags: &tags,
        };
        // What else the database says, or that it says nothing, is told by the ongoing check.
        if !matches!(registered(&cx).await, Ok(Registered::Admin)) {
            return false;
        }
        let policy = Policy::in_force(&*self.host).await;
        let judged = policy.and_then(|policy| policy.judge_work(site, Work::Open, self.host.now_ms()));
        if let Err(advice) = &judged {
            log::debug!(code:% = advice.code; "the policy does not let the route be opened now");
        }
        judged.is_ok()
    }
}
