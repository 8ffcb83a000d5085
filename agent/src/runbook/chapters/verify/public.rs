//! The site as the world finds it: by its name, through the proxy, over TLS.

use super::{SETTLING, tunnel};
use crate::host::{Fetch, FetchError, Fetched, TlsFacts};
use crate::runbook::proxies::Proxy;
use crate::runbook::{Cx, Step, StepError, answer, proxies, route};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::{Acme, Site};
use std::time::Duration;

/// The public address answers the same as chatalot itself.
pub(super) struct Public;

#[async_trait]
impl Step for Public {
    fn id(&self) -> &'static str {
        "verify.public"
    }

    fn title(&self) -> &'static str {
        "chatalot is well at its public address"
    }

    fn after(&self) -> Option<&'static str> {
        Some("proxy.site")
    }

    fn patience(&self) -> Duration {
        SETTLING
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        // Where chatalot itself is not well, the proxy is not to blame.
        let local = match answer::local(cx.host).await {
            Ok(health) => health,
            Err(advice) => return Ok((*advice).into()),
        };
        let url = format!("https://{}/api/health", cx.site.domain);
        let mut page = Fetch::page(url.clone());
        page.verify = cx.site.acme != Acme::Staging;
        let fetched = cx.host.fetch(page).await;
        if cx.site.tunnel
            && let Some(advice) = tunnel::broken(cx, &url, &fetched).await?
        {
            return Ok(advice.into());
        }
        if !cx.site.tunnel
            && matches!(fetched, Err(FetchError::Connect(_)))
            && let Some(advice) = proxy_down(cx, &url).await
        {
            return Ok(advice.into());
        }
        // A host that comes back to itself under another address, as behind NAT, is a stranger to its proxy.
        if let (Some(limit), Ok(Fetched { status: 403, .. })) = (route::limit(cx), &fetched) {
            let saw = format!(
                "{url} keeps out all but {limit} and the host itself, as asked; chatalot is well behind it"
            );
            return Ok(Verdict::satisfied(saw));
        }
        Ok(match judge(cx, &url, fetched) {
            Ok(public) if public == local => {
                Verdict::satisfied(format!("{url} answers, version {}", public.version))
            }
            Ok(public) => Advice::new(
                "PROXY_OTHER_CHATALOT",
                format!(
                    "{url} says version {}, this host says {}",
                    public.version, local.version
                ),
                "the same answer",
                "see that DNS and the proxy lead to this host and not to another chatalot",
            )
            .into(),
            Err(advice) => (*advice).into(),
        })
    }
}

/// Where not even the host itself gets a connection to port 443, no firewall is to blame.
async fn proxy_down(cx: &Cx<'_>, url: &str) -> Option<Advice> {
    let mut page = Fetch::page(url.to_owned());
    page.verify = false;
    page.connect_to = Some(answer::LOCAL_PROXY);
    match cx.host.fetch(page).await {
        Err(FetchError::Connect(_)) => {}
        _ => return None,
    }
    // One that the operator set up may be on another host.
    let proxy = proxies::chosen(cx.site)?;
    let again = proxy.unit().map_or_else(
        || "start its container again".to_owned(),
        |unit| format!("`systemctl restart {unit}`"),
    );
    Some(Advice::new(
        "PROXY_DOWN",
        format!(
            "nobody listens on port 443 of this host; chatalot itself is well, so it is the proxy ({})",
            proxy.name()
        ),
        format!("{} running and serving the site", proxy.name()),
        format!("look at {}, mend what it names, then {again}", proxy.journal()),
    ))
}

/// What keeps the site's health from being answered as it should be.
pub(super) async fn broken(
    cx: &Cx<'_>,
    url: &str,
    fetched: Result<Fetched, FetchError>,
) -> Result<Option<Advice>, StepError> {
    if cx.site.tunnel
        && let Some(advice) = tunnel::broken(cx, url, &fetched).await?
    {
        return Ok(Some(advice));
    }
    Ok(judge(cx, url, fetched).err().map(|advice| *advice))
}

fn judge(
    cx: &Cx<'_>,
    url: &str,
    fetched: Result<Fetched, FetchError>,
) -> Result<answer::Health, Box<Advice>> {
    let journal = proxies::journal(cx.site);
    let advice = |code, saw: String, fix: String| {
        let wanted = "the health that chatalot gives on the host itself, where all is well";
        Box::new(Advice::new(code, saw, wanted, fix))
    };
    match fetched {
        Ok(page) if matches!(page.status, 502..=504) => Err(advice(
            "PROXY_BAD_GATEWAY",
            format!("{url} answers with status {}, so the proxy does not reach chatalot", page.status),
            if proxies::chosen(cx.site).is_some_and(Proxy::goes_with_container) {
                format!(
                    "see that chatalot-server is in Traefik's network and that its label `traefik.http.services.chatalot.loadbalancer.server.port` is 8080; deploying again puts both back: {journal}"
                )
            } else {
                format!("see that the proxy forwards to 127.0.0.1:8080: {journal}")
            },
        )),
        Ok(page) => answer::health(&page, url).map_err(|found| {
            advice(
                "PROXY_WRONG_ANSWER",
                found.saw,
                format!("see which site answers for the domain in the proxy's configuration: {journal}"),
            )
            .with_evidence(found.evidence)
            .into()
        }),
        Err(FetchError::Connect(whom)) => Err(advice(
            "PUBLIC_UNREACHABLE",
            format!("{whom} does not take connections on port 443 at the public address"),
            "open TCP 80 and 443 in the provider's firewall; where the network does not lead a host back to its own public address, check from outside".to_owned(),
        )),
        Err(other) => Err(unanswered(cx, &other).into()),
    }
}

/// The proxy did not get as far as an answer.
fn unanswered(cx: &Cx<'_>, error: &FetchError) -> Advice {
    match error {
        FetchError::Tls(why) => untrusted(cx, format!("https://{}: {why}", cx.site.domain)),
        FetchError::Name(name) => Advice::new(
            "PUBLIC_NAME_UNKNOWN",
            format!("{name} does not resolve on this host"),
            "a name that leads to the site",
            "see that the host's own resolver knows the domain: `getent hosts` with it",
        ),
        other => Advice::new(
            "PROXY_NO_ANSWER",
            format!("https://{}: {other}", cx.site.domain),
            "an answer by the proxy, where chatalot itself is well",
            format!("look at {}", proxies::journal(cx.site)),
        ),
    }
}

/// The certificate that is served is trusted, and for a while yet.
pub(super) struct Certificate;

const DAYS_LEAST: i64 = 14;
/// Authorities of one's own give short ones; what counts is that the proxy renews them.
const HOURS_LEAST_PRIVATE: i64 = 1;

#[async_trait]
impl Step for Certificate {
    fn id(&self) -> &'static str {
        "verify.certificate"
    }

    fn title(&self) -> &'static str {
        "The certificate is trusted"
    }

    fn applies(&self, site: &Site) -> bool {
        // Cloudflare's own, which the public check has judged.
        !site.tunnel
    }

    fn after(&self) -> Option<&'static str> {
        Some("proxy.site")
    }

    fn patience(&self) -> Duration {
        SETTLING
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let mut page = Fetch::page(format!("https://{}/api/health", cx.site.domain));
        // It is read even where it is not trusted, to say why it is not.
        page.verify = false;
        page.connect_to = proxies::chosen(cx.site).map(|_| proxies::way_in(cx));
        let facts = match cx.host.fetch(page).await {
            Ok(page) => page.tls.unwrap_or_default(),
            Err(error) => return Ok(unanswered(cx, &error).into()),
        };
        Ok(certificate(cx, &facts))
    }
}

fn certificate(cx: &Cx<'_>, facts: &TlsFacts) -> Verdict {
    let (acme, journal) = (&cx.site.acme, proxies::journal(cx.site));
    let hours = (facts.not_after - cx.host.now_ms() / 1000) / 3600;
    let issuer = crate::host::plain_line(&facts.issuer);
    if let Some(why) = facts.distrust.as_ref().filter(|_| *acme != Acme::Staging) {
        return untrusted(cx, format!("a certificate by {issuer}: {why}")).into();
    }
    let least = match acme {
        Acme::Private { .. } => HOURS_LEAST_PRIVATE,
        Acme::Production | Acme::Staging => DAYS_LEAST * 24,
    };
    if hours < least {
        return Advice::new(
            "CERTIFICATE_ENDING",
            format!("a certificate that ends in {} days ({hours} hours)", hours / 24),
            format!("one that is valid for at least {least} hours more"),
            format!("see why it is not renewed: {journal}"),
        )
        .into();
    }
    let doubt = if *acme == Acme::Staging {
        ", which no browser trusts, as asked"
    } else {
        ""
    };
    Verdict::satisfied(format!("by {issuer}, {} days left{doubt}", hours / 24))
}

/// What is served is not trusted here.
fn untrusted(cx: &Cx<'_>, saw: String) -> Advice {
    Advice::new(
        "CERTIFICATE_UNTRUSTED",
        saw,
        "a certificate that this host's trust store accepts",
        format!(
            "see {} for why there is none; for an authority of one's own, add its root to the host's trust store ({})",
            proxies::journal(cx.site),
            cx.distro.manager.trust()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::distro::DISTROS;
    use crate::runbook::laws;
    use std::collections::BTreeMap;

    /// On a deployed host at the beginning of time.
    fn at<T>(acme: Acme, distro: &str, then: impl FnOnce(&Cx<'_>) -> T) -> T {
        let (host, mut site, memory) = laws::deployed();
        host.world(|world| world.now_ms = 0);
        site.acme = acme;
        then(&Cx {
            site: &site,
            distro: DISTROS.iter().find(|row| row.name == distro).unwrap(),
            host: &host,
            memory: &memory,
            secret_tags: &BTreeMap::new(),
        })
    }

    #[test]
    fn f58_what_the_proxy_gets_wrong_is_told_by_its_layer() {
        let status = |status| {
            Ok(Fetched {
                status,
                ..Fetched::default()
            })
        };
        let cases = [
            (status(502), "PROXY_BAD_GATEWAY"),
            (status(404), "PROXY_WRONG_ANSWER"),
            (Err(FetchError::Connect("x".into())), "PUBLIC_UNREACHABLE"),
            (Err(FetchError::Tls("expired".into())), "CERTIFICATE_UNTRUSTED"),
            (Err(FetchError::Name("x".into())), "PUBLIC_NAME_UNKNOWN"),
            (Err(FetchError::Deadline(10)), "PROXY_NO_ANSWER"),
        ];
        at(Acme::Production, "Debian 13", |cx| {
            for (fetched, code) in cases {
                assert_eq!(judge(cx, "https://x/api/health", fetched).unwrap_err().code, code);
            }
        });
    }

    #[test]
    fn a_certificate_is_judged_by_trust_and_by_time() {
        let facts = |days: i64, distrust: Option<&str>| TlsFacts {
            issuer: "R10".into(),
            not_after: days * 86_400 + 60,
            distrust: distrust.map(str::to_owned),
        };
        at(Acme::Production, "Debian 13", |cx| {
            assert!(certificate(cx, &facts(60, None)).is_satisfied());
            assert!(!certificate(cx, &facts(13, None)).is_satisfied());
            assert!(!certificate(cx, &facts(60, Some("unknown issuer"))).is_satisfied());
        });
        at(Acme::Staging, "Debian 13", |cx| {
            assert!(certificate(cx, &facts(60, Some("unknown issuer"))).is_satisfied());
            assert!(!certificate(cx, &facts(-1, None)).is_satisfied());
        });
    }

    #[test]
    fn where_a_root_of_ones_own_belongs_depends_on_the_distribution() {
        for (distro, word) in [
            ("Debian 13", "update-ca-certificates"),
            ("Fedora", "/etc/pki/ca-trust"),
        ] {
            let told = at(Acme::Production, distro, |cx| untrusted(cx, "x".to_owned()));
            assert!(told.fix.contains(word), "{told}");
        }
    }
}
