//! The certificate, where the proxy does not ask for it by itself.

use super::{guard, proxy_of};
use crate::runbook::proxies::{self, certbot};
use crate::runbook::{ActCx, Applied, Cx, Intent, Limits, Step, StepError};
use async_trait::async_trait;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use std::time::Duration;

/// Where it is remembered when the web server was last told to answer the authority.
const APPLIED: &str = "proxy.challenge";

/// certbot holds a certificate, and it is renewed.
pub(super) struct Certificate;

#[async_trait]
impl Step for Certificate {
    fn id(&self) -> &'static str {
        "proxy.certificate"
    }

    fn title(&self) -> &'static str {
        "certbot holds a certificate and renews it"
    }

    fn applies(&self, site: &Site) -> bool {
        proxies::chosen(site).is_some_and(proxies::Proxy::by_certbot)
    }

    fn after(&self) -> Option<&'static str> {
        Some("proxy.package")
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        certbot::plan(intent.site, intent.distro.certbot_timer)
    }

    fn limits(&self) -> Limits {
        Limits {
            deadline: Duration::from_mins(15),
            ..Limits::default()
        }
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let Some(lacking) = certbot::lacking(cx).await? else {
            return Ok(Verdict::satisfied("there, and renewed in time"));
        };
        if !matches!(lacking, certbot::Lacking::Renewal(_))
            && let Some(advice) = guard::advice(cx, proxy_of(cx.site)?, APPLIED, Duration::ZERO).await?
        {
            return Ok(advice.into());
        }
        Ok(Verdict::needed(lacking.words()))
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let applied = proxies::put(cx, proxy_of(cx.look.site)?, APPLIED).await?;
        if let Some(lacking) = certbot::lacking(&cx.look).await? {
            certbot::get(cx, &lacking).await?;
        }
        Ok(applied)
    }
}
