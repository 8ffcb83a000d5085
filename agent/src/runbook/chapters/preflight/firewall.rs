//! The host's own firewall lets the site's ports through, before the world's way here is looked at.

use crate::runbook::firewalls::{self, Opening, listed, openings};
use crate::runbook::{ActCx, Applied, Cx, Intent, Step, StepError};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;

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

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        let needed = openings(intent.site);
        let mut lines = Vec::new();
        if !needed.is_empty() {
            lines.push(format!(
                "open {} in ufw or firewalld, where one of them is at work",
                listed(&needed)
            ));
        }
        if intent.site.turn.is_none() {
            lines.push(
                "shut in ufw or firewalld what an earlier deployment has opened for a TURN server".to_owned(),
            );
        }
        lines
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
        let unneeded = unneeded(cx).await?;
        if let Some((firewall, _)) = unneeded.first() {
            let open: Vec<_> = unneeded.iter().map(|(_, opening)| *opening).collect();
            let why = format!(
                "{} has {} open by an earlier deployment",
                firewall.name(),
                listed(&open)
            );
            return Ok(Verdict::needed(why));
        }
        let shut: Vec<_> = found.shut.iter().map(|(_, opening, _)| *opening).collect();
        Ok(match (found.at_work.is_empty(), shut.is_empty()) {
            (true, _) => Verdict::satisfied("no ufw and no firewalld at work"),
            (false, true) if needed.is_empty() => Verdict::satisfied("nothing has to be open for the site"),
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
        firewalls::shut(cx, &unneeded(&cx.look).await?, "deploy again").await?;
        Ok(Applied::default())
    }
}

/// What an earlier deployment has opened for a TURN server that the site has no more.
async fn unneeded(cx: &Cx<'_>) -> Result<Vec<(&'static dyn firewalls::Firewall, Opening)>, StepError> {
    if cx.site.turn.is_some() {
        return Ok(Vec::new());
    }
    Ok(firewalls::opened(cx.host, true).await?)
}
