//! What a TURN server was reached by is shut again once the site has none: after the installer, for until then one may run.

use crate::runbook::firewalls::{self, Firewall, Opening, listed};
use crate::runbook::{ActCx, Applied, Cx, Intent, Step, StepError};
use async_trait::async_trait;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;

/// No opening of an earlier deployment's is left for a TURN server that is gone.
pub(super) struct Openings;

#[async_trait]
impl Step for Openings {
    fn id(&self) -> &'static str {
        "install.openings"
    }

    fn title(&self) -> &'static str {
        "Nothing is open for a TURN server that is gone"
    }

    fn applies(&self, site: &Site) -> bool {
        site.turn.is_none()
    }

    fn after(&self) -> Option<&'static str> {
        Some("install.run")
    }

    fn effects(&self, _intent: &Intent<'_>) -> Vec<String> {
        vec!["shut in ufw or firewalld what an earlier deployment has opened for a TURN server".to_owned()]
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let unneeded = unneeded(cx).await?;
        let Some((firewall, _)) = unneeded.first() else {
            return Ok(Verdict::satisfied("nothing that a deployment has opened"));
        };
        let open: Vec<_> = unneeded.iter().map(|(_, opening)| *opening).collect();
        Ok(Verdict::needed(format!(
            "{} has {} open by an earlier deployment",
            firewall.name(),
            listed(&open)
        )))
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        firewalls::shut(cx, &unneeded(&cx.look).await?, "deploy again").await?;
        Ok(Applied::default())
    }
}

/// All but the web's ports.
async fn unneeded(cx: &Cx<'_>) -> Result<Vec<(&'static dyn Firewall, Opening)>, StepError> {
    Ok(firewalls::opened(cx.host, true).await?)
}
