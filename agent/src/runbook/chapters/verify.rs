//! Does it work, as its users would find it? Nothing here has an effect.

use super::super::answer::{self, LOCAL};
use super::super::containers::{self, Stand};
use super::super::{Cx, Step, StepError, proxies};
use crate::host::{Fetch, FetchError, Fetched};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Acme;
use std::time::Duration;

mod outside;
mod public;
mod tunnel;
mod turn;

/// The chapter.
pub(super) const STEPS: &[&dyn Step] = &[
    &Containers,
    &Local,
    &turn::Turn,
    &public::Public,
    &public::Certificate,
    &WebSocket,
    &outside::Outside,
    &Boot,
];

/// After a restart everything needs a little: the database's first health check alone takes ten seconds.
pub(super) const SETTLING: Duration = Duration::from_secs(75);

/// Every container that must be up is up.
struct Containers;

#[async_trait]
impl Step for Containers {
    fn id(&self) -> &'static str {
        "verify.containers"
    }

    fn title(&self) -> &'static str {
        "The containers are up"
    }

    fn after(&self) -> Option<&'static str> {
        Some("install.run")
    }

    fn patience(&self) -> Duration {
        SETTLING
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let services = active_services(cx).await?;
        let there = cx.host.containers(Some(cx.site.folder.as_str())).await?;
        Ok(match containers::judge(&services, &there) {
            Stand::Crashing(one) => containers::why_crashing(cx.host, cx.site, &one).await?.into(),
            Stand::Down(seen) => containers::down(cx.site, &services, &seen).into(),
            Stand::Up => {
                let restarts: u64 = there.iter().map(|one| one.restarts).sum();
                let told = match restarts {
                    0 => String::new(),
                    1 => ", 1 restart".to_owned(),
                    more => format!(", {more} restarts"),
                };
                Verdict::satisfied(format!("{} up{told}", services.join(", ")))
            }
        })
    }
}

/// What compose says for the active profiles, and never less than what the site needs.
async fn active_services(cx: &Cx<'_>) -> Result<Vec<String>, StepError> {
    let mut services: Vec<String> = containers::least(cx.site)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let named = cx.host.compose_services(cx.site.folder.as_str()).await?;
    for service in named.unwrap_or_default() {
        if !services.contains(&service) {
            services.push(service);
        }
    }
    Ok(services)
}

/// chatalot answers on the host itself.
struct Local;

#[async_trait]
impl Step for Local {
    fn id(&self) -> &'static str {
        "verify.local"
    }

    fn title(&self) -> &'static str {
        "chatalot is well on the host"
    }

    fn after(&self) -> Option<&'static str> {
        Some("install.run")
    }

    fn patience(&self) -> Duration {
        SETTLING
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        Ok(match answer::local(cx.host).await {
            Ok(health) => Verdict::satisfied(format!("chatalot {}, database well", health.version)),
            Err(advice) => (*advice).into(),
        })
    }
}

/// Upgrades to WebSocket get through: nothing works live without.
struct WebSocket;

#[async_trait]
impl Step for WebSocket {
    fn id(&self) -> &'static str {
        "verify.websocket"
    }

    fn title(&self) -> &'static str {
        "WebSockets get through"
    }

    fn after(&self) -> Option<&'static str> {
        Some("proxy.site")
    }

    fn patience(&self) -> Duration {
        SETTLING
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let direct = Fetch::page(format!("{LOCAL}/ws")).websocket();
        let mut proxied = Fetch::page(format!("https://{}/ws", cx.site.domain)).websocket();
        let way = (
            proxies::chosen(cx.site).map(|_| proxies::way_in(cx)),
            cx.site.acme != Acme::Staging,
        );
        (proxied.connect_to, proxied.verify) = way;
        if let Err(saw) = upgraded(cx.host.fetch(direct).await) {
            // Where chatalot is not well at all, that is the thing to mend.
            if let Err(advice) = answer::local(cx.host).await {
                return Ok((*advice).into());
            }
            return Ok(Advice::new(
                "WEBSOCKET_REFUSED",
                format!("chatalot itself answered an upgrade at /ws with {saw}"),
                "status 101",
                "look at `docker logs --tail 50 chatalot-server`",
            )
            .into());
        }
        let Err(saw) = upgraded(cx.host.fetch(proxied).await) else {
            return Ok(Verdict::satisfied(
                "101 at /ws, on the host and through the proxy",
            ));
        };
        // Where nothing else is answered as it should be either, it is not the upgrade.
        let url = format!("https://{}/api/health", cx.site.domain);
        let mut plain = Fetch::page(url.clone());
        (plain.connect_to, plain.verify) = way;
        if let Some(advice) = public::broken(cx, &url, cx.host.fetch(plain).await).await? {
            return Ok(advice.into());
        }
        Ok(Advice::new(
            "WEBSOCKET_NOT_FORWARDED",
            format!("the proxy answered an upgrade at /ws with {saw}; chatalot itself upgrades"),
            "status 101",
            "see that the proxy forwards the Connection and Upgrade headers for /ws, over HTTP/1.1; then deploy again",
        )
        .into())
    }
}

fn upgraded(fetched: Result<Fetched, FetchError>) -> Result<(), String> {
    match fetched {
        Ok(page) if page.status == 101 => Ok(()),
        Ok(page) => {
            let text = String::from_utf8_lossy(&page.body);
            let line = text
                .lines()
                .next()
                .map(crate::host::plain_line)
                .unwrap_or_default();
            Err(format!("status {} {line}", page.status).trim_end().to_owned())
        }
        Err(FetchError::Connect(_)) => Err("no connection".to_owned()),
        Err(other) => Err(other.to_string()),
    }
}

/// It comes back by itself after a boot.
struct Boot;

#[async_trait]
impl Step for Boot {
    fn id(&self) -> &'static str {
        "verify.boot"
    }

    fn title(&self) -> &'static str {
        "It comes back after a boot"
    }

    fn after(&self) -> Option<&'static str> {
        Some("proxy.site")
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let mut sleepers = Vec::new();
        let mut absent = Vec::new();
        let proxy = proxies::chosen(cx.site).and_then(proxies::Proxy::unit);
        let units = [Some(cx.distro.engine_unit), proxy, Some("chatalot-agent.service")];
        for name in units.into_iter().flatten() {
            let unit = cx.host.unit(name).await?;
            if !unit.exists {
                absent.push(name);
            } else if !unit.enabled {
                sleepers.push(name);
            }
        }
        if !sleepers.is_empty() {
            return Ok(Advice::new(
                "BOOT_NOT_ENABLED",
                format!("not started at boot: {}", sleepers.join(", ")),
                "all of them enabled",
                format!("run `systemctl enable {}`", sleepers.join(" ")),
            )
            .into());
        }
        let there = cx.host.containers(Some(cx.site.folder.as_str())).await?;
        let needed = containers::least(cx.site);
        let stays = |policy: &str| matches!(policy, "always" | "unless-stopped");
        let lost: Vec<&str> = there
            .iter()
            .filter(|one| needed.contains(&one.service.as_str()) && !stays(&one.restart_policy))
            .map(|one| one.name.as_str())
            .collect();
        if !lost.is_empty() {
            return Ok(Advice::new(
                "RESTART_POLICY",
                format!("not restarted after a boot: {}", lost.join(", ")),
                "the restart policy unless-stopped",
                format!("run `docker update --restart unless-stopped {}`", lost.join(" ")),
            )
            .into());
        }
        Ok(Verdict::satisfied(if absent.is_empty() {
            "units are enabled, containers are restarted".to_owned()
        } else {
            format!(
                "containers are restarted; systemd has no unit {}",
                absent.join(", ")
            )
        }))
    }
}
