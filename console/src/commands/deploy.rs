//! `deploy`: inputs, plan, approval, deployment, handover.

use super::site::{order, planned};
use super::watch::to_its_end;
use crate::ask::confirm;
use crate::client::{Client, ClientError};
use crate::exit::{Exit, Failure};
use crate::flags::SiteFlags;
use crate::follow::Follow;
use crate::output::{Format, Output};
use crate::render;
use crate::text::safe;
use chatalot_protocol::api::{DeployRequest, Deployed};
use chatalot_protocol::message::Order;
use chatalot_protocol::plan::{Plan, PlanHash};
use clap::Args;
use serde_json::json;

/// `deploy`
#[derive(Debug, Clone, Default, Args)]
pub struct DeployArgs {
    /// Approve the plan without being asked
    #[arg(short, long, conflicts_with = "plan_hash")]
    pub yes: bool,
    /// Approve exactly the plan with this hash, as `plan` has shown it
    #[arg(long, value_name = "HASH")]
    pub plan_hash: Option<PlanHash>,
    /// Print the deployment's id and do not wait for it
    #[arg(long)]
    pub detach: bool,
    /// The inputs.
    #[command(flatten)]
    pub site: SiteFlags,
}

/// Plans, asks once, deploys, follows it and ends with the handover.
pub async fn deploy(client: &Client, args: &DeployArgs, out: &mut Output) -> Result<Exit, Failure> {
    let mut order = order(&args.site, out)?;
    let mut plan = planned(client, &order).await?;
    if adopts(&mut order, &plan, args, out)? {
        plan = planned(client, &order).await?;
    }
    show(&plan, args, out)?;
    let blocked = render::advice_of(&plan);
    if !blocked.is_empty() {
        return Err(Failure::Blocked(blocked));
    }
    if !is_approved(&plan, args, out)? {
        out.note("Nothing was done.")?;
        return Ok(Exit::Cancelled);
    }
    let request = DeployRequest {
        order,
        plan: plan.hash,
    };
    let deployed: Deployed = client.post("deployments", &request).await.map_err(unclear)?;
    announce(deployed, args, out)?;
    if args.detach {
        return Ok(Exit::Done);
    }
    let follow = Follow::new(client, deployed.deployment, out.verbose).known_to_be_there();
    to_its_end(client, follow, out).await
}

/// Whether a person takes the proxy that is there already; the order says so from then on.
fn adopts(order: &mut Order, plan: &Plan, args: &DeployArgs, out: &mut Output) -> Result<bool, Failure> {
    let blocked = render::advice_of(plan);
    let offer = blocked
        .iter()
        .find_map(|advice| Some((advice.offered_proxy()?, &advice.saw)));
    let Some((proxy, saw)) = offer else {
        return Ok(false);
    };
    // A hash or a yes that was given beforehand was for another plan.
    if !out.interactive || args.site.takes_standard_input() || args.yes || args.plan_hash.is_some() {
        return Ok(false);
    }
    let question = format!(
        "{}. Put the site behind it (--proxy {})?",
        safe(saw),
        proxy.as_str()
    );
    let takes = confirm(out.term.as_mut(), &question)?;
    if takes {
        order.site.proxy = proxy;
    }
    Ok(takes)
}

/// A request that was sent may have been carried out.
fn unclear(error: ClientError) -> Failure {
    match error {
        ClientError::Lost(_) | ClientError::Cut(_) | ClientError::Slow => Failure::Unclear(error),
        _ => Failure::Client(error),
    }
}

fn show(plan: &Plan, args: &DeployArgs, out: &mut Output) -> Result<(), Failure> {
    match out.format {
        Format::Json if args.detach => Ok(()),
        Format::Json => out.json(&json!({"line": "plan", "plan": plan})),
        Format::Text => {
            let text = render::plan(plan, out.page());
            out.line(&text)?;
            out.flush()
        }
    }
}

fn is_approved(plan: &Plan, args: &DeployArgs, out: &mut Output) -> Result<bool, Failure> {
    match &args.plan_hash {
        Some(approved) if *approved != plan.hash => {
            return Err(Failure::PlanChanged {
                approved: approved.clone(),
                now: plan.hash.clone(),
            });
        }
        Some(_) => return Ok(true),
        None if args.yes => return Ok(true),
        None => {}
    }
    if !out.interactive || args.site.takes_standard_input() {
        return Err(Failure::Unapproved(plan.hash.clone()));
    }
    confirm(out.term.as_mut(), "Deploy this plan?")
}

fn announce(deployed: Deployed, args: &DeployArgs, out: &mut Output) -> Result<(), Failure> {
    let id = deployed.deployment;
    match (out.format, args.detach) {
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
