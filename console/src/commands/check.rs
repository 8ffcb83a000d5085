//! The commands that look and change nothing.

use super::site::{PreflightArgs, order_to_look};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::{Format, Output};
use crate::render;
use chatalot_protocol::message::{Answer, Ask};
use chatalot_protocol::report::{Finding, Level, Verdict};
use clap::Args;
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

/// `verify`
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct VerifyArgs {}

/// `status`
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct StatusArgs {}

/// Checks a host for a site. 0, or 3 where a person has to act; what a deployment does itself is no failure.
pub async fn preflight(client: &Client, args: &PreflightArgs, out: &mut Output) -> Result<Exit, Failure> {
    let order = order_to_look(&args.site, out)?;
    let findings = report(client, "preflight", &Ask::Preflight(Box::new(order))).await?;
    show(&findings, out)?;
    Ok(if is_blocked(&findings) {
        Exit::Blocked
    } else {
        Exit::Done
    })
}

/// Checks the deployed site. 0, 1 where something is not as it should be, 3 where a person has to act.
pub async fn verify(client: &Client, _args: &VerifyArgs, out: &mut Output) -> Result<Exit, Failure> {
    let findings = report(client, "verify", &Ask::Verify).await?;
    show(&findings, out)?;
    let is_well = findings.iter().all(|finding| finding.verdict.is_satisfied());
    Ok(match (is_blocked(&findings), is_well) {
        (true, _) => Exit::Blocked,
        (false, true) => Exit::Done,
        (false, false) => Exit::Failed,
    })
}

/// Shows how the host is. 1 where users cannot use the site, otherwise 0.
pub async fn status(client: &Client, _args: &StatusArgs, out: &mut Output) -> Result<Exit, Failure> {
    let Answer::Status(status) = client.ask(&Ask::Status).await? else {
        return Err(Failure::Puzzled("status"));
    };
    match out.format {
        Format::Json => out.json(&status)?,
        Format::Text => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
            let text = render::status(&status, now_ms, out.page());
            out.text(&text)?;
        }
    }
    Ok(if status.level == Level::Down {
        Exit::Failed
    } else {
        Exit::Done
    })
}

async fn report(client: &Client, asked: &'static str, ask: &Ask) -> Result<Vec<Finding>, Failure> {
    match client.ask(ask).await? {
        Answer::Report { findings } => Ok(findings),
        _ => Err(Failure::Puzzled(asked)),
    }
}

fn show(findings: &[Finding], out: &mut Output) -> Result<(), Failure> {
    match out.format {
        Format::Json => out.json(&json!({ "findings": findings })),
        Format::Text => {
            let text = render::findings(findings, out.page());
            out.text(&text)
        }
    }
}

fn is_blocked(findings: &[Finding]) -> bool {
    findings
        .iter()
        .any(|finding| matches!(finding.verdict, Verdict::Blocked { .. }))
}
