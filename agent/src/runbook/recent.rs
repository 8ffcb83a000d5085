//! When a step was last applied, so that its next checks can tell the answer to that from an older story.

use crate::host::{HostError, Look};
use std::collections::BTreeMap;
use std::time::Duration;

/// Where it is remembered what the installer was last run with; nowhere before it has run.
pub const INSTALLED: &str = "install.inputs";
/// The grace beyond the patience, for the checks themselves.
const GRACE_MS: i64 = 5000;

/// What to remember with an effect: when it was, and in which boot.
pub async fn stamp(host: &dyn Look) -> Result<String, HostError> {
    let system = host.system().await?;
    Ok(format!("{} {}", host.now_ms(), system.boot_id))
}

/// When a step was applied, if that was within its patience and in this boot: what is not well now is its outcome.
/// After a boot everything starts anew, and older outcomes may have been mended since.
pub async fn applied_ms(
    host: &dyn Look,
    memory: &BTreeMap<String, String>,
    key: &str,
    patience: Duration,
) -> Result<Option<i64>, HostError> {
    let Some((at, boot)) = memory.get(key).and_then(|stamp| stamp.split_once(' ')) else {
        return Ok(None);
    };
    let Ok(at) = at.parse::<i64>() else {
        return Ok(None);
    };
    let patience = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX - GRACE_MS);
    let age = host.now_ms() - at;
    let recent = (0..=patience + GRACE_MS).contains(&age);
    Ok((recent && host.system().await?.boot_id == boot).then_some(at))
}
