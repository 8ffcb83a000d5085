//! What a site can have or not, and the end of what it had: compose starts what was switched off no more, and leaves
//! alone what runs.

use super::flags;
use crate::host::{Command, Container, HostError, Look};
use crate::runbook::{ActCx, Cx, StepError, containers, made, recent};
use chatalot_protocol::advice::Advice;
use std::time::Duration;

/// Something that one of the installer's flags switches on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Switch {
    /// What people call it.
    pub(super) what: &'static str,
    /// The flag, without its dashes.
    flag: &'static str,
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

/// How it is written down that we have started one of their services; an operator may start the others.
const NOTE: &str = "service ";

/// Notes what the installer is about to start.
pub(super) async fn note(cx: &ActCx<'_>) -> Result<(), StepError> {
    let wanted = containers::least(cx.look.site);
    let all = SWITCHES.iter().flat_map(|switch| switch.services);
    let ours = all.filter(|service| wanted.contains(service));
    Ok(made::note(cx, ours.map(|service| format!("{NOTE}{service}"))).await?)
}

/// What a deployment has started and the site has not any more.
pub(super) async fn ended(cx: &Cx<'_>) -> Result<Vec<&'static Switch>, StepError> {
    let wanted = containers::least(cx.site);
    let made = made::made(cx.host).await?;
    let last = cx.memory.get(recent::INSTALLED);
    // Before there were notes a deployment has had it on all the same, if that is remembered.
    let had = |switch: &Switch| last.is_some_and(|last| flags::had(last, switch.flag));
    let noted = |service: &str| made.contains(&format!("{NOTE}{service}"));
    let is_off = |switch: &&Switch| {
        let mut off = switch.services.iter().filter(|service| !wanted.contains(service));
        off.any(|service| had(switch) || noted(service))
    };
    Ok(SWITCHES.iter().filter(is_off).collect())
}

/// Which containers of these are still there.
pub(super) async fn left(cx: &Cx<'_>, there: &[Container]) -> Result<Vec<String>, StepError> {
    let ended = ended(cx).await?;
    let is_of = |one: &&Container| {
        ended
            .iter()
            .any(|switch| switch.services.contains(&one.service.as_str()))
    };
    Ok(there.iter().filter(is_of).map(|one| one.name.clone()).collect())
}

/// Ends and removes them.
pub(super) async fn take_away(cx: &ActCx<'_>) -> Result<(), StepError> {
    let there = cx.host.containers(Some(cx.look.site.folder.as_str())).await?;
    for name in left(&cx.look, &there).await? {
        cx.host.say(&format!("{name} was switched off: ending it")).await;
        for verb in ["stop", "rm"] {
            docker(cx, verb, &name).await?;
        }
    }
    let ended = ended(&cx.look).await?;
    let services = ended.into_iter().flat_map(|switch| switch.services);
    Ok(made::forget_all(cx, services.map(|service| format!("{NOTE}{service}"))).await?)
}

/// What a deployment has started, by how it is written down.
pub(in crate::runbook::chapters) async fn noted(host: &dyn Look) -> Result<Vec<String>, HostError> {
    let made = made::made(host).await?;
    Ok(made.into_iter().filter(|line| line.starts_with(NOTE)).collect())
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
