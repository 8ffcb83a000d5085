//! `deploy`: inputs, plan, approval, deployment, handover.

use super::approval::{Approval, carried_out};
use super::site::{order, planned};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::flags::SiteFlags;
use crate::output::Output;
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
    let order = order(&args.site, out)?;
    let plan = planned(client, &order).await?;
    let can_ask = !args.site.takes_standard_input();
    carried_out(client, (order, Work::Deploy), plan, &args.approval, can_ask, out).await
}
