//! What the installer has made anew below `secrets/` is taken up by what runs: else some would know the old one until
//! they start anew one day, and others the new one.

use super::copies;
use crate::host::Command;
use crate::runbook::drift::Baseline;
use crate::runbook::gone::{self, Names};
use crate::runbook::{ActCx, Cx, StepError, containers};
use std::time::Duration;

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

/// Starts anew what uses those of them that are there now. What one of them is still missing for would not come up again,
/// and is left as it is. All are gone through though one fails.
pub(super) async fn take_up(cx: &ActCx<'_>, missing: &Names) -> Result<(), StepError> {
    let site = cx.look.site;
    let there = gone::below(&cx.look).await?;
    let (made, still): (Names, Names) = missing.iter().cloned().partition(|name| there.contains(name));
    let (least, spared) = (containers::least(site), gone::users(still.iter()));
    let users = gone::users(made.iter()).into_iter();
    let mut failed = None;
    for user in users.filter(|user| least.contains(&user.0) && !spared.contains(user)) {
        let line = format!(
            "Starting {} anew: made anew below secrets/: {}",
            user.0,
            gone::listed(made.iter())
        );
        cx.host.say(&line).await;
        let args = ["compose", "restart", user.0];
        let restart = Command::new("docker", &args).within(site.folder.as_str());
        let output = cx.host.run(restart.deadline(Duration::from_mins(5))).await?;
        if !output.ok() {
            let why = "files below secrets/ were made anew";
            failed.get_or_insert_with(|| copies::not_started(site, &args, why, output.last_lines(8)));
        }
    }
    failed.map_or(Ok(()), Err)
}
