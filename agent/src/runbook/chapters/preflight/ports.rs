//! Who listens where we want to.

use crate::effect::is_at_work;
use crate::host::{PortOwner, Transport};
use crate::runbook::proxies::{self, PROXIES, Proxy, Standing};
use crate::runbook::{Cx, Step, StepError};
use async_trait::async_trait;
use chatalot_protocol::advice::{ADOPTABLE, Advice};
use chatalot_protocol::report::Verdict;

/// 80 and 443 are free or our proxy's, 8080 is free or chatalot's, and so on.
pub(super) struct Ports;

#[async_trait]
impl Step for Ports {
    fn id(&self) -> &'static str {
        "preflight.ports"
    }

    fn title(&self) -> &'static str {
        "The ports are free, or ours already"
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let mut ours = Vec::new();
        let proxy = proxies::chosen(cx.site);
        for (port, proxy) in [80, 443]
            .into_iter()
            .zip([proxy; 2])
            .filter_map(|(port, proxy)| Some((port, proxy?)))
        {
            if let Some(owner) = held(cx, Transport::Tcp, port).await? {
                if let Some(advice) = front_door(cx, proxy, port, &owner).await? {
                    return Ok(advice.into());
                }
                ours.push(port);
            }
        }
        if let Some(proxy) = proxy
            && let Standing::Unfit(advice) = proxy.detect(cx).await?
        {
            return Ok((*advice).into());
        }
        for (transport, port, service) in behind(cx) {
            if let Some(owner) = held(cx, transport, port).await? {
                if !is_ours(cx, &owner, service).await? {
                    return Ok(taken(port, &owner).into());
                }
                ours.push(port);
            }
        }
        ours.dedup();
        Ok(Verdict::satisfied(if ours.is_empty() {
            "all free".to_owned()
        } else {
            let ports: Vec<String> = ours.iter().map(ToString::to_string).collect();
            format!("{} ours already, the others free", ports.join(", "))
        }))
    }
}

/// Who holds a port, but for a look from outside that goes on since an earlier life of the agent: it ends by itself.
async fn held(cx: &Cx<'_>, transport: Transport, port: u16) -> Result<Option<PortOwner>, StepError> {
    let owner = cx.host.port_owner(transport, port).await?;
    Ok(owner.filter(|owner| !is_at_work(owner)))
}

/// The ports of the containers, each with the service that may have it.
fn behind(cx: &Cx<'_>) -> Vec<(Transport, u16, &'static str)> {
    let mut ports = vec![(Transport::Tcp, 8080, "chatalot")];
    if cx.site.turn.is_some() {
        ports.push((Transport::Udp, 3478, "coturn"));
        ports.push((Transport::Tcp, 3478, "coturn"));
    }
    ports
}

/// What is wrong with the owner of 80 or 443, if anything is.
async fn front_door(
    cx: &Cx<'_>,
    proxy: &dyn Proxy,
    port: u16,
    owner: &PortOwner,
) -> Result<Option<Advice>, StepError> {
    if proxy.owns(cx, owner).await? {
        return Ok(None);
    }
    for other in PROXIES {
        if other.owns(cx, owner).await? {
            return Ok(Some(adoptable(port, *other, proxy, owner)));
        }
    }
    Ok(Some(taken(port, owner)))
}

/// Another proxy of ours is there already: it can serve the site too.
fn adoptable(port: u16, there: &dyn Proxy, chosen: &dyn Proxy, owner: &PortOwner) -> Advice {
    let flag = there.choice().as_str();
    let stop = match (&owner.container, there.unit()) {
        (Some(container), _) => format!("docker stop {container}"),
        (None, unit) => format!("systemctl disable --now {}", unit.unwrap_or_default()),
    };
    Advice::new(
        ADOPTABLE,
        format!(
            "port {port} belongs to {}, which can serve the site too",
            there.name()
        ),
        format!(
            "{} as the proxy, or port {port} free for {}",
            there.name(),
            chosen.name()
        ),
        format!(
            "deploy with `--proxy {flag}`: what it serves already stays as it is; or stop it (`{stop}`) if it is not needed, then deploy again"
        ),
    )
}

/// Whether a port is held by a container of this very site; host networking shows only the process.
async fn is_ours(cx: &Cx<'_>, owner: &PortOwner, service: &str) -> Result<bool, StepError> {
    let ours = cx.host.containers(Some(cx.site.folder.as_str())).await?;
    let mut ours = ours.iter().filter(|one| one.service == service);
    Ok(ours.any(|one| match (&owner.container, owner.process.as_str()) {
        (Some(name), _) => *name == one.name,
        // While a container starts, after a boot or a crash, its port is held by a proxy of Docker's that names nobody.
        (None, "docker-proxy") => true,
        (None, "turnserver") => service == "coturn" && one.state == "running",
        (None, _) => false,
    }))
}

fn taken(port: u16, owner: &PortOwner) -> Advice {
    let pid = owner
        .pid
        .map(|pid| format!(" (process {pid})"))
        .unwrap_or_default();
    let (who, how) = match (&owner.container, &owner.unit) {
        (Some(container), _) => (
            format!("the container `{container}`"),
            format!("stop it, or publish it on another port: `docker stop {container}`"),
        ),
        (None, Some(unit)) => (
            format!("`{}`{pid} of the unit {unit}", owner.process),
            format!("stop it if it is not needed: `systemctl disable --now {unit}`"),
        ),
        (None, None) => (
            format!("`{}`{pid}", owner.process),
            format!(
                "find out what it is for (`ss -tulnp`) and stop it if it is not needed{}",
                kill(owner)
            ),
        ),
    };
    Advice::new(
        "PORT_TAKEN",
        format!("port {port} belongs to {who}"),
        format!("port {port} free"),
        format!("{how}; then deploy again{}", or_forward(port)),
    )
}

/// A proxy that we cannot put a site into, such as one in a container, can serve it all the same.
fn or_forward(port: u16) -> &'static str {
    if matches!(port, 80 | 443) {
        "; if it is a reverse proxy that is to serve this site too, deploy with `--proxy none` and have it forward the domain, WebSockets \
         included, to chatalot at port 8080"
    } else {
        ""
    }
}

fn kill(owner: &PortOwner) -> String {
    owner.pid.map(|pid| format!(": `kill {pid}`")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f54_f55_the_owner_of_a_port_is_named_with_the_way_to_stop_it() {
        let nginx = PortOwner {
            pid: Some(812),
            process: "nginx".into(),
            unit: Some("nginx.service".into()),
            container: None,
        };
        let advice = taken(80, &nginx);
        assert!(
            advice.saw.contains("nginx") && advice.saw.contains("812"),
            "{advice}"
        );
        assert!(
            advice.fix.contains("systemctl disable --now nginx.service"),
            "{advice}"
        );
        let container = PortOwner {
            container: Some("traefik".into()),
            ..PortOwner::default()
        };
        let fix = taken(443, &container).fix;
        assert!(
            fix.contains("docker stop traefik") && fix.contains("--proxy none"),
            "{fix}"
        );
        let loose = PortOwner {
            pid: Some(7),
            process: "python3".into(),
            ..PortOwner::default()
        };
        assert!(taken(8080, &loose).fix.contains("kill 7"));
    }
}
