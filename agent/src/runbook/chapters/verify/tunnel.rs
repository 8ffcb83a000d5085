//! What is wrong with a Cloudflare Tunnel, by what Cloudflare answers in its place.

use crate::host::{FetchError, Fetched};
use crate::runbook::{Cx, StepError, evidence};
use chatalot_protocol::advice::Advice;

const CONTAINER: &str = "chatalot-tunnel";
/// How much of the tunnel's log is evidence.
const LINES: u32 = 12;

/// The finding about the tunnel, if it is the tunnel that is broken.
pub(super) async fn broken(
    cx: &Cx<'_>,
    url: &str,
    fetched: &Result<Fetched, FetchError>,
) -> Result<Option<Advice>, StepError> {
    let Some((code, saw, fix)) = cause(cx.site.domain.as_str(), fetched) else {
        return Ok(None);
    };
    let log = cx.host.container_log(CONTAINER, LINES).await?;
    let evidence = evidence::masked(cx.host, cx.site, &log, 6).await?;
    let advice = Advice::new(
        code,
        format!("{url} {saw}; chatalot itself is well"),
        "chatalot's health, through the tunnel",
        fix,
    );
    Ok(Some(advice.with_evidence(evidence)))
}

fn cause(domain: &str, fetched: &Result<Fetched, FetchError>) -> Option<(&'static str, String, String)> {
    let status = |page: &Fetched| format!("answers with status {}", page.status);
    match fetched {
        Ok(page) if page.status == 530 => Some((
            "TUNNEL_NOT_CONNECTED",
            status(page),
            format!(
                "see whether the tunnel's token is the one that Cloudflare's dashboard shows, and whether this host may connect out on port 7844 (UDP and TCP): `docker logs --tail 50 {CONTAINER}`; then deploy again"
            ),
        )),
        Ok(page) if matches!(page.status, 502..=504) => Some((
            "TUNNEL_BAD_SERVICE",
            status(page),
            format!(
                "in Cloudflare's dashboard set the service of the tunnel's public hostname {domain} to http://chatalot:8080"
            ),
        )),
        Ok(page) if page.status == 404 => Some((
            "TUNNEL_NO_HOSTNAME",
            status(page),
            format!(
                "in Cloudflare's dashboard give this tunnel the public hostname {domain}, with the service http://chatalot:8080"
            ),
        )),
        Err(error @ (FetchError::Name(_) | FetchError::Connect(_))) => Some((
            "TUNNEL_NO_HOSTNAME",
            format!("is not reached: {error}"),
            format!(
                "in Cloudflare's dashboard give this tunnel the public hostname {domain}, which makes its record; where the host's own resolver is behind, wait for it"
            ),
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cloudflare_answers_tells_which_end_of_the_tunnel_is_broken() {
        let code = |status| {
            let page = Fetched {
                status,
                ..Fetched::default()
            };
            cause("chat.example.com", &Ok(page)).map(|(code, ..)| code)
        };
        assert_eq!(code(530), Some("TUNNEL_NOT_CONNECTED"));
        assert_eq!(code(502), Some("TUNNEL_BAD_SERVICE"));
        assert_eq!(code(404), Some("TUNNEL_NO_HOSTNAME"));
        assert_eq!(code(200), None);
        let unknown = Err(FetchError::Name("chat.example.com".into()));
        assert!(cause("chat.example.com", &unknown).is_some());
    }
}
