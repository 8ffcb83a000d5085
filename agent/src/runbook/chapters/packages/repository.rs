//! What the distribution lacks can be had from whoever makes it.

use super::super::proxy;
use super::Install;
use crate::config;
use crate::runbook::distro::Repository;
use crate::runbook::repositories::{self, Standing};
use crate::runbook::{ActCx, Applied, Cx, Intent, Step, StepError, proxies};
use async_trait::async_trait;
use chatalot_protocol::report::Verdict;

/// The repositories that this site needs packages of are set up, each with its pinned key.
pub(super) struct SetUp;

/// Those that this site may install something from.
fn wanted(intent: &Intent<'_>) -> Vec<&'static Repository> {
    let row = intent.distro;
    let parts = proxies::chosen(intent.site).map_or_else(Vec::new, |proxy| proxy.parts(row));
    let names: Vec<&str> = row
        .packages()
        .chain(parts.iter().flat_map(|part| part.packages.iter().copied()))
        .collect();
    let all = row.repositories.iter().copied();
    all.filter(|one| one.packages.iter().any(|name| names.contains(name)))
        .collect()
}

/// Those that something is still to be installed from.
async fn needed(cx: &Cx<'_>) -> Result<Vec<&'static Repository>, StepError> {
    let intent = Intent {
        site: cx.site,
        distro: cx.distro,
    };
    let mut missing = Install::missing(cx).await?;
    missing.extend(proxy::missing(cx).await?);
    let mut needed = wanted(&intent);
    needed.retain(|one| one.packages.iter().any(|name| missing.contains(name)));
    Ok(needed)
}

#[async_trait]
impl Step for SetUp {
    fn id(&self) -> &'static str {
        "packages.repository"
    }

    fn title(&self) -> &'static str {
        "What the distribution lacks can be installed"
    }

    fn applies_to(&self, intent: &Intent<'_>) -> bool {
        !wanted(intent).is_empty()
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        let mut effects = Vec::new();
        for one in wanted(intent) {
            effects.push(format!(
                "fetch the key of {}'s package repository from {}, and use it only if its fingerprint is {}",
                one.owner, one.key, one.fingerprint
            ));
            effects.push(format!(
                "write {} and {}, for the packages at {}",
                repositories::key_file(one).display(),
                repositories::source_file(one).display(),
                one.url
            ));
        }
        if !effects.is_empty() {
            effects.push(format!(
                "use a mirror and its key instead where {} names one",
                config::PATH
            ));
        }
        effects
    }

    fn repositories(&self, intent: &Intent<'_>) -> Vec<&'static str> {
        wanted(intent).iter().map(|one| one.name).collect()
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let (mut saw, mut lacking) = (Vec::new(), Vec::new());
        for one in needed(cx).await? {
            match repositories::standing(cx, one).await? {
                Standing::Ours => saw.push(format!("{}'s repository is set up", one.owner)),
                Standing::Theirs { file } => saw.push(format!("{file} has {}'s repository", one.owner)),
                Standing::Lacking => {
                    let place = repositories::place(cx.host, one).await?;
                    let mirror = if place.mirrored { ", your mirror" } else { "" };
                    lacking.push(format!(
                        "{}'s repository is not set up: {}{mirror}, key {}",
                        one.owner, place.url, place.fingerprint
                    ));
                }
            }
        }
        Ok(match (lacking.is_empty(), saw.is_empty()) {
            (false, _) => Verdict::needed(lacking.join("; ")),
            (true, false) => Verdict::satisfied(saw.join("; ")),
            (true, true) => Verdict::satisfied("nothing has to be installed from elsewhere"),
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        for one in needed(&cx.look).await? {
            if repositories::standing(&cx.look, one).await? == Standing::Lacking {
                repositories::set_up(cx, one).await?;
            }
        }
        Ok(Applied::default())
    }
}
