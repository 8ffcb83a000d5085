//! How a site is put into a proxy, whichever it is.

use super::{Before, Proxy, Standing, TAKEN_UP, Written, note_asking};
use crate::runbook::{ActCx, Applied, StepError, recent};
use std::collections::BTreeMap;

/// Writes, has it judged, has it used; puts everything back where the proxy does not want it. `key` is where it is
/// remembered when the proxy was told.
pub async fn put(cx: &ActCx<'_>, proxy: &dyn Proxy, key: &str) -> Result<Applied, StepError> {
    if let Standing::Unfit(advice) = proxy.detect(&cx.look).await? {
        return Err(StepError::Final(advice));
    }
    let Written { before, digest } = proxy.write(cx).await?;
    if let Err(error) = proxy.validate(cx).await {
        put_back(cx, before).await?;
        return Err(error);
    }
    if proxy.asks_itself() {
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

async fn put_back(cx: &ActCx<'_>, before: Before) -> Result<(), StepError> {
    for (path, content) in before {
        match content {
            Some(content) => cx.host.rewrite(&path, &content).await?,
            None => cx.host.remove(&path).await?,
        }
    }
    Ok(())
}
