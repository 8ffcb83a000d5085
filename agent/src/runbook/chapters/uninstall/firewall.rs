//! What deployments have opened in the host's firewall, and what they have had `SELinux` allow.

use super::super::proxy::selinux::{ALLOWED_BY_US, set_allowed};
use crate::runbook::firewalls::{self, ever_opened, listed};
use crate::runbook::proxies::{self, Standing};
use crate::runbook::{ActCx, Applied, Cx, Intent, Step, StepError, made};
use async_trait::async_trait;
use chatalot_protocol::report::Verdict;

/// Whether the proxy serves others too, who may by now live on what was opened for us.
async fn serves_others(cx: &Cx<'_>) -> Result<bool, StepError> {
    // Where it is not ours by now, what was opened for ours may be what it is reached by.
    let Some(proxy) = proxies::chosen(cx.site) else {
        return Ok(true);
    };
    let standing = proxy.detect(cx).await?;
    Ok(matches!(standing, Standing::Beside { .. } | Standing::Unfit(_)))
}

/// Nothing is open in ufw or firewalld that a deployment has opened.
pub(super) struct NoOpening;

#[async_trait]
impl Step for NoOpening {
    fn id(&self) -> &'static str {
        "uninstall.firewall"
    }

    fn title(&self) -> &'static str {
        "The host's firewall is as it was"
    }

    fn effects(&self, _intent: &Intent<'_>) -> Vec<String> {
        vec![format!(
            "shut {} in ufw or firewalld, if a deployment has opened them there; 80 and 443 stay open while the proxy serves other sites",
            listed(&ever_opened())
        )]
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let opened = firewalls::opened(cx.host, serves_others(cx).await?).await?;
        let Some((firewall, _)) = opened.first() else {
            return Ok(Verdict::satisfied(
                "nothing is open that a deployment has opened for itself alone",
            ));
        };
        let openings: Vec<_> = opened.iter().map(|(_, opening)| *opening).collect();
        let why = format!(
            "{} has {} open by a deployment",
            firewall.name(),
            listed(&openings)
        );
        Ok(Verdict::needed(why))
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let opened = firewalls::opened(cx.host, serves_others(&cx.look).await?).await?;
        firewalls::shut(cx, &opened, "run `uninstall` again").await?;
        Ok(Applied::default())
    }
}

/// `SELinux` is as it was.
pub(super) struct NotAllowed;

#[async_trait]
impl Step for NotAllowed {
    fn id(&self) -> &'static str {
        "uninstall.selinux"
    }

    fn title(&self) -> &'static str {
        "SELinux is as it was"
    }

    fn effects(&self, _intent: &Intent<'_>) -> Vec<String> {
        vec![
            "run `setsebool -P httpd_can_network_connect off`, if a deployment has set it on and the proxy serves no other site"
                .to_owned(),
        ]
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let ours = made::is_made(cx.host, ALLOWED_BY_US).await? && !serves_others(cx).await?;
        Ok(if ours {
            Verdict::needed("httpd_can_network_connect is on by a deployment")
        } else {
            Verdict::satisfied("nothing is allowed that a deployment has had allowed for itself alone")
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        set_allowed(cx, "off", "run `uninstall` again").await?;
        made::forget(cx, ALLOWED_BY_US).await?;
        Ok(Applied::default())
    }
}
