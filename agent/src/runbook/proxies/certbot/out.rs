//! What deployments have had certbot do, taken back.

use super::{HOOK, RENEWAL, WEBROOT, got, hook, renewal, started};
use crate::host::{Command, HostError, Look};
use crate::runbook::{ActCx, Cx, StepError, made};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::Site;
use std::path::Path;

async fn our_hook(host: &dyn Look) -> Result<bool, HostError> {
    let there = host.read(Path::new(HOOK)).await?;
    Ok(there.as_deref() == Some(hook().as_bytes()))
}

/// What is left of what deployments have had certbot do for this site.
pub(in crate::runbook::proxies) async fn left(cx: &Cx<'_>) -> Result<Option<String>, StepError> {
    if our_hook(cx.host).await? {
        return Ok(Some(format!("{HOOK} is there")));
    }
    if cx.host.owner(Path::new(WEBROOT)).await?.is_some() {
        return Ok(Some(format!("{WEBROOT} is there")));
    }
    if made::is_made(cx.host, &got(cx.site)).await? {
        let certificate = format!("a certificate for {} that a deployment has got", cx.site.domain);
        return Ok(Some(certificate));
    }
    let timer = cx.distro.certbot_timer;
    Ok(for_nobody(cx.host, timer)
        .await?
        .then(|| format!("{timer} runs by a deployment, for nobody")))
}

/// Whether deployments have started the timer, and no certificate is left for it.
async fn for_nobody(host: &dyn Look, timer: &str) -> Result<bool, HostError> {
    Ok(made::is_made(host, &started(timer)).await? && host.list(Path::new(RENEWAL)).await?.is_empty())
}

/// What taking it away does, one line each.
pub(in crate::runbook::proxies) fn plan_out(site: &Site) -> Vec<String> {
    vec![
        format!("remove {HOOK}, if it is ours, and {WEBROOT}"),
        format!(
            "run `certbot delete --cert-name {}`, if a deployment has got that certificate; with no other certificate left, stop \
             the timer that a deployment has started",
            site.domain
        ),
    ]
}

/// Takes it away: certbot would ask for ever, for a site that shows it nothing any more.
pub(in crate::runbook::proxies) async fn take_out(cx: &ActCx<'_>) -> Result<(), StepError> {
    if our_hook(cx.host).await? {
        cx.host.remove(Path::new(HOOK)).await?;
    }
    if cx.host.owner(Path::new(WEBROOT)).await?.is_some() {
        done(
            cx,
            Command::new("rm", &["-rf", "--one-file-system", "--", WEBROOT]),
        )
        .await?;
    }
    let site = cx.look.site;
    let ours = got(site);
    if made::is_made(cx.host, &ours).await? {
        // Without certbot nobody renews it either.
        if cx.host.read(&renewal(site)).await?.is_some() && cx.host.program("certbot").await?.is_some() {
            let name = ["delete", "--non-interactive", "--cert-name", site.domain.as_str()];
            done(cx, Command::new("certbot", &name)).await?;
        }
        made::forget(cx, &ours).await?;
    }
    let timer = cx.look.distro.certbot_timer;
    if for_nobody(cx.host, timer).await? {
        done(cx, Command::new("systemctl", &["disable", "--now", timer])).await?;
        made::forget(cx, &started(timer)).await?;
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
