//! What `deploy` and `uninstall` share: the plan is shown, approved, carried out and followed.

use super::watch::to_its_end;
use crate::ask::confirm;
use crate::client::{Client, ClientError};
use crate::exit::{Exit, Failure};
use crate::follow::Follow;
use crate::output::{Format, Output};
use crate::render;
use chatalot_protocol::api::{DeployRequest, Deployed};
use chatalot_protocol::message::Order;
use chatalot_protocol::plan::{Plan, PlanHash};
use chatalot_protocol::work::Work;
use clap::Args;
use serde_json::json;

/// How a plan is approved, and whether its end is waited for.
#[derive(Debug, Clone, Default, Args)]
pub struct Approval {
    /// Approve the plan without being asked
    #[arg(short, long, conflicts_with = "plan_hash")]
    pub yes: bool,
    /// Approve exactly the plan with this hash, as it was shown
    #[arg(long, value_name = "HASH")]
    pub plan_hash: Option<PlanHash>,
    /// Print the deployment's id and do not wait for it
    #[arg(long)]
    pub detach: bool,
}

/// Shows a plan, has it approved, hands it in and follows it to its end.
pub(super) async fn carried_out(
    client: &Client,
    (order, work): (Order, Work),
    plan: Plan,
    approval: &Approval,
    can_ask: bool,
    out: &mut Output,
) -> Result<Exit, Failure> {
    show(&plan, approval, out)?;
    let blocked = render::advice_of(&plan);
    if !blocked.is_empty() {
        return Err(Failure::Blocked(blocked));
    }
    if !is_approved(&plan, approval, can_ask, out)? {
        out.note("Nothing was done.")?;
        return Ok(Exit::Cancelled);
    }
    let request = DeployRequest {
        order,
        plan: plan.hash,
        work,
    };
    let deployed: Deployed = client.post("deployments", &request).await.map_err(unclear)?;
    announce(deployed, approval, out)?;
    if approval.detach {
        return Ok(Exit::Done);
    }
    let follow = Follow::new(client, deployed.deployment, out.verbose).known_to_be_there();
    to_its_end(client, follow, out).await
}

/// A request that was sent may have been carried out.
fn unclear(error: ClientError) -> Failure {
    match error {
        ClientError::Lost(_) | ClientError::Cut(_) | ClientError::Slow => Failure::Unclear(error),
        _ => Failure::Client(error),
    }
}

fn show(plan: &Plan, approval: &Approval, out: &mut Output) -> Result<(), Failure> {
    match out.format {
        Format::Json if approval.detach => Ok(()),
        Format::Json => out.json(&json!({"line": "plan", "plan": plan})),
        Format::Text => {
            let text = render::plan(plan, out.page());
            out.line(&text)?;
            out.flush()
        }
    }
}

fn is_approved(plan: &Plan, approval: &Approval, can_ask: bool, out: &mut Output) -> Result<bool, Failure> {
    match &approval.plan_hash {
        Some(approved) if *approved != plan.hash => {
            return Err(Failure::PlanChanged {
                approved: approved.clone(),
                now: plan.hash.clone(),
            });
        }
        Some(_) => return Ok(true),
        None if approval.yes => return Ok(true),
        None => {}
    }
    if !out.interactive || !can_ask {
        return Err(Failure::Unapproved(plan.hash.clone()));
    }
    let question = match plan.work {
        Work::UninstallWithData => "Take all of this away, with its data, for ever?",
        Work::Uninstall => "Take all of this away?",
        Work::Open => "Let everybody in?",
        Work::Deploy | Work::Unknown => "Deploy this plan?",
    };
    confirm(out.term.as_mut(), question)
}

fn announce(deployed: Deployed, approval: &Approval, out: &mut Output) -> Result<(), Failure> {
    let id = deployed.deployment;
    match (out.format, approval.detach) {
        (Format::Json, true) => out.json(&deployed),
        (Format::Json, false) => out.json(&json!({"line": "deployed", "deployment": id})),
        (Format::Text, true) => {
            let hint = format!("follow it with: {} deployment watch {id}", out.program);
            out.line(&id.to_string())?;
            out.note(&hint)
        }
        (Format::Text, false) => out.line(&format!("Deployment {id}")),
    }
}
