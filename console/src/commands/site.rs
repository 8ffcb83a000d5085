//! The commands about a site: its plan, its preflight, its handover, and the inputs that there are.

use crate::ask;
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::flags::SiteFlags;
use crate::output::{Format, Output};
use crate::render;
use chatalot_protocol::inputs::Inputs;
use chatalot_protocol::message::{Answer, Ask, Order};
use chatalot_protocol::plan::Plan;
use clap::{Args, ValueEnum};

/// Stands for an administrator where none is needed.
const ANYBODY: &str = "admin";

/// `plan`
#[derive(Debug, Clone, Default, Args)]
pub struct PlanArgs {
    /// The inputs.
    #[command(flatten)]
    pub site: SiteFlags,
}

/// `preflight`
#[derive(Debug, Clone, Default, Args)]
pub struct PreflightArgs {
    /// The inputs.
    #[command(flatten)]
    pub site: SiteFlags,
}

/// `handover`
#[derive(Debug, Clone, Default, Args)]
pub struct HandoverArgs {
    /// As plain text, or as Markdown to send it on
    #[arg(long, value_enum, default_value_t)]
    pub format: HandoverFormat,
}

/// How the handover is written where no JSON is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum HandoverFormat {
    /// For a terminal.
    #[default]
    Text,
    /// For a file or a chat.
    Markdown,
    /// The same as `--output json`.
    Json,
}

/// The site from the flags, asking for what is missing.
pub(super) fn order(flags: &SiteFlags, out: &mut Output) -> Result<Order, Failure> {
    let inputs = flags.collect()?;
    completed(inputs, flags, out)
}

/// As [`order`], to look at a host only: who becomes the administrator changes nothing about it.
pub(super) fn order_to_look(flags: &SiteFlags, out: &mut Output) -> Result<Order, Failure> {
    let mut inputs = flags.collect()?;
    inputs.admin_username.get_or_insert_with(|| ANYBODY.to_owned());
    completed(inputs, flags, out)
}

fn completed(inputs: Inputs, flags: &SiteFlags, out: &mut Output) -> Result<Order, Failure> {
    let can_ask = out.interactive && !flags.takes_standard_input();
    let (site, secrets) = ask::complete(inputs, can_ask, out.term.as_mut())?;
    Ok(Order { site, secrets })
}

/// The plan for an order.
pub(super) async fn planned(client: &Client, order: &Order) -> Result<Plan, Failure> {
    match client.ask(&Ask::Plan(Box::new(order.clone()))).await? {
        Answer::Plan(plan) => Ok(*plan),
        _ => Err(Failure::Puzzled("plan")),
    }
}

/// Shows what a deployment would do. 0, or 3 where a step is blocked.
pub async fn plan(client: &Client, args: &PlanArgs, out: &mut Output) -> Result<Exit, Failure> {
    let order = order(&args.site, out)?;
    let plan = planned(client, &order).await?;
    match out.format {
        Format::Json => out.json(&plan)?,
        Format::Text => {
            let mut text = render::plan(&plan, out.page());
            text.push_str(&render::blocked(&plan, out.page()));
            out.text(&text)?;
        }
    }
    let is_blocked = !render::advice_of(&plan).is_empty();
    Ok(if is_blocked { Exit::Blocked } else { Exit::Done })
}

/// Shows the handover of the deployed site.
pub async fn handover(client: &Client, args: &HandoverArgs, out: &mut Output) -> Result<Exit, Failure> {
    let Answer::Handover(handover) = client.ask(&Ask::Handover).await? else {
        return Err(Failure::Puzzled("handover"));
    };
    match (out.format, args.format) {
        (Format::Json, _) | (_, HandoverFormat::Json) => out.json(&handover)?,
        (_, HandoverFormat::Markdown) => out.text(&render::markdown(&handover))?,
        (_, HandoverFormat::Text) => {
            let text = render::handover(&handover, out.page());
            out.text(&text)?;
        }
    }
    Ok(Exit::Done)
}

/// Prints the inputs of a site as a JSON Schema. Needs no daemon.
pub fn inputs_schema(out: &mut Output) -> Result<Exit, Failure> {
    match out.format {
        Format::Json => out.json(&render::schema())?,
        Format::Text => out.line(&format!("{:#}", render::schema()))?,
    }
    Ok(Exit::Done)
}
