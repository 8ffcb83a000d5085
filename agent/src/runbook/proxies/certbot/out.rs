//! What deployments have had certbot do, taken back.

use super::super::nginx;
use super::{CERTIFICATE, HOOK, RENEWAL, UNIT, WEBROOT, hook};
use crate::host::{Command, HostError, Look};
use crate::runbook::{ActCx, Cx, StepError, made};
use chatalot_protocol::advice::Advice;
use std::path::Path;

async fn our_hook(host: &dyn Look) -> Result<bool, HostError> {
    let there = host.read(Path::new(HOOK)).await?;
    Ok(there.as_deref() == Some(hook().as_bytes()))
}

/// What is left of what deployments have had certbot do.
pub(in crate::runbook) async fn left(cx: &Cx<'_>) -> Result<Option<String>, StepError> {
    if our_hook(cx.host).await? {
        return Ok(Some(format!("{HOOK} is there")));
    }
    if cx.host.owner(Path::new(WEBROOT)).await?.is_some() {
        return Ok(Some(format!("{WEBROOT} is there")));
    }
    if let Some(domain) = certificates(cx.host).await?.first() {
        return Ok(Some(format!(
            "a certificate for {domain} that a deployment has got"
        )));
    }
    let timer = for_nobody(cx.host).await?;
    Ok(timer.map(|timer| format!("{timer} runs by a deployment, for nobody")))
}

/// Whose certificates deployments have got, whatever the site is now; one that another site of nginx shows stays.
async fn certificates(host: &dyn Look) -> Result<Vec<String>, HostError> {
    let mut found = Vec::new();
    for line in made::made(host).await? {
        if let Some(domain) = line.strip_prefix(CERTIFICATE)
            && !nginx::shows(host, &format!("/etc/letsencrypt/live/{domain}/")).await?
        {
            found.push(domain.to_owned());
        }
    }
    Ok(found)
}

/// The timer that deployments have started, where no certificate is left for it.
async fn for_nobody(host: &dyn Look) -> Result<Option<String>, HostError> {
    let made = made::made(host).await?;
    let timer = made.iter().find_map(|line| line.strip_prefix(UNIT));
    if !host.list(Path::new(RENEWAL)).await?.is_empty() {
        return Ok(None);
    }
    Ok(timer.map(str::to_owned))
}

/// What taking it away does, one line each.
pub(in crate::runbook) fn plan() -> Vec<String> {
    vec![
        format!("remove {HOOK}, if it is ours, and {WEBROOT}"),
        "run `certbot delete` on certificates that deployments have got, unless another site shows them; with none left, stop certbot's \
         timer, if a deployment has started it"
            .to_owned(),
    ]
}

/// Takes it away: certbot would ask for ever, for a site that shows it nothing any more.
pub(in crate::runbook) async fn take_out(cx: &ActCx<'_>) -> Result<(), StepError> {
    if our_hook(cx.host).await? {
        cx.host.remove(Path::new(HOOK)).await?;
    }
    if cx.host.owner(Path::new(WEBROOT)).await?.is_some() {
        let remove = ["-rf", "--one-file-system", "--", WEBROOT];
        done(cx, Command::new("rm", &remove)).await?;
    }
    for domain in certificates(cx.host).await? {
        let renewal = Path::new(RENEWAL).join(format!("{domain}.conf"));
        // Without certbot nobody renews it either.
        if cx.host.read(&renewal).await?.is_some() && cx.host.program("certbot").await?.is_some() {
            let delete = ["delete", "--non-interactive", "--cert-name", &domain];
            done(cx, Command::new("certbot", &delete)).await?;
        }
        made::forget(cx, &format!("{CERTIFICATE}{domain}")).await?;
    }
    if let Some(timer) = for_nobody(cx.host).await? {
        done(cx, Command::new("systemctl", &["disable", "--now", &timer])).await?;
        made::forget(cx, &format!("{UNIT}{timer}")).await?;
    }
    Ok(())
}

async fn done(cx: &ActCx<'_>, command: Command) -> Result<(), StepError> {
    let typed = format!("{} {}", command.program, command.args.join(" "));
    let output = cx.host.run(command).await?;
    if output.ok() {
        return Ok(());
    }
    Err(StepError::last(
        Advice::new(
            "CERTIFICATE_STAYS",
            format!("`{typed}` ended with exit code {}", output.code),
            "nothing left of the site's certificate",
            format!("run `{typed}` by hand and mend what it names, then run `uninstall` again"),
        )
        .with_evidence(output.last_lines(6)),
    ))
}
