//! What a proxy serves, as a browser would see it: the only proof that it is set up.

use super::{Proxy, chosen};
use crate::host::{Fetch, FetchError, Fetched};
use crate::runbook::answer::{self, LOCAL_PROXY};
use crate::runbook::{Cx, route};
use chatalot_protocol::site::Acme;
use std::net::SocketAddr;

/// Fetches the site through the proxy on this host; what is lacking otherwise.
pub async fn served(cx: &Cx<'_>) -> Result<String, Lacking> {
    let health = fetch(cx, "/api/health").await?;
    answer::health(&health, "the proxy").map_err(|advice| Lacking(advice.saw))?;
    if !cx.site.limit_until_admin.is_empty() {
        strangers(cx).await?;
    }
    let front = fetch(cx, "/").await?;
    let server = chosen(cx.site).and_then(Proxy::server_header);
    lacking(&front, server).map_or_else(
        || {
            Ok(format!(
                "https://{} answers with chatalot's health",
                cx.site.domain
            ))
        },
        |why| Err(Lacking(why)),
    )
}

/// Where on this host the proxy is reached as somebody whom it lets in: Docker hands on to a container what comes from
/// loopback as if it came from its own network, and the same goes for strangers over IPv6.
pub fn way_in(cx: &Cx<'_>) -> SocketAddr {
    let contained = chosen(cx.site).is_some_and(Proxy::goes_with_container);
    let own = route::limit(cx)
        .filter(|_| contained)
        .and_then(|limit| limit.own());
    own.map_or(LOCAL_PROXY, |own| SocketAddr::new(own, LOCAL_PROXY.port()))
}

/// Whether strangers are kept out while they are to be, and not a moment longer.
async fn strangers(cx: &Cx<'_>) -> Result<(), Lacking> {
    let mut page = page(cx, "/api/health");
    (page.connect_to, page.from) = (Some(LOCAL_PROXY), Some(route::STRANGER));
    let seen = cx.host.fetch(page).await.map_err(|error| unanswered(cx, error))?;
    match (route::limit(cx), seen.status == KEPT_OUT) {
        (Some(limit), false) => Err(Lacking(format!(
            "a stranger is answered with status {}, though only {limit} are to be let in",
            seen.status
        ))),
        (None, true) => Err(Lacking("a stranger is still kept out".to_owned())),
        _ => Ok(()),
    }
}

/// What every proxy answers to those whom it does not let in.
const KEPT_OUT: u16 = 403;

/// Whether a certificate that this host trusts is served for the domain.
pub async fn is_trusted(cx: &Cx<'_>) -> bool {
    let mut page = Fetch::page(format!("https://{}/", cx.site.domain));
    page.connect_to = Some(way_in(cx));
    cx.host.fetch(page).await.is_ok()
}

/// What is not served as it should be, in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking(pub String);

async fn fetch(cx: &Cx<'_>, path: &str) -> Result<Fetched, Lacking> {
    let mut page = page(cx, path);
    page.headers.push(("accept-encoding".into(), "gzip".into()));
    cx.host.fetch(page).await.map_err(|error| unanswered(cx, error))
}

fn page(cx: &Cx<'_>, path: &str) -> Fetch {
    let mut page = Fetch::page(format!("https://{}{path}", cx.site.domain));
    page.connect_to = Some(way_in(cx));
    // A staging certificate is trusted by nobody, on purpose.
    page.verify = cx.site.acme != Acme::Staging;
    page
}

fn unanswered(cx: &Cx<'_>, error: FetchError) -> Lacking {
    Lacking(match error {
        FetchError::Connect(_) => "nobody answers on port 443".to_owned(),
        FetchError::Tls(why) => format!("no trusted certificate for {} yet: {why}", cx.site.domain),
        other => format!("https://{} does not answer: {other}", cx.site.domain),
    })
}

/// Bodies below this are not worth compressing, and the proxies do not.
const WORTH_COMPRESSING: usize = 512;

fn lacking(front: &Fetched, may_say: Option<&str>) -> Option<String> {
    if front.header("strict-transport-security").is_none() {
        return Some("it answers without Strict-Transport-Security".to_owned());
    }
    if let Some(server) = front.header("server").filter(|server| may_say != Some(server)) {
        return Some(format!("it still tells that it is `{server}`"));
    }
    let html = front
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("text/html"));
    let plain = front.header("content-encoding").is_none();
    (html && plain && front.body.len() >= WORTH_COMPRESSING).then(|| "it answers uncompressed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(headers: &[(&str, &str)], body: usize) -> Fetched {
        Fetched {
            status: 200,
            headers: headers
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
            body: vec![b'x'; body],
            tls: None,
        }
    }

    #[test]
    fn headers_and_compression_are_asked_for() {
        let hsts = ("strict-transport-security", "max-age=31536000");
        let html = ("content-type", "text/html");
        assert!(
            lacking(&page(&[html], 0), None)
                .unwrap()
                .contains("Strict-Transport")
        );
        assert!(
            lacking(&page(&[hsts, ("server", "Caddy")], 0), None)
                .unwrap()
                .contains("Caddy")
        );
        assert!(
            lacking(&page(&[hsts, html], 600), None)
                .unwrap()
                .contains("uncompressed")
        );
        assert_eq!(
            lacking(&page(&[hsts, html, ("content-encoding", "gzip")], 600), None),
            None
        );
        assert_eq!(lacking(&page(&[hsts, html], 100), None), None);
        let bare = page(&[hsts, ("server", "nginx")], 0);
        assert_eq!(lacking(&bare, Some("nginx")), None);
        let told = page(&[hsts, ("server", "nginx/1.26.3")], 0);
        assert!(lacking(&told, Some("nginx")).unwrap().contains("1.26.3"));
    }
}
