//! `uninstall`: the list of what will be taken away, approval, and the way to its end.

use super::approval::{Approval, carried_out};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use chatalot_protocol::message::{Answer, Ask, Order};
use chatalot_protocol::site::Secrets;
use clap::Args;

/// `uninstall`
#[derive(Debug, Clone, Default, Args)]
pub struct UninstallArgs {
    /// Who approves.
    #[command(flatten)]
    pub approval: Approval,
    /// Delete the database, the uploads and the secrets too, for ever: the site's domain, typed out
    #[arg(long, value_name = "DOMAIN")]
    pub delete_data: Option<String>,
}

/// Shows what deployments have made here, asks once, and takes it away. What was there before stays.
pub async fn uninstall(client: &Client, args: &UninstallArgs, out: &mut Output) -> Result<Exit, Failure> {
    let ask = Ask::Uninstall {
        delete_data: args.delete_data.clone(),
    };
    let Answer::Plan(plan) = client.ask(&ask).await? else {
        return Err(Failure::Puzzled("uninstall"));
    };
    let order = Order {
        site: plan.site.clone(),
        secrets: Secrets::default(),
    };
    let work = plan.work;
    carried_out(client, (order, work), *plan, &args.approval, true, out).await
}
