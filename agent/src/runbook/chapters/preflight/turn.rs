//! Is the address that the TURN server is to be reached at this host's? One-to-one NAT included.

use crate::runbook::{Cx, Step, StepError};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::{PublicIpv4, Site};
use std::net::IpAddr;

/// The external address leads to this host, as far as can be told from here.
pub(super) struct TurnAddress;

#[async_trait]
impl Step for TurnAddress {
    fn id(&self) -> &'static str {
        "preflight.turn"
    }

    fn title(&self) -> &'static str {
        "The address for voice and video is this host's"
    }

    fn applies(&self, site: &Site) -> bool {
        site.turn.is_some()
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let Some(external) = cx.site.turn else {
            return Ok(Verdict::satisfied("not asked for"));
        };
        let ip = external.address();
        Ok(match stand(cx, external).await? {
            Stand::Own => Verdict::satisfied(format!("{ip} is on this host")),
            Stand::Natted => Verdict::satisfied(format!(
                "{ip} is not on this host, but what the controller sees it at: one-to-one NAT; whether the TURN server copes with that is seen once it runs"
            )),
            Stand::Unknown => Verdict::satisfied(format!(
                "{ip} is not on this host, which knows only inner addresses of its own; whether it leads here only the world can tell"
            )),
            Stand::Other(seen) => Advice::new(
                "TURN_IP_NOT_OURS",
                format!("{ip} is not on this host, which the world knows as {seen}"),
                "this host's own public IPv4 address",
                format!("deploy again with --turn-external-ip {seen}; or without TURN"),
            )
            .into(),
        })
    }
}

/// How the external address stands to this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runbook::chapters) enum Stand {
    /// It is on one of its interfaces.
    Own,
    /// It is not, but the controller sees the host there.
    Natted,
    /// It is not, and nothing says where the host is.
    Unknown,
    /// It is not, and the host is elsewhere.
    Other(IpAddr),
}

/// How an external address stands to this host.
pub(in crate::runbook::chapters) async fn stand(
    cx: &Cx<'_>,
    external: PublicIpv4,
) -> Result<Stand, StepError> {
    let whole = IpAddr::V4(external.address());
    let own = cx.host.addresses().await?;
    if own.contains(&whole) {
        return Ok(Stand::Own);
    }
    // A controller in the same network sees an inner address, which says nothing.
    let seen = cx.host.seen_address().filter(is_public_v4);
    Ok(match seen.or_else(|| own.into_iter().find(is_public_v4)) {
        Some(seen) if seen == whole => Stand::Natted,
        Some(seen) => Stand::Other(seen),
        None => Stand::Unknown,
    })
}

/// The host's own first inner IPv4 address.
pub(in crate::runbook::chapters) async fn inner(cx: &Cx<'_>) -> Result<Option<IpAddr>, StepError> {
    let own = cx.host.addresses().await?;
    Ok(own.into_iter().find(|ip| ip.is_ipv4() && !is_public_v4(ip)))
}

/// Whether the world can reach such an address.
pub(in crate::runbook) fn is_public_v4(ip: &IpAddr) -> bool {
    ip.is_ipv4() && ip.to_string().parse::<PublicIpv4>().is_ok()
}
