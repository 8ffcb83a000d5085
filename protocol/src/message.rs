//! The control messages: JSON, one a frame.

use crate::advice::Advice;
use crate::audit::{Anchor, Record};
use crate::event::Event;
use crate::handover::Handover;
use crate::names::{DeploymentId, StepId};
use crate::outside::{Look, Told};
use crate::plan::{Plan, PlanHash};
use crate::report::{Drift, Finding, Status};
use crate::site::{Secrets, Site};
use crate::trust::SignedBundle;
use crate::work::Work;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The first message of a session, from the agent. Its shape never changes; fields may be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The oldest protocol version that the agent speaks.
    pub protocol_min: u32,
    /// The newest.
    pub protocol_max: u32,
    /// The agent's version.
    pub agent: String,
    /// The kernel's id of this boot.
    pub boot_id: String,
    /// Made at random with the agent's state and its identity: events of another life are never mistaken for these.
    pub stream_epoch: Uuid,
    /// The machine's own host name; untrusted text.
    pub hostname: String,
    /// The system's pretty name; untrusted text.
    pub system: String,
    /// The processor architecture.
    pub architecture: String,
    /// The steps that the agent contains, in order.
    pub steps: Vec<StepId>,
    /// The last event of this stream epoch that the agent knows to be stored.
    #[serde(default)]
    pub acked: u64,
    /// The version of the [bundle](crate::trust::Bundle) that the agent has stored; zero where it knows of none.
    #[serde(default)]
    pub trusts: u64,
}

/// The controller's acceptance of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version both speak.
    pub protocol: u32,
    /// The controller's epoch; raised whenever it is restored from a backup.
    pub epoch: u64,
    /// How many seconds of silence the agent may leave before it sends a ping.
    pub ping_secs: u64,
    /// The last event of this stream epoch that the controller has stored.
    pub acked: u64,
    /// When that event happened, by the host's clock: the agent's own has to say the same.
    #[serde(default)]
    pub acked_at_ms: Option<i64>,
    /// The controller's clock, in milliseconds since 1970.
    #[serde(default)]
    pub now_ms: Option<i64>,
    /// The address that the controller sees the agent at.
    pub your_address: String,
    /// Where the controller is and may be one day, for an agent that does not reach it where it joined: `host:port`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Whether it looks at a site from outside when it is asked to.
    #[serde(default)]
    pub looks: bool,
    /// Over how many seconds its hosts are to spread their return, where it has so many that all at once would be a crowd.
    #[serde(default)]
    pub spread_secs: u64,
}

/// Why a session is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The host is not known, or no longer.
    Revoked,
    /// The host is kept out, for its identity was seen on two machines.
    Locked,
    /// No common protocol version.
    Version,
    /// A newer session of the same host has taken over.
    Superseded,
    /// Too many sessions; come back later.
    Busy,
    /// The controller stops; it will be back.
    Stopping,
    /// What was said is no greeting, or no message.
    Malformed,
    /// A newer word than this build knows.
    #[serde(other)]
    Other,
}

/// From the controller to the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToAgent {
    /// The session begins.
    Welcome(Welcome),
    /// The session does not begin, or ends.
    Rejected {
        /// Why.
        reason: RejectReason,
        /// When it is worth trying again.
        retry_after_secs: u64,
    },
    /// A question, answered once.
    Ask {
        /// Pairs the answer with the question; unique within a session.
        id: u64,
        /// The question.
        ask: Box<Ask>,
    },
    /// Something to do. Sent again until its first event has arrived; done at most once.
    Job(Box<Job>),
    /// End a deployment at the next step boundary.
    Cancel {
        /// Which one.
        deployment: DeploymentId,
    },
    /// All events up to this one are stored.
    Acked {
        /// The last stored event.
        seq: u64,
    },
    /// How much of a log stream is stored: the answer to [`ToController::LogOpened`], and now and then.
    LogStored {
        /// The deployment.
        deployment: DeploymentId,
        /// The stream within it.
        stream: u32,
        /// How many bytes; [`NOTHING_MORE`] where none of it is wanted.
        offset: u64,
    },
    /// Whom to trust from now on; answered with [`ToController::Trusts`] once it is stored.
    Trust(Box<SignedBundle>),
    /// Renew the certificate soon, whatever the time.
    Renew,
    /// What was seen from outside.
    SeenFromOutside {
        /// Pairs it with what was asked.
        id: u64,
        /// What was seen, or why nothing can be told.
        told: Box<Told>,
    },
    /// Are you there?
    Ping {
        /// Given back.
        n: u64,
    },
    /// Yes.
    Pong {
        /// As it came.
        n: u64,
    },
    /// A message that this build does not know.
    #[serde(other)]
    Unknown,
}

/// From the agent to the controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToController {
    /// The first message.
    Hello(Box<Hello>),
    /// The answer to a question.
    Answer {
        /// As it came.
        id: u64,
        /// The answer.
        answer: Box<Answer>,
    },
    /// Events, in order, each repeated until acknowledged.
    Events {
        /// The events.
        events: Vec<Event>,
    },
    /// Output is about to flow; the controller says from where on.
    LogOpened {
        /// The deployment.
        deployment: DeploymentId,
        /// The stream within it.
        stream: u32,
        /// The step that writes it.
        step: StepId,
    },
    /// The controller's epoch, or what it has stored, is behind what this host has seen: it was restored from a
    /// backup and does not know it. The session ends.
    EpochRefused {
        /// The highest epoch that the host has seen.
        known: u64,
    },
    /// The bundle of this version is stored and counts.
    Trusts {
        /// Which.
        version: u64,
    },
    /// Look at the site from outside; asked only of a controller that does. No effect on anything.
    LookFromOutside {
        /// Pairs the answer with the question; unique within the agent's life.
        id: u64,
        /// At what.
        look: Box<Look>,
    },
    /// How far the host's audit has got: with each ping, and soon after it has grown.
    Audited {
        /// The last record.
        anchor: Anchor,
    },
    /// Are you there?
    Ping {
        /// Given back.
        n: u64,
    },
    /// Yes.
    Pong {
        /// As it came.
        n: u64,
    },
    /// A message that this build does not know.
    #[serde(other)]
    Unknown,
}

/// The offset of a log stream of which the controller wants nothing more: it does not know its deployment.
pub const NOTHING_MORE: u64 = u64::MAX;

/// A site with its secrets, on the way to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The site.
    pub site: Site,
    /// Its secrets.
    #[serde(default)]
    pub secrets: Secrets,
}

/// A question to an agent. None has an effect on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// Nothing but an answer.
    Ping,
    /// How is the host?
    Status,
    /// The preflight chapter's checks for a site.
    Preflight(Box<Order>),
    /// The plan for a site.
    Plan(Box<Order>),
    /// The plan for taking away what deployments have made here.
    Uninstall {
        /// The site's domain, typed by a person who wants its data deleted too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delete_data: Option<String>,
    },
    /// The plan for letting everybody in to a site that lets in only a few until its administrator has registered.
    Open,
    /// The verify chapter's checks of the deployed site.
    Verify,
    /// The handover of the deployed site.
    Handover,
    /// Records of the host's audit.
    Audit {
        /// After this one.
        after: u64,
    },
    /// What is wrong with what was deployed here, and why?
    Diagnose,
    /// The same with everything it rests on, as one text to hand on.
    Bundle,
    /// What is not as the last good deployment left it?
    Drift,
    /// A question that this build does not know.
    #[serde(other)]
    Unknown,
}

/// The answer of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// To `Ping`.
    Pong,
    /// To `Status`.
    Status(Box<Status>),
    /// To `Preflight` and `Verify`.
    Report {
        /// One finding a step.
        findings: Vec<Finding>,
    },
    /// To `Plan`, `Open` and `Uninstall`.
    Plan(Box<Plan>),
    /// To `Handover`.
    Handover(Box<Handover>),
    /// To `Audit`: the next records in order, none where there are no more.
    Audit {
        /// Not verified by the host.
        records: Vec<Record>,
    },
    /// To `Diagnose`: causes from the ground up.
    Diagnosis {
        /// The site's domain.
        domain: String,
        /// What was found, one advice a cause; empty where nothing is known to be wrong.
        found: Vec<Advice>,
    },
    /// To `Bundle`.
    Bundle {
        /// The text, without secrets.
        text: String,
    },
    /// To `Drift`.
    Drift {
        /// Everything that was compared.
        rows: Vec<Drift>,
    },
    /// The question cannot be answered.
    Refused {
        /// Why, and what to do.
        advice: Advice,
    },
    /// An answer that this build does not know.
    #[serde(other)]
    Unknown,
}

/// Something to do, made and stored by the one who asks for it before it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The deployment that it becomes.
    pub id: DeploymentId,
    /// When it was asked for, in milliseconds since 1970.
    pub issued_ms: i64,
    /// A job that has not been started by then is not started any more.
    pub not_after_ms: i64,
    /// Who asked for it, for the record.
    pub by: String,
    /// The plan that was approved.
    pub plan: PlanHash,
    /// What is done with the site.
    #[serde(default, skip_serializing_if = "Work::is_deploy")]
    pub work: Work,
    /// The site and its secrets.
    pub order: Order,
}
