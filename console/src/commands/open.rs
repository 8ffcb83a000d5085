//! `open`: ends a limit that holds until the administrator has registered, by hand.

use super::approval::{Approval, carried_out};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use chatalot_protocol::message::{Answer, Ask, Order};
use chatalot_protocol::site::Secrets;
use clap::Args;

/// `open`
#[derive(Debug, Clone, Default, Args)]
pub struct OpenArgs {
    /// Who approves.
    #[command(flatten)]
    pub approval: Approval,
}

/// Shows what lets everybody in, asks once, and does it.
pub async fn open(client: &Client, args: &OpenArgs, out: &mut Output) -> Result<Exit, Failure> {
    let Answer::Plan(plan) = client.ask(&Ask::Open).await? else {
        return Err(Failure::Puzzled("open"));
    };
    let order = Order {
        site: plan.site.clone(),
        secrets: Secrets::default(),
    };
    let work = plan.work;
    carried_out(client, (order, work), *plan, &args.approval, true, out).await
}
