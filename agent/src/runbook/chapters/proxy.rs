//! A reverse proxy in front, with a certificate.

use super::super::proxies::{self, Proxy, Refusal, Standing, Written, served};
use super::super::{ActCx, Applied, Cx, Intent, Limits, Step, StepError, packaging, recent};
use super::packages::PACKAGE_LIMITS;
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use std::collections::BTreeMap;
use std::time::Duration;

/// The chapter.
pub(super) const STEPS: &[&dyn Step] = &[&Package, &InFront];

/// Where it is remembered when the proxy was last told to serve the site.
const APPLIED: &str = "proxy.applied";
/// How long a certificate may take; a refusal within it is the answer to our asking.
const PATIENCE: Duration = Duration::from_mins(2);
/// Let's Encrypt allows five failed validations an hour for a name; the fifth is left to the operator.
const MOST_REFUSALS: usize = 4;

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
        !site.tunnel
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        let proxy = proxies::chosen(intent.site);
        vec![format!("install {}", proxy.packages(intent.distro).join(", "))]
    }

    fn limits(&self) -> Limits {
        PACKAGE_LIMITS
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let proxy = proxies::chosen(cx.site);
        let program = cx.host.program(proxy.program()).await?;
        let unit = cx.host.unit(proxy.unit()).await?;
        let half = packaging::missing(cx.host, cx.distro, proxy.packages(cx.distro)).await?;
        // One that was installed from elsewhere is as good, if systemd knows it.
        Ok(match program {
            Some(path) if unit.exists => {
                Verdict::satisfied(format!("{} is {}", proxy.name(), path.display()))
            }
            _ if half.is_empty() => Verdict::satisfied(format!("{} is installed", proxy.name())),
            _ => Verdict::needed(format!("{} is not installed", proxy.name())),
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let proxy = proxies::chosen(cx.look.site);
        packaging::install(cx, proxy.packages(cx.look.distro)).await?;
        Ok(Applied::default())
    }
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
        !site.tunnel
    }

    fn after(&self) -> Option<&'static str> {
        // What is served is chatalot's own answer, through the proxy.
        Some("install.run")
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        proxies::chosen(intent.site).plan(intent.site)
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let proxy = proxies::chosen(cx.site);
        let lacking = match served(cx).await {
            Ok(saw) if proxy.keeps(cx).await? => return Ok(Verdict::satisfied(saw)),
            Ok(_) => {
                let why = format!("{} would not serve it after a restart", proxy.name());
                return Ok(Verdict::needed(why));
            }
            Err(lacking) => lacking.0,
        };
        let refusals = proxy.refusals(cx).await?;
        let applied = recent::applied_ms(cx.host, cx.memory, APPLIED, PATIENCE).await?;
        let refused = judge(cx.site, &refusals, applied, cx.host.now_ms());
        Ok(match (refused, applied) {
            (Some(advice), _) => advice.into(),
            (None, Some(_)) => not_served(proxy, &lacking).into(),
            (None, None) => Verdict::needed(lacking),
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let proxy = proxies::chosen(cx.look.site);
        if let Standing::Foreign { serves } = proxy.detect(&cx.look).await? {
            return Err(StepError::last(foreign(proxy, &serves)));
        }
        let Written { before, digest } = proxy.write(cx).await?;
        if let Err(error) = proxy.validate(cx).await {
            proxies::revert(cx, before).await?;
            return Err(error);
        }
        let asked = recent::stamp(cx.host).await?;
        if let Err(error) = proxy.reload(cx).await {
            proxies::revert(cx, before).await?;
            // It may have taken ours up after all; what it runs with must be what it would start with.
            let _ = proxy.reload(cx).await;
            return Err(error);
        }
        let remember = BTreeMap::from([
            (APPLIED.to_owned(), asked),
            (proxies::TAKEN_UP.to_owned(), digest),
        ]);
        Ok(Applied { remember })
    }
}

fn not_served(proxy: &dyn Proxy, lacking: &str) -> Advice {
    Advice::new(
        "PROXY_NOT_SERVING",
        lacking,
        "the site through the proxy, over HTTPS",
        format!(
            "look at `journalctl -u {} -n 50`, mend what it names, then deploy again",
            proxy.unit()
        ),
    )
}

fn foreign(proxy: &dyn Proxy, serves: &str) -> Advice {
    Advice::new(
        "PROXY_FOREIGN",
        format!("a {} that serves {serves}", proxy.name()),
        format!("a {} with nothing else on it", proxy.name()),
        "deploy on another host, or move those sites away, then deploy again",
    )
}

/// What the authority's refusals mean: the answer to our last asking, or a reason not to ask again.
fn judge(site: &Site, refusals: &[Refusal], applied_ms: Option<i64>, now_ms: i64) -> Option<Advice> {
    let last = refusals.last()?;
    let counted = refusals.iter().filter(|refusal| refusal.counts).count();
    let words = refusals.iter().rev().take(3).map(|refusal| refusal.words.clone());
    if last.rate_limited || (counted >= MOST_REFUSALS) {
        let minutes = (now_ms - last.at_ms).max(0) / 60_000;
        return Some(
            Advice::new(
                "ACME_RATE_LIMITED",
                format!(
                    "{} refused certificates for {} within an hour, the last {minutes} minutes ago",
                    refusals.len(),
                    site.domain
                ),
                "fewer than five failed validations an hour",
                "mend what the lines below name, wait an hour, then deploy again; `--acme staging` may be tried meanwhile",
            )
            .with_evidence(words),
        );
    }
    // The journal's times are whole seconds here.
    let answers_us = |asked: i64| last.at_ms >= asked - 1000;
    applied_ms.is_some_and(answers_us).then(|| {
        Advice::new(
            "ACME_FAILED",
            format!("the authority did not sign a certificate for {}", site.domain),
            "a certificate",
            format!(
                "the authority must reach this host at {} on ports 80 and 443: open both in the provider's firewall, see that DNS leads here, then deploy again",
                site.domain
            ),
        )
        .with_evidence(words)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatalot_protocol::inputs::Inputs;

    fn site() -> Site {
        let inputs = Inputs {
            domain: Some("chat.example.com".into()),
            admin_username: Some("alice".into()),
            ..Inputs::default()
        };
        inputs.complete().unwrap().0
    }

    fn refusal(at_ms: i64) -> Refusal {
        Refusal {
            at_ms,
            rate_limited: false,
            counts: true,
            words: "HTTP 400 connection".into(),
        }
    }

    fn code(refusals: &[Refusal], applied: Option<i64>) -> Option<String> {
        judge(&site(), refusals, applied, 100_000).map(|advice| advice.code.to_string())
    }

    #[test]
    fn f56_a_refusal_counts_only_as_the_answer_to_our_asking() {
        assert_eq!(code(&[], Some(90_000)), None);
        assert_eq!(
            code(&[refusal(95_000)], Some(90_000)).as_deref(),
            Some("ACME_FAILED")
        );
        assert_eq!(code(&[refusal(80_000)], Some(90_000)), None);
        assert_eq!(code(&[refusal(95_000)], None), None);
    }

    #[test]
    fn f56_after_four_refusals_within_an_hour_nothing_is_asked_any_more() {
        let four: Vec<Refusal> = (1..=4).map(|n| refusal(n * 1000)).collect();
        assert_eq!(code(&four[..3], None), None);
        assert_eq!(code(&four, None).as_deref(), Some("ACME_RATE_LIMITED"));
    }
}
