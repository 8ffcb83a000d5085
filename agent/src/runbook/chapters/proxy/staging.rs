//! A staging issuance before the first production one, for a proxy that asks by itself: a name that leads elsewhere or a
//! port that is shut then costs none of the few attempts that Let's Encrypt's production allows.

use super::{PATIENCE, in_front, proxy_of};
use crate::runbook::proxies::{self, is_trusted};
use crate::runbook::{ActCx, Applied, Cx, Intent, Step, StepError};
use async_trait::async_trait;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::{Acme, Site};
use std::time::Duration;

/// Where it is remembered when the proxy was last told to ask there.
const APPLIED: &str = "proxy.applied.staging";
/// Where it is remembered whose certificate for which domain the proxy was last told to ask for.
const ASKED_FOR: &str = "acme.asked_for";

/// The staging authority has signed for the domain.
pub(super) struct Staging;

/// Whether a site's certificate is tried at the staging authority first.
fn is_tried(site: &Site) -> bool {
    site.acme == Acme::Production && proxies::chosen(site).is_some_and(proxies::Proxy::asks_where_told)
}

/// What is remembered of whom a proxy was told to ask.
fn asked_for(site: &Site) -> String {
    let whom = match &site.acme {
        Acme::Production => "production",
        Acme::Staging => "staging",
        Acme::Private { directory, .. } => directory.as_str(),
    };
    format!("{} {whom}", site.domain)
}

/// The same site with a certificate by the staging authority.
fn staged(site: &Site) -> Site {
    Site {
        acme: Acme::Staging,
        ..site.clone()
    }
}

/// Takes another authority's certificate out of use: a proxy would go on with one that is valid. To be done before the site
/// is written; hands back what is to be remembered then.
pub(super) async fn leave(cx: &ActCx<'_>) -> Result<Option<(String, String)>, StepError> {
    let (proxy, site) = (proxy_of(cx.look.site)?, cx.look.site);
    if !proxy.asks_where_told() {
        return Ok(None);
    }
    let wanted = asked_for(site);
    // What an earlier life has not told of may be the staging authority's.
    let other = match cx.look.memory.get(ASKED_FOR) {
        Some(last) => *last != wanted,
        None => is_tried(site),
    };
    if other {
        // What is served is not taken out for what would be refused.
        proxies::judged(cx, proxy).await?;
        proxy.take_out(cx).await?;
    }
    Ok(Some((ASKED_FOR.to_owned(), wanted)))
}

#[async_trait]
impl Step for Staging {
    fn id(&self) -> &'static str {
        "proxy.staging"
    }

    fn title(&self) -> &'static str {
        "A staging authority has signed first"
    }

    fn applies(&self, site: &Site) -> bool {
        is_tried(site)
    }

    fn after(&self) -> Option<&'static str> {
        // What is served is chatalot's own answer, through the proxy.
        Some("install.run")
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        let plan = proxies::chosen(intent.site).map(|proxy| proxy.plan(&staged(intent.site)));
        let mut lines = plan.unwrap_or_default();
        lines.push(
            "take all of it out again, and so that certificate out of use, before the real one is asked for"
                .to_owned(),
        );
        lines
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        if cx.memory.get(ASKED_FOR) == Some(&asked_for(cx.site)) {
            return Ok(Verdict::satisfied("it has signed for the domain before"));
        }
        if proxy_of(cx.site)?.keeps(cx).await? && is_trusted(cx).await {
            return Ok(Verdict::satisfied("there is a certificate that is trusted"));
        }
        let site = staged(cx.site);
        in_front(&Cx { site: &site, ..*cx }, APPLIED).await
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let site = staged(cx.look.site);
        let look = Cx {
            site: &site,
            ..cx.look
        };
        let mut done = proxies::put(&ActCx { look, ..*cx }, proxy_of(&site)?, APPLIED).await?;
        done.remember.insert(ASKED_FOR.to_owned(), asked_for(&site));
        Ok(done)
    }
}
