//! The domain of a site behind a Cloudflare Tunnel leads to Cloudflare.

use super::{Answers, Records, Talk, cloudflare, found};
use crate::runbook::StepError;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;

pub(super) fn judge(domain: &str, answers: &[Answers]) -> Result<Verdict, StepError> {
    let nobody = super::Own {
        v4: Vec::new(),
        v6: Vec::new(),
    };
    let talk = Talk {
        domain,
        own: &nobody,
        answers,
    };
    if answers.iter().all(|one| matches!(one.a, Records::Failed(_))) {
        return Err(StepError::passing(talk.unreachable()));
    }
    let all: Vec<_> = answers.iter().filter_map(|one| found(&one.a)).flatten().collect();
    let elsewhere = all.iter().any(|ip| !cloudflare::owns(**ip));
    let (code, fix) = if all.is_empty() {
        (
            "TUNNEL_NAME_NONE",
            format!(
                "in Cloudflare's dashboard give the tunnel the public hostname {domain} with the service http://chatalot:8080, which makes the record; then deploy again"
            ),
        )
    } else if elsewhere {
        (
            "TUNNEL_NAME_ELSEWHERE",
            format!(
                "remove the A and AAAA records of {domain}, give the tunnel the public hostname {domain} in Cloudflare's dashboard, then deploy again; or deploy without a tunnel"
            ),
        )
    } else {
        return Ok(Verdict::satisfied(talk.seen()));
    };
    let wanted = format!("{domain} → Cloudflare, where the tunnel begins");
    Ok(Advice::new(code, talk.seen(), wanted, fix).into())
}
