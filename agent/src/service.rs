//! What the agent can be asked, by its controller or on its local socket: the one place for both.

mod inspect;

use crate::deployments::Deployments;
use crate::health::Health;
use crate::host::{Look, plain_line};
use crate::ledger::{Ledger, LedgerError, audit, deployments as records};
use crate::outside::Desk;
use crate::policy;
use crate::runbook::{Cx, StepError, chapters, plan, route};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::message::{Answer, Ask, Order};
use chatalot_protocol::report::Status;
use chatalot_protocol::site::Secrets;
use chatalot_protocol::work::Work;
use inspect::Inspection;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;
use tokio::sync::watch;

/// Everything that answers.
pub struct Service {
    /// The durable record.
    pub ledger: Ledger,
    /// The host, to be read.
    pub host: Arc<dyn Look>,
    /// The deployments.
    pub deployments: Arc<Deployments>,
    /// The last word of the ongoing checks.
    pub health: watch::Receiver<Health>,
    /// The state folder.
    pub state: PathBuf,
    /// The controller that this host has joined.
    pub controller: Option<String>,
    /// The address that the controller sees us at, while a session is acknowledged.
    pub connection: watch::Sender<Option<IpAddr>>,
    /// Over how many seconds the controller's hosts spread their return, as it has said last.
    pub spread_secs: AtomicU64,
    /// Where the controller is asked for a look from outside.
    pub outside: Arc<Desk>,
    /// When the agent started.
    pub started: Instant,
}

impl Service {
    /// Answers a question; a failure of our own is an answer too.
    pub async fn answer(&self, ask: Ask) -> Answer {
        let answered = match ask {
            Ask::Ping => Ok(Answer::Pong),
            Ask::Status => self.status().await.map(|status| Answer::Status(Box::new(status))),
            Ask::Preflight(order) => self.preflight(&order).await,
            Ask::Plan(order) => self.plan(&order).await,
            Ask::Uninstall { delete_data } => self.removal(delete_data).await,
            Ask::Open => self.opening().await,
            Ask::Verify => self.deployed(Wanted::Verify).await,
            Ask::Handover => self.deployed(Wanted::Handover).await,
            Ask::Audit { after } => {
                let records = self.ledger.with(move |db| audit::after(db, after)).await;
                records.map(|records| Answer::Audit { records })
            }
            Ask::Diagnose => self.inspect(Inspection::Diagnose).await,
            Ask::Bundle => self.inspect(Inspection::Bundle).await,
            Ask::Drift => self.inspect(Inspection::Drift).await,
            Ask::Unknown => Ok(refused(Advice::new(
                "UNSUPPORTED",
                "a question that this agent does not know",
                "an agent of the controller's version",
                "run the bootstrap line again: it upgrades the agent",
            ))),
        };
        answered.unwrap_or_else(|error| {
            log::error!(error = crate::chain(&error); "a question could not be answered");
            refused(Advice::new(
                "LEDGER_FAILED",
                crate::chain(&error),
                "a ledger that can be read",
                "look at `journalctl -u chatalot-agent` and at the free space below /var/lib",
            ))
        })
    }

    async fn plan(&self, order: &Order) -> Result<Answer, LedgerError> {
        Ok(match self.deployments.plan(order, Work::Deploy).await? {
            Ok(plan) => Answer::Plan(Box::new(plan)),
            Err(advice) => refused(advice),
        })
    }

    /// The plan for taking away what is here; data only with its name typed right.
    async fn removal(&self, delete_data: Option<String>) -> Result<Answer, LedgerError> {
        let work = if delete_data.is_some() {
            Work::UninstallWithData
        } else {
            Work::Uninstall
        };
        let Some(made) = self.ledger.with(move |db| records::made(db, work)).await? else {
            return Ok(refused(Advice::new(
                "NOTHING_DEPLOYED",
                "nothing in the ledger that is still to be taken away",
                "a site that this agent has deployed",
                "what this agent has not put here it does not take away either",
            )));
        };
        let domain = made.site.domain.as_str();
        if let Some(typed) = delete_data.filter(|typed| typed != domain) {
            return Ok(refused(Advice::new(
                "DATA_NAME_WRONG",
                format!("`{}` as the name of the data to delete", plain_line(&typed)),
                format!("`{domain}`, typed out: what is deleted cannot be brought back"),
                format!(
                    "back up what is worth it, then give `--delete-data {domain}`; or leave it out to keep the data"
                ),
            )));
        }
        let order = Order {
            site: made.site,
            secrets: Secrets::default(),
        };
        Ok(match self.deployments.plan(&order, work).await? {
            Ok(plan) => Answer::Plan(Box::new(plan)),
            Err(advice) => refused(advice),
        })
    }

    /// The plan for letting everybody in to the deployed site.
    async fn opening(&self) -> Result<Answer, LedgerError> {
        let Some(deployed) = self.ledger.with(records::deployed).await? else {
            return Ok(nothing_deployed());
        };
        if route::let_in(&deployed.site, &self.deployments.memory(&deployed.site).await?).is_none() {
            return Ok(refused(Advice::new(
                "ROUTE_OPEN",
                format!("{} lets everybody in already", deployed.site.domain),
                "a site that is limited until its administrator has registered",
                "there is nothing to do",
            )));
        }
        let order = Order {
            site: deployed.site,
            secrets: Secrets::default(),
        };
        Ok(match self.deployments.plan(&order, Work::Open).await? {
            Ok(plan) => Answer::Plan(Box::new(plan)),
            Err(advice) => refused(advice),
        })
    }

    async fn preflight(&self, order: &Order) -> Result<Answer, LedgerError> {
        let distro = match self.deployments.distro().await {
            Ok(distro) => distro,
            Err(advice) => return Ok(refused(advice)),
        };
        let memory = self.deployments.memory(&order.site).await?;
        let tags = BTreeMap::new();
        let cx = Cx {
            site: &order.site,
            distro,
            host: &*self.host,
            memory: &memory,
            secret_tags: &tags,
        };
        Ok(Answer::Report {
            findings: plan::report(self.deployments.steps(), cx, "preflight").await,
        })
    }

    /// Answers about the site that was deployed last.
    async fn deployed(&self, wanted: Wanted) -> Result<Answer, LedgerError> {
        let Some(deployment) = self.ledger.with(records::deployed).await? else {
            return Ok(nothing_deployed());
        };
        let distro = match self.deployments.distro().await {
            Ok(distro) => distro,
            Err(advice) => return Ok(refused(advice)),
        };
        let memory = self.deployments.memory(&deployment.site).await?;
        let tags = BTreeMap::new();
        let cx = Cx {
            site: &deployment.site,
            distro,
            host: &*self.host,
            memory: &memory,
            secret_tags: &tags,
        };
        Ok(match wanted {
            Wanted::Verify => Answer::Report {
                findings: plan::report(self.deployments.steps(), cx, "verify").await,
            },
            Wanted::Handover => match chapters::handover::handover(&cx).await {
                Ok(handover) => Answer::Handover(Box::new(handover)),
                Err(StepError::Final(advice) | StepError::Passing(advice)) => refused(*advice),
                Err(error) => refused(Advice::new(
                    "HANDOVER_UNREADABLE",
                    crate::chain(&error),
                    "a host that answers",
                    "look at `journalctl -u chatalot-agent` on the host",
                )),
            },
        })
    }

    async fn status(&self) -> Result<Status, LedgerError> {
        let (latest, watched) = self
            .ledger
            .with(|db| Ok((records::latest(db, false)?, records::deployed(db)?)))
            .await?;
        let policy = Some(policy::view(&*self.host).await);
        let health = self.health.borrow().clone();
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_secs: self.started.elapsed().as_secs(),
            level: health.level(),
            checks: health.checks,
            domain: watched.map(|deployment| deployment.site.domain.to_string()),
            deployment: latest.map(|deployment| (deployment.id, deployment.state)),
            controller: self.controller.clone(),
            connected: self.connection.borrow().is_some(),
            policy,
        })
    }
}

fn nothing_deployed() -> Answer {
    refused(Advice::new(
        "NOTHING_DEPLOYED",
        "no deployment on this host has succeeded yet",
        "a deployed site",
        "deploy first",
    ))
}

enum Wanted {
    Verify,
    Handover,
}

fn refused(advice: Advice) -> Answer {
    Answer::Refused { advice }
}
