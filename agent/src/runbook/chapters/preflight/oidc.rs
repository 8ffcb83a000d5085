//! Single sign-on: is the issuer what it is said to be, before anything is installed for it?

use crate::host::{Fetch, FetchError, Fetched, plain_line};
use crate::runbook::{Cx, Step, StepError};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use serde_json::{Map, Value};

const PATH: &str = ".well-known/openid-configuration";
/// What a login cannot do without, and what is used where it is named.
const ENDPOINTS: &[(&str, bool)] = &[
    ("authorization_endpoint", true),
    ("token_endpoint", true),
    ("jwks_uri", true),
    ("userinfo_endpoint", false),
    ("end_session_endpoint", false),
];

/// The issuer's discovery document is there, names the issuer itself, and only secure endpoints.
pub(super) struct Issuer;

#[async_trait]
impl Step for Issuer {
    fn id(&self) -> &'static str {
        "preflight.oidc"
    }

    fn title(&self) -> &'static str {
        "The single sign-on issuer answers"
    }

    fn applies(&self, site: &Site) -> bool {
        site.oidc.is_some()
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let Some(oidc) = &cx.site.oidc else {
            return Ok(Verdict::satisfied("not asked for"));
        };
        let issuer = oidc.issuer.as_str();
        let url = format!("{}/{PATH}", issuer.trim_end_matches('/'));
        let page = match cx.host.fetch(Fetch::page(url.clone())).await {
            Ok(page) => page,
            // A name server or a network that is away may come back; a certificate does not mend itself.
            Err(error @ FetchError::Tls(_)) => return Ok(unreachable(cx, &url, &error).into()),
            Err(error) => return Err(StepError::passing(unreachable(cx, &url, &error))),
        };
        Ok(match judge(issuer, &url, &page) {
            Ok(()) => Verdict::satisfied(format!(
                "{issuer} tells its endpoints{}",
                if oidc.disable_password_login {
                    "; there will be no other way to log in"
                } else {
                    ""
                }
            )),
            Err(advice) => (*advice).into(),
        })
    }
}

fn unreachable(cx: &Cx<'_>, url: &str, error: &FetchError) -> Advice {
    let trust = cx.distro.manager.trust();
    let fix = match error {
        FetchError::Tls(_) => format!(
            "see that the issuer serves a certificate that this host trusts; for an authority of one's own, take its root certificate, {trust}, and see that chatalot's container trusts it too (mount it there by an override); then deploy again"
        ),
        _ => "see that this host reaches the issuer (its name, its port, a firewall between), then deploy again; chatalot itself has to reach it too".to_owned(),
    };
    Advice::new(
        "OIDC_UNREACHABLE",
        format!("{url}: {error}"),
        "the issuer's discovery document",
        fix,
    )
}

fn judge(issuer: &str, url: &str, page: &Fetched) -> Result<(), Box<Advice>> {
    if page.status != 200 {
        let to = page.header("location").map(plain_line);
        let to = to.map(|to| format!(", which leads to {to}")).unwrap_or_default();
        return Err(Advice::new(
            "OIDC_NOT_FOUND",
            format!("{url} answers with status {}{to}", page.status),
            "status 200 with the issuer's discovery document",
            "look up the issuer's exact address in the identity provider (its path included), and deploy again with it",
        )
        .into());
    }
    let Ok(Value::Object(document)) = serde_json::from_slice(&page.body) else {
        return Err(Advice::new(
            "OIDC_NOT_DISCOVERY",
            format!("{url} answers with something else than a discovery document"),
            "a JSON object with the issuer's endpoints",
            "look up the issuer's exact address in the identity provider (its path included), and deploy again with it",
        )
        .into());
    };
    let named = text(&document, "issuer").unwrap_or_default();
    if named != issuer {
        return Err(Advice::new(
            "OIDC_ISSUER_MISMATCH",
            format!("{url} is of the issuer `{}`, not `{issuer}`", plain_line(named)),
            "the very same issuer, to the last slash: tokens are compared with it",
            format!(
                "if that is the right one, deploy again with oidc_issuer {}",
                plain_line(named)
            ),
        )
        .into());
    }
    endpoints(url, &document)
}

fn endpoints(url: &str, document: &Map<String, Value>) -> Result<(), Box<Advice>> {
    let wrong: Vec<String> = ENDPOINTS
        .iter()
        .filter_map(|(name, required)| match text(document, name) {
            Some(address) if address.starts_with("https://") => None,
            Some(address) => Some(format!("{name} {}", plain_line(address))),
            None => required.then(|| format!("no {name}")),
        })
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Advice::new(
        "OIDC_ENDPOINTS",
        format!("{url} has {}", wrong.join(", ")),
        "an authorization, a token and a key endpoint, all https://",
        "mend the identity provider: behind a proxy it often has to be told its own public https address; then deploy again",
    )
    .into())
}

fn text<'a>(document: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    document.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://id.example.com/o/chat/";

    fn document(change: impl FnOnce(&mut Map<String, Value>)) -> Fetched {
        let mut document = Map::new();
        for (name, value) in [
            ("issuer", ISSUER),
            ("authorization_endpoint", "https://id.example.com/authorize"),
            ("token_endpoint", "https://id.example.com/token"),
            ("jwks_uri", "https://id.example.com/jwks"),
        ] {
            document.insert(name.to_owned(), value.into());
        }
        change(&mut document);
        Fetched {
            status: 200,
            body: serde_json::to_vec(&document).unwrap(),
            ..Fetched::default()
        }
    }

    fn found(page: &Fetched) -> Option<Advice> {
        judge(ISSUER, "https://id.example.com/…", page)
            .err()
            .map(|advice| *advice)
    }

    #[test]
    fn a_discovery_document_is_believed_when_it_is_the_issuers_own_and_secure() {
        assert_eq!(found(&document(|_| {})), None);
        let slash = document(|d| {
            d.insert("issuer".into(), "https://id.example.com/o/chat".into());
        });
        let advice = found(&slash).unwrap();
        assert_eq!(advice.code, "OIDC_ISSUER_MISMATCH");
        assert!(
            advice.fix.ends_with("oidc_issuer https://id.example.com/o/chat"),
            "{advice}"
        );
    }

    #[test]
    fn endpoints_that_are_missing_or_insecure_are_named() {
        let without = document(|d| {
            d.remove("jwks_uri");
            d.insert("token_endpoint".into(), "http://id.example.com/token".into());
            d.insert("userinfo_endpoint".into(), "http://id.example.com/me".into());
        });
        let advice = found(&without).unwrap();
        assert_eq!(advice.code, "OIDC_ENDPOINTS");
        for word in [
            "no jwks_uri",
            "token_endpoint http://",
            "userinfo_endpoint http://",
        ] {
            assert!(advice.saw.contains(word), "{advice}");
        }
    }

    #[test]
    fn a_page_that_is_no_document_is_told_from_one_that_is_not_there() {
        let mut moved = document(|_| {});
        moved.status = 301;
        moved
            .headers
            .push(("location".into(), "https://www.example.com/".into()));
        assert!(found(&moved).unwrap().saw.contains("leads to https://www"));
        let mut page = document(|_| {});
        page.body = b"<!doctype html>".to_vec();
        assert_eq!(found(&page).unwrap().code, "OIDC_NOT_DISCOVERY");
    }
}
