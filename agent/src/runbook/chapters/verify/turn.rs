//! Voice and video: the TURN server listens, which its container being up does not show.

use super::SETTLING;
use crate::host::{Transport, plain_line};
use crate::runbook::{Cx, Step, StepError, evidence};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use std::net::IpAddr;
use std::time::Duration;

const PORT: u16 = 3478;

/// Somebody listens for TURN on the host.
pub(super) struct Turn;

#[async_trait]
impl Step for Turn {
    fn id(&self) -> &'static str {
        "verify.turn"
    }

    fn title(&self) -> &'static str {
        "The TURN server listens"
    }

    fn applies(&self, site: &Site) -> bool {
        site.turn.is_some()
    }

    fn after(&self) -> Option<&'static str> {
        Some("install.run")
    }

    fn patience(&self) -> Duration {
        SETTLING
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        if let Some(owner) = cx.host.port_owner(Transport::Udp, PORT).await? {
            return Ok(Verdict::satisfied(format!(
                "{} listens on UDP {PORT}; whether the world reaches it only a client outside can tell",
                plain_line(&owner.process)
            )));
        }
        let external = cx.site.turn.map(|ip| IpAddr::V4(ip.address()));
        let own = cx.host.addresses().await?;
        let fix = match external.filter(|ip| !own.contains(ip)) {
            Some(ip) => format!(
                "{ip} is not an address of this host, so the TURN server cannot bind it: deploy with one of the host's own addresses, or without TURN"
            ),
            None => {
                "read the lines below, mend what they name, then `docker restart chatalot-turn`".to_owned()
            }
        };
        let log = cx.host.container_log("chatalot-turn", 8).await?;
        Ok(Advice::new(
            "TURN_NOT_LISTENING",
            format!("nobody listens on UDP {PORT}, although the container is up"),
            "the TURN server on UDP 3478",
            fix,
        )
        .with_evidence(evidence::masked(cx.host, cx.site, &log, 8).await?)
        .into())
    }
}
