//! What deployments have had certbot do, whichever proxy is in front by now.

use crate::runbook::proxies::certbot::out;
use crate::runbook::{ActCx, Applied, Cx, Intent, Step, StepError};
use async_trait::async_trait;
use chatalot_protocol::report::Verdict;

/// certbot has nothing of ours.
pub(super) struct NoCertificate;

#[async_trait]
impl Step for NoCertificate {
    fn id(&self) -> &'static str {
        "uninstall.certificate"
    }

    fn title(&self) -> &'static str {
        "certbot has nothing of ours"
    }

    fn effects(&self, _intent: &Intent<'_>) -> Vec<String> {
        out::plan()
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let left = out::left(cx).await?;
        Ok(left.map_or_else(
            || Verdict::satisfied("nothing of ours with certbot"),
            Verdict::needed,
        ))
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        out::take_out(cx).await?;
        Ok(Applied::default())
    }
}
