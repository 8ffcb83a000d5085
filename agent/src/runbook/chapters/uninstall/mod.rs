//! The way back: what deployments have made is taken away again, in the order in which nobody sees it half gone.
//!
//! These are steps like all others: a desired state, looked at by its effect, brought about in a unit of its own,
//! safe to be cut off anywhere. Packages stay, and so does what was there before; data goes only with its own table,
//! for which a person has to type the site's name.

mod certificate;
mod containers;
mod data;
mod firewall;
pub(super) mod group;
mod port;
mod repository;

use super::super::proxies::{self, Proxy};
use super::super::{ActCx, Applied, Cx, Intent, Step, StepError};
use super::checkout::undo::{self, Left};
use async_trait::async_trait;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use std::time::Duration;

/// Taking chatalot away, its data left.
pub const STEPS: &[&dyn Step] = &[
    &NotInFront,
    &certificate::NoCertificate,
    &containers::Containers,
    &port::NoPort,
    &firewall::NoOpening,
    &firewall::NotAllowed,
    &group::NotInGroup,
    &repository::NoRepository,
    &Folder { data: false },
];

/// The same with its data.
pub const WITH_DATA: &[&dyn Step] = &[
    &NotInFront,
    &certificate::NoCertificate,
    &containers::Containers,
    &data::Volumes,
    &port::NoPort,
    &firewall::NoOpening,
    &firewall::NotAllowed,
    &group::NotInGroup,
    &repository::NoRepository,
    &Folder { data: true },
];

/// No proxy serves the site any more, and none has anything of ours, whichever was in front of an earlier site.
struct NotInFront;

#[async_trait]
impl Step for NotInFront {
    fn id(&self) -> &'static str {
        "uninstall.proxy"
    }

    fn title(&self) -> &'static str {
        "The reverse proxy serves it no more"
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        let mut lines =
            proxies::chosen(intent.site).map_or_else(Vec::new, |proxy| proxy.plan_out(intent.site));
        let others: Vec<&str> = others(intent.site).map(Proxy::name).collect();
        lines.push(format!(
            "the same with {}, if an earlier deployment has put anything there",
            others.join(" and ")
        ));
        lines
    }

    fn patience(&self) -> Duration {
        // A proxy that reloads answers by what it had until it has read what it has.
        Duration::from_secs(30)
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        for proxy in others(cx.site) {
            if let Some(left) = proxy.left(cx).await? {
                return Ok(Verdict::needed(format!("{}: {left}", proxy.name())));
            }
        }
        let Some(proxy) = proxies::chosen(cx.site) else {
            return Ok(Verdict::satisfied("nothing of ours in any proxy"));
        };
        if let Some(left) = proxy.left(cx).await? {
            return Ok(Verdict::needed(left));
        }
        if !proxy.goes_with_container() && proxies::served(cx).await.is_ok() {
            return Ok(Verdict::needed(format!(
                "{} still serves {}",
                proxy.name(),
                cx.site.domain
            )));
        }
        Ok(Verdict::satisfied(format!("nothing of ours in {}", proxy.name())))
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        for proxy in others(cx.look.site) {
            if proxy.left(&cx.look).await?.is_some() {
                proxy.take_out(cx).await?;
            }
        }
        if let Some(proxy) = proxies::chosen(cx.look.site) {
            proxy.take_out(cx).await?;
        }
        Ok(Applied::default())
    }
}

/// The proxies that the site of now is not behind.
fn others(site: &Site) -> impl Iterator<Item = &'static dyn Proxy> {
    let rows = proxies::PROXIES.iter().copied();
    rows.filter(|row| row.choice() != site.proxy)
}

/// The source is gone, with or without the data beside it.
struct Folder {
    data: bool,
}

impl Folder {
    fn effect(&self, site: &Site) -> String {
        let folder = &site.folder;
        if self.data {
            format!(
                "delete chatalot's source, {folder}/.env, {folder}/secrets and the copies that deployments have taken of them; what else is in {folder} stays"
            )
        } else {
            format!(
                "delete chatalot's source in {folder}; .env, secrets, copies of them and what else is in {folder} stay"
            )
        }
    }
}

#[async_trait]
impl Step for Folder {
    fn id(&self) -> &'static str {
        if self.data {
            "uninstall.folder_with_secrets"
        } else {
            "uninstall.folder"
        }
    }

    fn title(&self) -> &'static str {
        if self.data {
            "chatalot's source and secrets are gone"
        } else {
            "chatalot's source is gone"
        }
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        vec![self.effect(intent.site)]
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        Ok(match undo::left(cx, self.data).await? {
            Left::Ours(what) => Verdict::needed(what),
            Left::Nothing(saw) => Verdict::satisfied(saw),
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        undo::take_away(cx, self.data).await?;
        Ok(Applied::default())
    }
}
