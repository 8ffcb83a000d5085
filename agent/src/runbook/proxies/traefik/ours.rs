//! Which parts of the override are ours. They carry no mark, and an operator gives his the same names: each that was not
//! there before is written down.

use super::merge;
use crate::host::{HostError, Look};
use crate::runbook::{ActCx, made};
use std::collections::BTreeSet;

/// How a note of one begins.
const NOTE: &str = "override traefik ";

/// Those that are written down.
pub(super) async fn noted(host: &dyn Look) -> Result<BTreeSet<String>, HostError> {
    let made = made::made(host).await?;
    let parts = made.iter().filter_map(|line| line.strip_prefix(NOTE));
    Ok(parts.map(str::to_owned).collect())
}

/// Writes down what is about to be added; what was there before, in whatever words, is not ours.
pub(super) async fn note(cx: &ActCx<'_>, text: &str, merged: &str) -> Result<(), HostError> {
    let added = &merge::parts(merged) - &merge::parts(text);
    made::note(cx, added.iter().map(line)).await
}

/// Forgets what was taken out.
pub(super) async fn forget(cx: &ActCx<'_>, parts: &BTreeSet<String>) -> Result<(), HostError> {
    made::forget_all(cx, parts.iter().map(line)).await
}

fn line(part: &String) -> String {
    format!("{NOTE}{part}")
}
