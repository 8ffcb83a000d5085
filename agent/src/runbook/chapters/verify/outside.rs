//! The site as the controller finds it from outside: what the host's own look at its public name cannot show, for that
//! never leaves the host. And what else the world finds open there.

use crate::runbook::{Cx, Step, StepError, answer, outside};
use async_trait::async_trait;
use chatalot_protocol::report::Verdict;

/// The world reaches the site.
pub(super) struct Outside;

#[async_trait]
impl Step for Outside {
    fn id(&self) -> &'static str {
        "verify.outside"
    }

    fn title(&self) -> &'static str {
        "The world reaches the site"
    }

    fn after(&self) -> Option<&'static str> {
        Some("proxy.site")
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        // Where chatalot itself is not well, nothing between it and the world is to blame.
        if let Err(advice) = answer::local(cx.host).await {
            return Ok((*advice).into());
        }
        Ok(outside::look(cx).await?.verdict())
    }
}
