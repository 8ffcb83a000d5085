//! The host's own firewall lets the site's ports through, before the world's way here is looked at.

use crate::runbook::firewalls::{self, listed, openings};
use crate::runbook::{ActCx, Applied, Cx, Intent, Step, StepError};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;

/// ufw and firewalld are open where they are at work.
pub(super) struct Firewall;

#[async_trait]
impl Step for Firewall {
    fn id(&self) -> &'static str {
        "preflight.firewall"
    }

    fn title(&self) -> &'static str {
        "The host's firewall lets the site through"
    }

    fn applies(&self, site: &Site) -> bool {
        !openings(site).is_empty()
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        vec![format!(
            "open {} in ufw or firewalld, where one of them is at work",
            listed(&openings(intent.site))
        )]
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let needed = openings(cx.site);
        let found = firewalls::look(cx.host, &needed).await?;
        if let Some((firewall, opening)) = found.denied.first() {
            return Ok(Advice::new(
                "FIREWALL_DENIES",
                format!("a rule of {} that shuts {opening}", firewall.name()),
                format!("{} open", listed(&needed)),
                format!(
                    "take the rule away: `{}`; then deploy again",
                    firewall.undeny(*opening)
                ),
            )
            .into());
        }
        let shut: Vec<_> = found.shut.iter().map(|(_, opening, _)| *opening).collect();
        Ok(match (found.at_work.is_empty(), shut.is_empty()) {
            (true, _) => Verdict::satisfied("no ufw and no firewalld at work"),
            (false, true) => Verdict::satisfied(format!(
                "{} lets {} through",
                found.at_work.join(", "),
                listed(&needed)
            )),
            (false, false) => {
                Verdict::needed(format!("{} shuts {}", found.at_work.join(", "), listed(&shut)))
            }
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let found = firewalls::look(cx.host, &openings(cx.look.site)).await?;
        firewalls::open(cx, &found).await?;
        Ok(Applied::default())
    }
}
