//! Why Traefik has no certificate, as its own log tells it.

use super::super::Refusal;
use super::running;
use crate::host::plain_line;
use crate::runbook::{Cx, StepError};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How much of its log is looked through.
const LINES: u32 = 400;
const HOUR_MS: i64 = 3_600_000;

/// Those of the last hour that are about the site's domain, oldest first.
pub(super) async fn within_an_hour(cx: &Cx<'_>) -> Result<Vec<Refusal>, StepError> {
    let Some(traefik) = running(cx.host).await? else {
        return Ok(Vec::new());
    };
    // One that goes elsewhere than to Docker says nothing here.
    let Ok(log) = cx.host.container_log(&traefik.name, LINES).await else {
        return Ok(Vec::new());
    };
    let since = cx.host.now_ms() - HOUR_MS;
    let all = log
        .iter()
        .filter_map(|line| refusal(line, cx.site.domain.as_str()));
    Ok(all.filter(|refusal| refusal.at_ms >= since).collect())
}

/// A line in which the authority did not sign for the domain, in any of the shapes that Traefik writes its log in.
fn refusal(line: &str, domain: &str) -> Option<Refusal> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let about = line
        .split(|c| !is_name(c))
        .any(|word| word.eq_ignore_ascii_case(domain));
    if !about || !line.contains("Unable to obtain ACME certificate") {
        return None;
    }
    let mut words = line.split([' ', '"']);
    let at = words.find_map(|word| OffsetDateTime::parse(word, &Rfc3339).ok())?;
    // The authority's own words, before what Traefik adds of itself.
    let said = line.find("acme: error:").map_or(line, |at| &line[at..]);
    let said = said.split(" ACME CA=").next().unwrap_or(said);
    Some(Refusal {
        at_ms: at.unix_timestamp().checked_mul(1000)?,
        rate_limited: line.contains("rateLimited") || line.contains("error: 429"),
        counts: line.contains("acme-v02.api.letsencrypt.org"),
        words: plain_line(said),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Traefik 3.7 wrote it; the shape of 2 and that in JSON are assumed, after their sources.
    const LINES: [&str; 3] = [
        "2026-11-27T10:00:00Z ERR Unable to obtain ACME certificate for domains error=\"unable to generate a certificate for the domains [chat.example.com]: error: one or more domains had a problem:\\n[chat.example.com] acme: error: 400 :: urn:ietf:params:acme:error:connection :: refused\" ACME CA=https://acme-v02.api.letsencrypt.org/directory domains=[\"chat.example.com\"] providerName=le.acme",
        "time=\"2026-11-27T11:00:00+01:00\" level=error msg=\"Unable to obtain ACME certificate for domains \\\"chat.example.com\\\": unable to generate a certificate for the domains [chat.example.com]: acme: error: 429 :: urn:ietf:params:acme:error:rateLimited :: too many\" providerName=le.acme",
        "{\"level\":\"error\",\"ACME CA\":\"https://acme.example.net/dir\",\"domains\":[\"chat.example.com\"],\"error\":\"acme: error: 400 :: connection\",\"time\":\"2026-11-27T10:00:00Z\",\"message\":\"Unable to obtain ACME certificate for domains\"}",
    ];

    #[test]
    fn a_refusal_is_read_in_each_shape_of_the_log() {
        let found = LINES.map(|line| refusal(line, "chat.example.com").unwrap());
        assert_eq!(found.each_ref().map(|one| one.at_ms), [1_795_773_600_000; 3]);
        assert_eq!(found.each_ref().map(|one| one.rate_limited), [false, true, false]);
        assert_eq!(found.each_ref().map(|one| one.counts), [true, false, false]);
        assert!(
            found.iter().all(|one| one.words.contains("acme: error:")),
            "{found:?}"
        );
    }

    #[test]
    fn what_is_about_another_site_or_no_refusal_is_passed_over() {
        let other = LINES[0].replace("refused", "2001:db8::429");
        assert!(!refusal(&other, "chat.example.com").unwrap().rate_limited);
        assert_eq!(refusal(LINES[0], "example.com"), None);
        assert_eq!(
            refusal("2026-11-27T10:00:00Z INF chat.example.com", "chat.example.com"),
            None
        );
    }
}
