//! Our part of Caddy's configuration, taken out again.

use super::{CADDYFILE, IMPORT, MARK, SITES, foreign_sites};
use crate::runbook::{ActCx, Cx, StepError};
use std::path::{Path, PathBuf};

/// The files that we have written, whatever the site: there is one chatalot on a host.
async fn ours(cx: &Cx<'_>) -> Result<Vec<PathBuf>, StepError> {
    let mut ours = Vec::new();
    for name in cx.host.list(Path::new(SITES)).await? {
        let path = Path::new(SITES).join(name);
        let text = cx.host.read(&path).await?;
        if text.is_some_and(|text| text.starts_with(MARK.as_bytes())) {
            ours.push(path);
        }
    }
    Ok(ours)
}

/// The Caddyfile without our line; `None` if it is not there, or needed by the files of others.
async fn without_import(cx: &Cx<'_>) -> Result<Option<String>, StepError> {
    if !foreign_sites(cx).await?.is_empty() {
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
    if let Some(file) = ours(cx).await?.first() {
        return Ok(Some(format!("{} is there", file.display())));
    }
    let import = without_import(cx).await?;
    Ok(import.map(|_| format!("`{IMPORT}` is in {CADDYFILE}")))
}

/// Takes the files out, then the line that would import them.
pub(super) async fn take_out(cx: &ActCx<'_>) -> Result<(), StepError> {
    for file in ours(&cx.look).await? {
        cx.host.remove(&file).await?;
    }
    if let Some(main) = without_import(&cx.look).await? {
        cx.host.rewrite(Path::new(CADDYFILE), main.as_bytes()).await?;
    }
    Ok(())
}
