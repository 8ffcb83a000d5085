//! A reverse proxy in front, with a certificate.

mod certificate;
mod guard;
mod limit;
pub(super) mod selinux;
mod staging;

use super::super::proxies::{self, Proxy, served};
use super::super::{ActCx, Applied, Cx, Intent, Limits, Step, StepError, packaging, recent};
use super::packages::PACKAGE_LIMITS;
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use std::time::Duration;

/// The chapter.
pub(super) const STEPS: &[&dyn Step] = &[
    &Package,
    &selinux::Selinux,
    &certificate::Certificate,
    &limit::Limit,
    &staging::Staging,
    &InFront,
];

/// Where it is remembered when this proxy was last told to serve the site; what another one was told is no answer.
pub(super) fn applied(proxy: &dyn Proxy) -> String {
    format!("proxy.applied.{}", proxy.choice().as_str())
}
/// How long a certificate may take; a refusal within it is the answer to our asking.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);

/// The proxy of a site that has this chapter's steps.
pub(super) fn proxy_of(site: &Site) -> Result<&'static dyn Proxy, StepError> {
    proxies::chosen(site).ok_or(StepError::Probe("proxy"))
}

/// The proxy is installed.
struct Package;

#[async_trait]
impl Step for Package {
    fn id(&self) -> &'static str {
        "proxy.package"
    }

    fn title(&self) -> &'static str {
        "The reverse proxy is installed"
    }

    fn applies(&self, site: &Site) -> bool {
        // Only Traefik brings nothing, on every distribution.
        proxies::chosen(site).is_some_and(|proxy| proxy.unit().is_some())
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        vec![format!("install {}", self.packages(intent).join(", "))]
    }

    fn packages(&self, intent: &Intent<'_>) -> Vec<&'static str> {
        let parts = proxies::chosen(intent.site).map(|proxy| proxy.parts(intent.distro));
        parts
            .iter()
            .flatten()
            .flat_map(|part| part.packages)
            .copied()
            .collect()
    }

    fn limits(&self) -> Limits {
        PACKAGE_LIMITS
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let missing = missing(cx).await?;
        Ok(if missing.is_empty() {
            Verdict::satisfied(format!("{} is installed", proxy_of(cx.site)?.name()))
        } else {
            Verdict::needed(format!("not installed: {}", missing.join(", ")))
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let missing = missing(&cx.look).await?;
        packaging::install(cx, &missing).await?;
        Ok(Applied::default())
    }
}

/// The packages that are missing for the chosen proxy, if one is. A part that was installed from elsewhere is as good, if systemd knows it.
pub(super) async fn missing(cx: &Cx<'_>) -> Result<Vec<&'static str>, StepError> {
    let mut names = Vec::new();
    let parts = proxies::chosen(cx.site).map(|proxy| proxy.parts(cx.distro));
    for part in parts.unwrap_or_default() {
        let there = cx.host.program(part.program).await?.is_some() && cx.host.unit(part.unit).await?.exists;
        if !there {
            names.extend(packaging::missing(cx.host, cx.distro, part.packages).await?);
        }
    }
    Ok(names)
}

/// The proxy serves the site, over TLS, as the runbook wants it.
struct InFront;

#[async_trait]
impl Step for InFront {
    fn id(&self) -> &'static str {
        "proxy.site"
    }

    fn title(&self) -> &'static str {
        "The site is served over HTTPS"
    }

    fn applies(&self, site: &Site) -> bool {
        proxies::chosen(site).is_some()
    }

    fn after(&self) -> Option<&'static str> {
        // What is served is chatalot's own answer, through the proxy.
        Some("install.run")
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        let plan = proxies::chosen(intent.site).map(|proxy| proxy.plan(intent.site));
        plan.unwrap_or_default()
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        in_front(cx, &applied(proxy_of(cx.site)?)).await
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let proxy = proxy_of(cx.look.site)?;
        let asked = staging::leave(cx).await?;
        let mut done = proxies::put(cx, proxy, &applied(proxy)).await?;
        done.remember.extend(asked);
        Ok(done)
    }
}

/// Whether the proxy serves the site as it should; `key` is where it is remembered when it was told to.
async fn in_front(cx: &Cx<'_>, key: &str) -> Result<Verdict, StepError> {
    let proxy = proxy_of(cx.site)?;
    let lacking = match served(cx).await {
        Ok(saw) if proxy.keeps(cx).await? => return Ok(Verdict::satisfied(saw)),
        Ok(_) => {
            let why = format!("{} would not serve it after a restart", proxy.name());
            return Ok(Verdict::needed(why));
        }
        Err(lacking) => lacking.0,
    };
    if let Some(advice) = guard::advice(cx, proxy, key, PATIENCE).await? {
        return Ok(advice.into());
    }
    let told = recent::applied_ms(cx.host, cx.memory, key, PATIENCE).await?;
    // What somebody has taken out since is put in again.
    Ok(if told.is_some() && proxy.keeps(cx).await? {
        not_served(proxy, &lacking).into()
    } else {
        Verdict::needed(lacking)
    })
}

fn not_served(proxy: &dyn Proxy, lacking: &str) -> Advice {
    Advice::new(
        "PROXY_NOT_SERVING",
        lacking,
        "the site through the proxy, over HTTPS",
        format!(
            "look at {}, mend what it names, then deploy again",
            proxy.journal()
        ),
    )
}
