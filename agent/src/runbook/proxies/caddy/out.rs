//! Our part of Caddy's configuration, taken out again.

use super::super::site_file::Content;
use super::{CADDYFILE, IMPORT, SITES};
use crate::runbook::{ActCx, Cx, StepError};
use std::path::Path;

/// The Caddyfile without our line; `None` if it is not there, or needed by the files of others.
async fn without_import(cx: &Cx<'_>, content: &Content) -> Result<Option<String>, StepError> {
    if !content.foreign.is_empty() {
        return Ok(None);
    }
    let main = cx.host.read(Path::new(CADDYFILE)).await?.unwrap_or_default();
    let main = String::from_utf8_lossy(&main);
    if !main.lines().any(|line| line == IMPORT) {
        return Ok(None);
    }
    let kept = main
        .split_inclusive('\n')
        .filter(|line| line.trim_end_matches('\n') != IMPORT);
    Ok(Some(kept.collect()))
}

/// What is left of ours.
pub(super) async fn left(cx: &Cx<'_>) -> Result<Option<String>, StepError> {
    let content = SITES.content(cx.host, &cx.site.domain).await?;
    if let Some(file) = SITES.ours(&content, &cx.site.domain).first() {
        return Ok(Some(format!("{} is there", file.display())));
    }
    let import = without_import(cx, &content).await?;
    Ok(import.map(|_| format!("`{IMPORT}` is in {CADDYFILE}")))
}

/// Takes the files out, then the line that would import them.
pub(super) async fn take_out(cx: &ActCx<'_>) -> Result<(), StepError> {
    let domain = &cx.look.site.domain;
    let content = SITES.content(cx.host, domain).await?;
    for file in SITES.ours(&content, domain) {
        cx.host.remove(&file).await?;
    }
    if let Some(main) = without_import(&cx.look, &content).await? {
        cx.host.rewrite(Path::new(CADDYFILE), main.as_bytes()).await?;
    }
    Ok(())
}
