//! Our port out of the override again.

use super::super::install::loopback::{OURS, take_out};
use crate::runbook::proxies::traefik::{merge, override_file};
use crate::runbook::{ActCx, Applied, Cx, Intent, Step, StepError, made};
use async_trait::async_trait;
use chatalot_protocol::report::Verdict;

/// The override has no port of ours.
pub(super) struct NoPort;

async fn text(cx: &Cx<'_>) -> Result<String, StepError> {
    let there = cx.host.read(&override_file(cx.site)).await?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&there).into_owned())
}

#[async_trait]
impl Step for NoPort {
    fn id(&self) -> &'static str {
        "uninstall.port"
    }

    fn title(&self) -> &'static str {
        "The override has no port of ours"
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        vec![format!(
            "take the port of a deployment out of {}, if there is one; what else is in it stays as it is",
            override_file(intent.site).display()
        )]
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let there = text(cx).await?;
        let differs = merge::without_local_port(&there) != there;
        Ok(
            if made::is_made(cx.host, OURS).await? || (cx.site.loopback_only && differs) {
                Verdict::needed(format!("our port is in {}", override_file(cx.site).display()))
            } else {
                Verdict::satisfied("no port of ours in the override")
            },
        )
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        take_out(cx).await?;
        made::forget(cx, OURS).await?;
        Ok(Applied::default())
    }
}
