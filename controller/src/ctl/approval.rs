//! `chatalotctl approval …`: what waits for a second pair of eyes.

use super::table::{Cell, plain, table};
use crate::access::view::{ApprovalState, ApprovalView};
use crate::clock::{ago, now_ms};
use chatalot_console::client::Client;
use chatalot_console::exit::{Exit, Failure};
use chatalot_console::output::{Format, Output, Page, Style};
use chatalot_console::text::safe;
use chatalot_protocol::api::Deployed;
use clap::{Args, Subcommand};
use std::fmt::Write;
use uuid::Uuid;

/// What can be done with requests that wait for approval.
#[derive(Debug, Subcommand)]
pub(super) enum ApprovalCommand {
    /// List the requests that wait, and those that were decided
    List,
    /// Show one
    Show(Which),
    /// Have a request of somebody else carried out
    Approve(Which),
    /// Turn a request down
    Reject(Which),
}

/// A request that waits.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Its id
    id: Uuid,
}

impl ApprovalCommand {
    /// Does it.
    pub(super) async fn run(self, client: &Client, out: &mut Output) -> Result<Exit, Failure> {
        let path = |which: &Which, verb: &str| format!("/v1/approvals/{}{verb}", which.id);
        let view: ApprovalView = match self {
            Self::List => return list(client, out).await,
            Self::Show(which) => client.get(&path(&which, "")).await?,
            Self::Approve(which) => client.post(&path(&which, "/approve"), &()).await?,
            Self::Reject(which) => client.post(&path(&which, "/reject"), &()).await?,
        };
        match out.format {
            Format::Json => out.json(&view)?,
            Format::Text => {
                let text = detail(&view, now_ms(), out.page());
                out.text(&text)?;
            }
        }
        Ok(exit(&view))
    }
}

/// An approved request that failed has failed, whoever asks how it stands.
fn exit(view: &ApprovalView) -> Exit {
    match view.status {
        Some(status) if status >= 500 => Exit::Failed,
        Some(status) if status >= 400 => Exit::Refused,
        _ => Exit::Done,
    }
}

async fn list(client: &Client, out: &mut Output) -> Result<Exit, Failure> {
    let all: Vec<ApprovalView> = client.get("/v1/approvals").await?;
    if out.format == Format::Json {
        out.json(&all)?;
    } else if all.is_empty() {
        out.note("Nothing waits for approval.")?;
    } else {
        let now = now_ms();
        let rows: Vec<[Cell; 6]> = all.iter().map(|view| row(view, now)).collect();
        let text = table(
            ["ID", "STATE", "ACTION", "ON", "ASKED BY", "ASKED"],
            &rows,
            out.page(),
        );
        out.text(&text)?;
    }
    Ok(Exit::Done)
}

fn row(view: &ApprovalView, now_ms: i64) -> [Cell; 6] {
    [
        plain(view.id.to_string()),
        (state(view), Some(style(view))),
        plain(safe(&view.action).into_owned()),
        plain(safe(&view.subject).into_owned()),
        plain(safe(&view.requested_by).into_owned()),
        plain(ago(view.created_ms, now_ms)),
    ]
}

fn detail(view: &ApprovalView, now_ms: i64, page: Page) -> String {
    let mut text = format!("{}\n", page.paint(Style::Strong, &view.id.to_string()));
    let mut lines = vec![
        ("state", page.paint(style(view), &state(view))),
        (
            "action",
            safe(&format!("{} {}", view.action, view.subject)).into_owned(),
        ),
        ("asked by", safe(&view.requested_by).into_owned()),
        ("asked", ago(view.created_ms, now_ms)),
    ];
    if let Some(plan) = &view.plan {
        lines.push(("plan", plan.short().to_owned()));
    }
    if view.state.is_open() {
        let left = (view.expires_ms - now_ms).max(0) / 60_000;
        lines.push((
            "needs",
            format!("somebody else with the role {}, within {left} min", view.needs),
        ));
    }
    if let Some(by) = &view.decided_by {
        lines.push(("decided by", safe(by).into_owned()));
    }
    if let Some(answer) = &view.answer {
        let words = match serde_json::from_value::<Deployed>(answer.clone()) {
            Ok(deployed) => format!("deployment {}", deployed.deployment),
            Err(_) => answer["code"].as_str().unwrap_or("done").to_owned(),
        };
        lines.push(("result", safe(&words).into_owned()));
    }
    for (name, value) in lines {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {name:<11} {value}");
    }
    text
}

fn state(view: &ApprovalView) -> String {
    match view.state {
        ApprovalState::Pending => "waits",
        ApprovalState::Approved => "approved",
        ApprovalState::Done if exit(view) != Exit::Done => "approved, failed",
        ApprovalState::Done => "approved, done",
        ApprovalState::Rejected => "rejected",
        ApprovalState::Expired => "expired",
        ApprovalState::Unknown => "unknown",
    }
    .to_owned()
}

fn style(view: &ApprovalView) -> Style {
    match view.state {
        ApprovalState::Pending | ApprovalState::Approved | ApprovalState::Unknown => Style::Attention,
        ApprovalState::Done if exit(view) != Exit::Done => Style::Bad,
        ApprovalState::Done => Style::Good,
        ApprovalState::Rejected | ApprovalState::Expired => Style::Bad,
    }
}
