//! chatalot's own port on 127.0.0.1 alone, where that was asked for: Docker publishes it to the world otherwise, past
//! ufw, and plain HTTP stays beside the proxy. Where it is not asked for any more, our lines are taken out again.

use crate::host::{Container, Engine, HostError};
use crate::runbook::proxies::traefik::{candidate, merge, override_file, proposed, seen_by_compose, up};
use crate::runbook::{ActCx, Applied, Cx, Intent, Limits, Step, StepError, made};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use serde_json::Value;
use std::time::Duration;

const PORT: u16 = 8080;
/// How it is written down that the port in the override is ours.
pub(in crate::runbook::chapters) const OURS: &str = "override 127.0.0.1:8080";

/// The port is published on the host alone, or as chatalot does.
pub(super) struct Loopback;

#[async_trait]
impl Step for Loopback {
    fn id(&self) -> &'static str {
        "install.loopback"
    }

    fn title(&self) -> &'static str {
        "chatalot's own port is as asked for"
    }

    fn after(&self) -> Option<&'static str> {
        Some("install.run")
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        if !intent.site.loopback_only {
            return vec![format!(
                "take the port of an earlier deployment out of {}, if there is one; TCP 8080 is published as chatalot does",
                override_file(intent.site).display()
            )];
        }
        vec![
            format!(
                "merge `ports: 127.0.0.1:8080:8080` for chatalot into {}; what else is in it stays as it is",
                override_file(intent.site).display()
            ),
            "have `docker compose config` judge it, then run `docker compose up -d chatalot`".to_owned(),
        ]
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        if !cx.site.loopback_only {
            return Ok(if made::is_made(cx.host, OURS).await? {
                Verdict::needed("TCP 8080 is on 127.0.0.1 alone by an earlier deployment")
            } else {
                Verdict::satisfied("as chatalot publishes it")
            });
        }
        let there = if matches!(cx.host.engine().await?, Engine::Up { .. }) {
            cx.host.containers(Some(cx.site.folder.as_str())).await?
        } else {
            return Err(HostError::Engine("it does not run".to_owned()).into());
        };
        let server = there.iter().find(|one| one.service == "chatalot");
        Ok(match server.filter(|one| one.ports.contains(&PORT)) {
            Some(server) if server.loopback.contains(&PORT) => {
                Verdict::satisfied("TCP 8080 is published on 127.0.0.1 alone")
            }
            Some(Container { .. }) => Verdict::needed("TCP 8080 is published to the world"),
            None => Verdict::needed("chatalot's container does not publish TCP 8080 now"),
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let site = cx.look.site;
        if !site.loopback_only {
            take_out(cx).await?;
            up(cx).await?;
            made::forget(cx, OURS).await?;
            return Ok(Applied::default());
        }
        let path = override_file(site);
        let there = cx.host.read(&path).await?.unwrap_or_default();
        let text = String::from_utf8_lossy(&there);
        let merged = merge::publish_locally(&text).map_err(|why| unmergeable(site, &why))?;
        let before = seen_by_compose(cx.host, site, &[]).await?;
        cx.host.write(&candidate(site), merged.as_bytes(), 0o644).await?;
        let after = seen_by_compose(cx.host, site, &proposed()).await;
        cx.host.remove(&candidate(site)).await?;
        judge(&before, &after?).map_err(|why| unmergeable(site, &why))?;
        // What an operator has written in the same words is not ours.
        if merged != text {
            made::note(cx, [OURS.to_owned()]).await?;
        }
        cx.host.rewrite(&path, merged.as_bytes()).await?;
        up(cx).await?;
        Ok(Applied::default())
    }
}

/// Takes our port out of the override; what else is in it stays.
pub(in crate::runbook::chapters) async fn take_out(cx: &ActCx<'_>) -> Result<(), StepError> {
    let path = override_file(cx.look.site);
    let there = cx.host.read(&path).await?.unwrap_or_default();
    let there = String::from_utf8_lossy(&there);
    let rest = merge::without_local_port(&there);
    if rest.is_empty() && !there.is_empty() {
        cx.host.remove(&path).await?;
    } else if rest != there {
        cx.host.rewrite(&path, rest.as_bytes()).await?;
    }
    Ok(())
}

/// Whether compose sees the port on loopback alone, and all else as before.
fn judge(before: &Value, after: &Value) -> Result<(), String> {
    let ports = after["services"]["chatalot"]["ports"].as_array();
    let is_local = |port: &Value| port["host_ip"] == "127.0.0.1";
    if !ports.is_some_and(|ports| !ports.is_empty() && ports.iter().all(is_local)) {
        return Err(
            "compose does not put it in place of its own list: it must be 2.24.4 or newer".to_owned(),
        );
    }
    if rest(before) == rest(after) {
        Ok(())
    } else {
        Err("something besides the ports of chatalot would change".to_owned())
    }
}

fn rest(config: &Value) -> Value {
    let mut config = config.clone();
    if let Some(service) = config["services"]["chatalot"].as_object_mut() {
        service.remove("ports");
    }
    config
}

fn unmergeable(site: &Site, why: &str) -> StepError {
    StepError::last(
        Advice::new(
            "OVERRIDE_PORTS",
            format!("{}: {why}", override_file(site).display()),
            "an override that the port can be put into, all else staying as it is",
            "give the service chatalot the ports below there by hand, or close TCP 8080 in the provider's firewall; then deploy again",
        )
        .with_evidence(["ports: !override", "  - \"127.0.0.1:8080:8080\""]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_port_may_differ_and_all_of_it_must_be_local() {
        let config =
            |ports: Value, image: &str| json!({"services": {"chatalot": {"image": image, "ports": ports}}});
        let local = json!([{"host_ip": "127.0.0.1", "published": "8080"}]);
        let before = config(json!([{"published": "8080"}]), "i");
        assert_eq!(judge(&before, &config(local.clone(), "i")), Ok(()));
        assert!(
            judge(&before, &config(local.clone(), "j"))
                .unwrap_err()
                .contains("besides")
        );
        let both = json!([{"published": "8080"}, {"host_ip": "127.0.0.1", "published": "8080"}]);
        assert!(judge(&before, &config(both, "i")).unwrap_err().contains("2.24.4"));
        assert!(judge(&before, &config(json!([]), "i")).is_err());
    }
}
