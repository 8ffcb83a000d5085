//! What a site can have or not, and the end of what it had: compose starts what was switched off no more, and leaves
//! alone what runs.

use super::flags::Change;
use crate::host::Command;
use crate::runbook::{ActCx, StepError};
use chatalot_protocol::advice::Advice;
use std::time::Duration;

/// Something that one of the installer's flags switches on.
pub(super) struct Switch {
    /// What people call it.
    pub(super) what: &'static str,
    /// The flag, without its dashes.
    pub(super) flag: &'static str,
    /// The services that compose starts for it.
    pub(super) services: &'static [&'static str],
}

/// All of them.
pub(super) const SWITCHES: &[Switch] = &[
    Switch {
        what: "voice and video",
        flag: "enable-turn",
        services: &["coturn"],
    },
    Switch {
        what: "managed updates",
        flag: "enable-updater",
        services: &["chatalot-updater", "chatalot-socket-proxy"],
    },
    Switch {
        what: "the tunnel",
        flag: "expose",
        services: &["cloudflared"],
    },
];

/// The services of what the last deployment had and this one has not. What an operator has started besides is not among
/// them.
fn ended(changes: &[Change]) -> impl Iterator<Item = &'static str> {
    let is_gone = |switch: &&Switch| {
        let mut ours = changes.iter().filter(|change| change.name == switch.flag);
        ours.any(|change| change.is.is_none())
    };
    SWITCHES
        .iter()
        .filter(is_gone)
        .flat_map(|switch| switch.services)
        .copied()
}

/// Ends and removes the containers of what was switched off. It comes before the inputs are remembered, so that what is
/// cut off here is done by the next run.
pub(super) async fn take_away(cx: &ActCx<'_>, changes: &[Change]) -> Result<(), StepError> {
    let ended: Vec<&str> = ended(changes).collect();
    if ended.is_empty() {
        return Ok(());
    }
    let folder = cx.look.site.folder.as_str();
    // Where compose cannot tell, or starts it for somebody else's reason, it stays.
    let Some(active) = cx.host.compose_services(folder).await? else {
        return Ok(());
    };
    for one in cx.host.containers(Some(folder)).await? {
        if ended.contains(&one.service.as_str()) && !active.contains(&one.service) {
            cx.host
                .say(&format!("{} was switched off: ending it", one.name))
                .await;
            for verb in ["stop", "rm"] {
                docker(cx, verb, &one.name).await?;
            }
        }
    }
    Ok(())
}

async fn docker(cx: &ActCx<'_>, verb: &str, name: &str) -> Result<(), StepError> {
    let command = Command::new("docker", &[verb, "--", name]).deadline(Duration::from_mins(2));
    let output = cx.host.run(command).await?;
    if output.ok() {
        return Ok(());
    }
    Err(StepError::last(
        Advice::new(
            "CONTAINERS_STAY",
            format!("`docker {verb} -- {name}` ended with exit code {}", output.code),
            format!("no {name}, which was switched off"),
            format!("run `docker {verb} -- {name}` by hand and mend what it names, then deploy again"),
        )
        .with_evidence(output.last_lines(6)),
    ))
}
