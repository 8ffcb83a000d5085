//! Containers of what was switched off: compose starts them no more, and leaves those that run alone.

use crate::host::{Command, Container};
use crate::runbook::{ActCx, Cx, StepError, containers};
use chatalot_protocol::advice::Advice;
use std::time::Duration;

/// Services that a site can have or not.
const OPTIONAL: &[&str] = &[
    "coturn",
    "chatalot-updater",
    "chatalot-socket-proxy",
    "cloudflared",
];

/// The names of the containers whose service is neither wanted nor started by compose any more.
pub(super) async fn running(cx: &Cx<'_>, there: &[Container]) -> Result<Vec<String>, StepError> {
    let wanted = containers::least(cx.site);
    let is_off = |one: &&Container| {
        let service = one.service.as_str();
        OPTIONAL.contains(&service) && !wanted.contains(&service)
    };
    let off: Vec<&Container> = there.iter().filter(is_off).collect();
    if off.is_empty() {
        return Ok(Vec::new());
    }
    // Where compose cannot tell, or starts it for somebody else's reason, it stays.
    let Some(active) = cx.host.compose_services(cx.site.folder.as_str()).await? else {
        return Ok(Vec::new());
    };
    let left = off.into_iter().filter(|one| !active.contains(&one.service));
    Ok(left.map(|one| one.name.clone()).collect())
}

/// Ends and removes them.
pub(super) async fn take_away(cx: &ActCx<'_>) -> Result<(), StepError> {
    let there = cx.host.containers(Some(cx.look.site.folder.as_str())).await?;
    for name in running(&cx.look, &there).await? {
        cx.host.say(&format!("{name} was switched off: ending it")).await;
        for verb in ["stop", "rm"] {
            let command = Command::new("docker", &[verb, "--", &name]).deadline(Duration::from_mins(2));
            let output = cx.host.run(command).await?;
            if !output.ok() {
                return Err(StepError::last(
                    Advice::new(
                        "CONTAINERS_STAY",
                        format!("`docker {verb} -- {name}` ended with exit code {}", output.code),
                        format!("no {name}, which was switched off"),
                        format!(
                            "run `docker {verb} -- {name}` by hand and mend what it names, then deploy again"
                        ),
                    )
                    .with_evidence(output.last_lines(6)),
                ));
            }
        }
    }
    Ok(())
}
