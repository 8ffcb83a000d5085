//! What the installer has made anew below `secrets/` is taken up by what runs: else some would know the old one until
//! they start anew one day, and others the new one.

use super::copies;
use crate::host::Command;
use crate::runbook::drift::Baseline;
use crate::runbook::gone::{self, Names};
use crate::runbook::{ActCx, Cx, StepError, containers};
use std::time::Duration;

/// What knows none of these files.
const DATABASE: &str = "postgres";

/// What the installer may make anew: what is missing. After a run that was cut off all that there was, for that run may
/// have made any of them.
pub(super) async fn missing(cx: &Cx<'_>, cut_off: bool) -> Result<Names, StepError> {
    if cut_off {
        return Ok(Baseline::of(cx.memory)
            .map(|then| then.secrets)
            .unwrap_or_default());
    }
    gone::gone(cx).await
}

/// Starts anew what may use those of them that are there now.
pub(super) async fn take_up(cx: &ActCx<'_>, missing: &Names) -> Result<(), StepError> {
    let site = cx.look.site;
    let there = gone::below(&cx.look).await?;
    if missing.is_disjoint(&there) {
        return Ok(());
    }
    let made = gone::listed(missing.intersection(&there));
    let line = format!("Starting anew what may use {made}: made anew below secrets/");
    cx.host.say(&line).await;
    let services = containers::least(site).into_iter().filter(|one| *one != DATABASE);
    for service in services {
        let args = ["compose", "restart", service];
        let restart = Command::new("docker", &args).within(site.folder.as_str());
        let output = cx.host.run(restart.deadline(Duration::from_mins(5))).await?;
        if !output.ok() {
            let why = "files below secrets/ were made anew";
            return Err(copies::not_started(site, &args, why, output.last_lines(8)));
        }
    }
    Ok(())
}
