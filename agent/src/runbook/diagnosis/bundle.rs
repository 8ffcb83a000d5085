//! Everything that somebody who is to help wants to see, in one text, without the site's secrets.

use super::{Facts, diagnose};
use crate::host::{Command, HostError};
use crate::runbook::{Cx, evidence};
use chatalot_protocol::event::Event;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// The most of it that is sent: a control message has to hold it, escaped.
const MOST: usize = 400 << 10;
/// The most of one step's output.
const OUTPUT: usize = 24 << 10;

/// What the ledger and the state folder add to the facts.
pub struct Past<'a> {
    /// The events of the last deployment.
    pub events: &'a [Event],
    /// Its folder of outputs.
    pub folder: &'a Path,
    /// Its streams with their steps.
    pub streams: &'a [(u32, String)],
}

/// Puts it together; every line goes by the scrubber, whatever scrubbed it before.
pub async fn text(cx: &Cx<'_>, facts: &Facts, past: &Past<'_>) -> Result<String, HostError> {
    let mut text = String::new();
    let system = cx.host.system().await?;
    section(
        &mut text,
        "chatalot-agent",
        &format!("version {}\n{system:#?}", env!("CARGO_PKG_VERSION")),
    );
    let found: Vec<String> = diagnose(facts).iter().map(ToString::to_string).collect();
    section(&mut text, "what was found", &found.join("\n"));
    section(&mut text, "facts", &format!("{facts:#?}"));
    let events: Vec<String> = past.events.iter().map(|event| format!("{event:?}")).collect();
    section(&mut text, "events of the last deployment", &events.join("\n"));
    for (stream, step) in past.streams {
        let output = cx
            .host
            .read(&past.folder.join(stream.to_string()).join("output"))
            .await?;
        let output = output.unwrap_or_default();
        let tail = String::from_utf8_lossy(&output[output.len().saturating_sub(OUTPUT)..]).into_owned();
        section(&mut text, &format!("output {stream}, {step}"), &tail);
    }
    let proxy = crate::runbook::proxies::chosen(cx.site).and_then(super::super::proxies::Proxy::unit);
    for unit in ["chatalot-agent.service", cx.distro.engine_unit]
        .into_iter()
        .chain(proxy)
    {
        section(&mut text, &format!("journal of {unit}"), &journal(cx, unit).await);
    }
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let clean = evidence::masked(cx.host, cx.site, &lines, usize::MAX)
        .await?
        .join("\n");
    let end = (0..=MOST.min(clean.len()))
        .rev()
        .find(|at| clean.is_char_boundary(*at))
        .unwrap_or(0);
    Ok(format!("{}\n", &clean[..end]))
}

fn section(text: &mut String, title: &str, body: &str) {
    let _ = write!(text, "=== {title} ===\n{}\n", body.trim_end());
}

async fn journal(cx: &Cx<'_>, unit: &str) -> String {
    let args = ["-u", unit, "-n", "120", "-o", "short-iso", "--no-pager", "-q"];
    let asked = Command::new("journalctl", &args).deadline(Duration::from_secs(15));
    match cx.host.query(asked).await {
        Ok(output) => output.stdout,
        Err(error) => crate::chain(&error),
    }
}
