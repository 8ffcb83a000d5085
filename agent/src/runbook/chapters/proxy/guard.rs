//! When an authority is asked no more, and what its refusal means.

use crate::runbook::proxies::{self, Proxy, Refusal, asked_within_an_hour};
use crate::runbook::{Cx, StepError, recent};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::{Acme, Site};
use std::time::Duration;

const RATE_LIMITED: &str = "ACME_RATE_LIMITED";
/// Let's Encrypt allows five failed validations an hour for a name; the fifth is left to the operator.
const MOST_ASKED: usize = 4;

/// What stands in the way of asking (again), or is the answer to our last asking: `key` is where it is remembered
/// when that was, `patience` how long an answer may take.
pub(super) async fn advice(
    cx: &Cx<'_>,
    proxy: &dyn Proxy,
    key: &str,
    patience: Duration,
) -> Result<Option<Advice>, StepError> {
    let mut asked = asked_within_an_hour(cx.host, cx.site).await?;
    let mut refusals = proxy.refusals(cx).await?;
    if cx.site.acme != Acme::Production {
        // What production has had enough of may be tried elsewhere.
        asked.clear();
        refusals.retain(|refusal| !refusal.counts);
    }
    let applied = recent::applied_ms(cx.host, cx.memory, key, patience).await?;
    match judge(cx.site, &asked, &refusals, applied, cx.host.now_ms()) {
        // Nothing is gained by waiting whether it passes within minutes.
        Some(advice) if advice.code == RATE_LIMITED => Err(StepError::last(advice)),
        advice => Ok(advice),
    }
}

fn judge(
    site: &Site,
    asked: &[i64],
    refusals: &[Refusal],
    applied_ms: Option<i64>,
    now_ms: i64,
) -> Option<Advice> {
    let words = || refusals.iter().rev().take(3).map(|refusal| refusal.words.clone());
    let last = refusals.last();
    // Caddy asks somebody else then, who is not said to have had enough; and only whom we ask is of interest.
    let ours = |refusal: &&Refusal| refusal.rate_limited && refusal.counts == (site.acme == Acme::Production);
    if let Some(last) = refusals.iter().rfind(ours) {
        return Some(
            limited(site, asked.len().max(refusals.len()), now_ms - last.at_ms).with_evidence(words()),
        );
    }
    if let Some(applied) = applied_ms {
        // The journal's times are whole seconds here. What was asked last may still be answered.
        let answered = last.filter(|last| last.at_ms >= applied - 1000);
        return answered.map(|_| refused(site, words()));
    }
    let counted = refusals.iter().filter(|refusal| refusal.counts);
    let counted: Vec<i64> = counted.map(|refusal| refusal.at_ms).collect();
    let spent = [asked, &counted].into_iter().max_by_key(|times| times.len());
    let spent = spent.filter(|times| times.len() >= MOST_ASKED)?;
    let age = now_ms - spent.last().copied().unwrap_or(now_ms);
    Some(limited(site, spent.len(), age).with_evidence(words()))
}

fn limited(site: &Site, times: usize, age_ms: i64) -> Advice {
    Advice::new(
        RATE_LIMITED,
        format!(
            "{times} attempts at a certificate for {} within an hour, the last {} minutes ago",
            site.domain,
            age_ms.max(0) / 60_000
        ),
        "fewer than five failed validations an hour",
        "mend what the lines below name, wait an hour, then deploy again; `--acme staging` may be tried meanwhile",
    )
}

/// The authority has not signed.
pub(super) fn refused(site: &Site, words: impl Iterator<Item = String>) -> Advice {
    // It asks once, and not again before it is started anew.
    let by_itself = proxies::chosen(site).is_some_and(Proxy::goes_with_container);
    let anew = if by_itself { "start Traefik anew, " } else { "" };
    Advice::new(
        "ACME_FAILED",
        format!("the authority did not sign a certificate for {}", site.domain),
        "a certificate",
        format!(
            "the authority must reach this host at {} on ports 80 and 443: open both in the provider's firewall, see that DNS leads here, {anew}then deploy again",
            site.domain
        ),
    )
    .with_evidence(words)
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
        judge(&site(), &[], refusals, applied, 100_000).map(|advice| advice.code.to_string())
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
    fn f56_too_many_requests_are_told_though_another_authority_has_refused_since() {
        // As Caddy 2.6 asks one after the other.
        let limited = Refusal {
            rate_limited: true,
            ..refusal(95_000)
        };
        let both = [limited, refusal(96_000)];
        assert_eq!(code(&both, Some(90_000)).as_deref(), Some("ACME_RATE_LIMITED"));
    }

    #[test]
    fn f56_too_many_requests_at_another_authority_are_none_at_ours() {
        let elsewhere = Refusal {
            rate_limited: true,
            counts: false,
            ..refusal(95_000)
        };
        assert_eq!(code(&[elsewhere], None), None);
    }

    #[test]
    fn f56_after_four_refusals_within_an_hour_nothing_is_asked_any_more() {
        let four: Vec<Refusal> = (1..=4).map(|n| refusal(n * 1000)).collect();
        assert_eq!(code(&four[..3], None), None);
        assert_eq!(code(&four, None).as_deref(), Some("ACME_RATE_LIMITED"));
    }

    #[test]
    fn f56_after_four_attempts_nothing_is_asked_whatever_the_journal_has_lost() {
        let asked = |times: &[i64], applied| judge(&site(), times, &[], applied, 100_000).is_some();
        assert!(!asked(&[1, 2, 3], None));
        assert!(asked(&[1, 2, 3, 4], None));
        assert!(
            !asked(&[1, 2, 3, 90_000], Some(90_000)),
            "it may still be answered"
        );
    }
}
