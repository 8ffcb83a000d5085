//! How often Let's Encrypt was asked for a certificate, in a file of ours, so that neither a restart nor a boot
//! forgets it. It is written before the question, so that even one that was cut off counts.

use super::served::is_trusted;
use crate::host::{HostError, Look};
use crate::runbook::ActCx;
use chatalot_protocol::site::{Acme, Site};
use std::path::Path;

/// Lines of a time in milliseconds and a domain.
pub(super) const ASKED: &str = "/var/lib/chatalot-agent/acme.asked";
const HOUR_MS: i64 = 3_600_000;

/// When the authority was asked for this site's certificate within the last hour, oldest first. Only Let's Encrypt's
/// production counts: it allows five failed validations an hour for a name.
pub async fn asked_within_an_hour(host: &dyn Look, site: &Site) -> Result<Vec<i64>, HostError> {
    let lines = lines(host).await?;
    let ours = lines.iter().filter(|(_, domain)| domain == site.domain.as_str());
    Ok(ours.map(|(at, _)| *at).collect())
}

/// Notes that the authority is about to be asked, unless it need not be: what is trusted already is not asked for.
pub async fn note_asking(cx: &ActCx<'_>) -> Result<(), HostError> {
    let site = cx.look.site;
    if site.acme != Acme::Production || is_trusted(&cx.look).await {
        return Ok(());
    }
    let mut lines = lines(cx.host).await?;
    lines.push((cx.host.now_ms(), site.domain.to_string()));
    let text: Vec<String> = lines
        .iter()
        .map(|(at, domain)| format!("{at} {domain}\n"))
        .collect();
    cx.host
        .write(Path::new(ASKED), text.concat().as_bytes(), 0o600)
        .await
}

async fn lines(host: &dyn Look) -> Result<Vec<(i64, String)>, HostError> {
    let text = host.read(Path::new(ASKED)).await?.unwrap_or_default();
    let now = host.now_ms();
    let parsed = String::from_utf8_lossy(&text).into_owned();
    let recent = parsed.lines().filter_map(|line| {
        let (at, domain) = line.split_once(' ')?;
        let at = at.parse::<i64>().ok()?;
        // A clock that was set back must not block for longer than the hour.
        (0..HOUR_MS)
            .contains(&(now - at))
            .then(|| (at, domain.to_owned()))
    });
    Ok(recent.collect())
}
