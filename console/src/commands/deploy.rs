//! `deploy`: inputs, plan, approval, deployment, handover.

use super::approval::{Approval, carried_out};
use super::site::{order, planned};
use crate::ask::confirm;
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::flags::SiteFlags;
use crate::output::Output;
use crate::render;
use crate::text::safe;
use chatalot_protocol::message::Order;
use chatalot_protocol::plan::Plan;
use chatalot_protocol::work::Work;
use clap::Args;

/// `deploy`
#[derive(Debug, Clone, Default, Args)]
pub struct DeployArgs {
    /// Who approves.
    #[command(flatten)]
    pub approval: Approval,
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
    let can_ask = !args.site.takes_standard_input();
    carried_out(client, (order, Work::Deploy), plan, &args.approval, can_ask, out).await
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
    if !out.interactive
        || args.site.takes_standard_input()
        || args.approval.yes
        || args.approval.plan_hash.is_some()
    {
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
