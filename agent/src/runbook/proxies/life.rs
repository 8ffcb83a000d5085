//! How a site is put into a proxy, whichever it is.

use super::{Before, Proxy, Standing, TAKEN_UP, Written, note_asking};
use crate::host::{Command, HostError};
use crate::runbook::{ActCx, Applied, StepError, recent};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::Site;
use std::collections::BTreeMap;

/// Writes, has it judged, has it used; puts everything back where the proxy does not want it. `key` is where it is
/// remembered when the proxy was told.
pub async fn put(cx: &ActCx<'_>, proxy: &dyn Proxy, key: &str) -> Result<Applied, StepError> {
    let Written { before, digest } = judged(cx, proxy).await?;
    if !proxy.by_certbot() {
        note_asking(cx).await?;
    }
    let asked = recent::stamp(cx.host).await?;
    if let Err(error) = proxy.reload(cx).await {
        put_back(cx, before).await?;
        // It may have taken ours up after all; what it runs with must be what it would start with.
        let _ = proxy.reload(cx).await;
        return Err(error);
    }
    let remember = BTreeMap::from([(key.to_owned(), asked), (TAKEN_UP.to_owned(), digest)]);
    Ok(Applied { remember })
}

/// Writes and has it judged, and puts everything back where the proxy does not want it.
pub async fn judged(cx: &ActCx<'_>, proxy: &dyn Proxy) -> Result<Written, StepError> {
    if let Standing::Unfit(advice) = proxy.detect(&cx.look).await? {
        return Err(StepError::Final(advice));
    }
    let written = proxy.write(cx).await?;
    if let Err(error) = proxy.validate(cx).await {
        put_back(cx, written.before).await?;
        return Err(error);
    }
    Ok(written)
}

async fn put_back(cx: &ActCx<'_>, before: Before) -> Result<(), StepError> {
    for (path, content) in before {
        match content {
            Some(content) => cx.host.rewrite(&path, &content).await?,
            None => cx.host.remove(&path).await?,
        }
    }
    Ok(())
}

/// Has systemd start a unit now and after a boot, and has the unit read its configuration again.
pub(super) async fn take_up(cx: &ActCx<'_>, unit: &'static str, code: &'static str) -> Result<(), StepError> {
    for verb in [&["enable", "--now", unit][..], &["reload", unit]] {
        told(cx, unit, verb, code, "deploy again").await?;
    }
    Ok(())
}

/// Has systemd do something with a proxy; our part is out of its configuration where that fails.
pub(super) async fn told(
    cx: &ActCx<'_>,
    unit: &'static str,
    verb: &[&str],
    code: &'static str,
    then: &str,
) -> Result<(), StepError> {
    let failed = match cx.host.run(Command::new("systemctl", verb)).await {
        Ok(output) if output.ok() => return Ok(()),
        Ok(output) => output.last_lines(8),
        // A reload that hangs is a finding like one that fails.
        Err(HostError::Deadline { seconds, .. }) => vec![format!("no end within {seconds} s")],
        Err(other) => return Err(other.into()),
    };
    Err(StepError::last(
        Advice::new(
            code,
            format!("`systemctl {}` failed", verb.join(" ")),
            format!("a {unit} that takes up its configuration"),
            format!("our part was taken out again; look at `journalctl -u {unit} -n 50`, mend what it names, then {then}"),
        )
        .with_evidence(failed),
    ))
}

/// The proxy serves the domain already, from a file that is not ours.
pub(super) fn unfit_domain(site: &Site, file: &str) -> Advice {
    Advice::new(
        "PROXY_DOMAIN_TAKEN",
        format!("a site {} in {file}, which we did not write", site.domain),
        "the domain in no other site of this proxy",
        format!(
            "take that site out of {file} (keep a copy elsewhere), then deploy again: the agent writes one of its own"
        ),
    )
}
