//! `deployment show` and `deployment cancel`.

use super::watch::state_of;
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::follow::{Follow, Heard};
use crate::output::{Format, Output};
use crate::render;
use chatalot_protocol::api::{DeploymentView, WatchLine};
use chatalot_protocol::names::DeploymentId;
use clap::Args;
use std::time::Duration;
use tokio::time::timeout;

/// `deployment show`
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// The deployment's id
    pub deployment: DeploymentId,
    /// Wait until it is over
    #[arg(long)]
    pub wait: bool,
    /// Wait no longer than this many seconds, then end with 7
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    pub timeout: Option<u64>,
}

/// `deployment cancel`
#[derive(Debug, Clone, Args)]
pub struct CancelArgs {
    /// The deployment's id
    pub deployment: DeploymentId,
}

/// Shows how a deployment stands; the exit code says how it ended. One JSON object, however long it took.
pub async fn show(client: &Client, args: &ShowArgs, out: &mut Output) -> Result<Exit, Failure> {
    let mut is_late = false;
    if args.wait {
        let end = end_of(client, args.deployment);
        let ended = match args.timeout {
            Some(secs) => timeout(Duration::from_secs(secs), end).await.ok(),
            None => Some(end.await),
        };
        is_late = ended.is_none();
        ended.transpose()?;
    }
    let view: DeploymentView = state_of(client, args.deployment).await?;
    print(&view, out)?;
    if is_late && !view.state.is_over() {
        return Ok(Exit::TimedOut);
    }
    Ok(Exit::of(view.state))
}

/// Asks for a deployment's end at the next step boundary. 0 where that is under way or done.
pub async fn cancel(client: &Client, args: &CancelArgs, out: &mut Output) -> Result<Exit, Failure> {
    let view: DeploymentView = cancelled(client, args.deployment).await?;
    match out.format {
        Format::Json => out.json(&view)?,
        Format::Text if view.state.is_over() => {
            let text = render::deployment(&view, out.page());
            out.text(&text)?;
        }
        Format::Text => out.line("It ends at the next step boundary.")?,
    }
    Ok(Exit::Done)
}

pub(super) async fn cancelled(client: &Client, id: DeploymentId) -> Result<DeploymentView, Failure> {
    let path = format!("/v1/deployments/{id}/cancel");
    Ok(client.post(&path, &serde_json::Value::Null).await?)
}

async fn end_of(client: &Client, id: DeploymentId) -> Result<(), Failure> {
    let mut follow = Follow::new(client, id, false);
    loop {
        if let Heard::Line(line) = follow.next().await?
            && matches!(line.line, WatchLine::End { .. })
        {
            return Ok(());
        }
    }
}

fn print(view: &DeploymentView, out: &mut Output) -> Result<(), Failure> {
    match out.format {
        Format::Json => out.json(view),
        Format::Text => {
            let text = render::deployment(view, out.page());
            out.text(&text)
        }
    }
}
