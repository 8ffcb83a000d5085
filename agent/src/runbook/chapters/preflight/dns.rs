//! Does the domain lead to this host? Asked of several resolvers, judged without any of them.

mod tunnel;

use crate::host::{Answers, Records};
use crate::runbook::cloudflare;
use crate::runbook::{Cx, Step, StepError};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// A fresh record shows everywhere within this time, or only once an old one's time to live is over, which may be hours.
const SPREADING: Duration = Duration::from_secs(90);

/// The domain's A and AAAA records are this host's addresses.
pub(in crate::runbook::chapters) struct Dns;

#[async_trait]
impl Step for Dns {
    fn id(&self) -> &'static str {
        "preflight.dns"
    }

    fn title(&self) -> &'static str {
        "The domain leads to this host"
    }

    fn budget(&self) -> Duration {
        SPREADING
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let mut addresses = cx.host.addresses().await?;
        addresses.extend(cx.host.seen_address());
        // Behind one-to-one NAT the address that the operator named for TURN is the only sign of it.
        addresses.extend(cx.site.turn.map(|ip| IpAddr::V4(ip.address())));
        let answers = cx.host.resolve(cx.site.domain.as_str()).await?;
        if cx.site.tunnel {
            return tunnel::judge(cx.site.domain.as_str(), &answers);
        }
        judge(cx.site.domain.as_str(), &Own::of(&addresses), &answers)
    }
}

/// The addresses that count as this host's.
struct Own {
    v4: Vec<Ipv4Addr>,
    v6: Vec<Ipv6Addr>,
}

impl Own {
    fn of(addresses: &[IpAddr]) -> Self {
        let mut own = Self {
            v4: Vec::new(),
            v6: Vec::new(),
        };
        for address in addresses {
            match address {
                IpAddr::V4(ip) => own.v4.push(*ip),
                IpAddr::V6(ip) => own.v6.push(*ip),
            }
        }
        own
    }

    /// Those that the world could reach this host at.
    fn public_v4(&self) -> impl Iterator<Item = &Ipv4Addr> {
        self.v4.iter().filter(|ip| !is_inner(**ip))
    }
}

fn is_inner(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    ip.is_private() || ip.is_loopback() || ip.is_link_local() || (a == 100 && (64..128).contains(&b))
}

/// How the resolvers' answers of one kind stand to our own addresses.
#[derive(Debug, PartialEq, Eq)]
enum Stand {
    /// Nobody answered.
    Unanswered,
    /// All say that there are none.
    None,
    /// All name only ours.
    Right,
    /// Some say so and others say otherwise.
    Mixed,
    /// None of them names only ours.
    Wrong,
}

fn stand<T: PartialEq>(views: &[&Vec<T>], own: &[T]) -> Stand {
    let right = |view: &&&Vec<T>| !view.is_empty() && view.iter().all(|ip| own.contains(ip));
    let rights = views.iter().filter(right).count();
    let empties = views.iter().filter(|view| view.is_empty()).count();
    match views.len() {
        0 => Stand::Unanswered,
        all if rights == all => Stand::Right,
        all if empties == all => Stand::None,
        _ if rights > 0 => Stand::Mixed,
        _ => Stand::Wrong,
    }
}

fn found<T>(records: &Records<T>) -> Option<&Vec<T>> {
    match records {
        Records::Found(list) => Some(list),
        Records::Failed(_) => None,
    }
}

fn judge(domain: &str, own: &Own, answers: &[Answers]) -> Result<Verdict, StepError> {
    let a: Vec<_> = answers.iter().filter_map(|one| found(&one.a)).collect();
    let aaaa: Vec<_> = answers.iter().filter_map(|one| found(&one.aaaa)).collect();
    let talk = Talk { domain, own, answers };
    let v4 = stand(&a, &own.v4);
    if v4 == Stand::Unanswered {
        return Err(StepError::passing(talk.unreachable()));
    }
    if a.iter()
        .flat_map(|view| view.iter())
        .any(|ip| cloudflare::owns(*ip))
    {
        return Ok(talk.behind_a_cdn().into());
    }
    let v6 = stand(&aaaa, &own.v6);
    let hidden = own.public_v4().next().is_none();
    let away = a
        .iter()
        .all(|view| !view.is_empty() && view.iter().all(|ip| !is_inner(*ip)));
    match (v4, v6) {
        (_, Stand::Wrong) => Ok(talk.stale_aaaa().into()),
        (Stand::Mixed, _) | (_, Stand::Mixed) => Err(StepError::passing(talk.disagree())),
        (Stand::Right, _) => Ok(Verdict::satisfied(talk.seen())),
        (Stand::None, Stand::Right) if hidden => Ok(Verdict::satisfied(talk.seen())),
        (Stand::None, _) => Ok(talk.none().into()),
        (Stand::Wrong, _) if hidden && away => Ok(Verdict::satisfied(format!(
            "{}; this host knows only inner addresses of its own, so whether that is this host shows when the certificate is asked for",
            talk.seen()
        ))),
        _ if a.iter().any(|view| view.is_empty()) => Err(StepError::passing(talk.disagree())),
        _ => Ok(talk.wrong().into()),
    }
}

/// The words for it.
struct Talk<'a> {
    domain: &'a str,
    own: &'a Own,
    answers: &'a [Answers],
}

impl Talk<'_> {
    fn seen(&self) -> String {
        let v4 = self.answers.iter().filter_map(|one| found(&one.a)).flatten();
        let v6 = self.answers.iter().filter_map(|one| found(&one.aaaa)).flatten();
        let mut all: Vec<String> = v4
            .map(ToString::to_string)
            .chain(v6.map(ToString::to_string))
            .collect();
        all.sort_unstable();
        all.dedup();
        if all.is_empty() {
            format!("{} has no address", self.domain)
        } else {
            format!("{} → {}", self.domain, all.join(", "))
        }
    }

    /// What to put into the record: the address the world knows us by, or any.
    fn target(&self) -> String {
        let own = self.own.public_v4().next().or(self.own.v4.first());
        own.map_or_else(|| "this host's public address".to_owned(), ToString::to_string)
    }

    fn advice(&self, code: &'static str, saw: String, wanted: String, fix: String) -> Advice {
        Advice::new(code, saw, wanted, fix).with_evidence(
            self.answers
                .iter()
                .map(|one| format!("{}: A {}, AAAA {}", one.resolver, text(&one.a), text(&one.aaaa))),
        )
    }

    fn unreachable(&self) -> Advice {
        self.advice(
            "DNS_UNREACHABLE",
            format!("no resolver could tell the address of {}", self.domain),
            "an answer from at least one".to_owned(),
            "see that the host can reach a name server (/etc/resolv.conf, outgoing port 53), and that the domain's own name servers answer; then deploy again".to_owned(),
        )
    }

    fn none(&self) -> Advice {
        self.advice(
            "DNS_NONE",
            format!("no A record for {}", self.domain),
            format!("{} → {}", self.domain, self.target()),
            format!(
                "create an A record for {} with {} at your DNS provider, then deploy again",
                self.domain,
                self.target()
            ),
        )
    }

    fn wrong(&self) -> Advice {
        self.advice(
            "DNS_WRONG",
            self.seen(),
            format!("{} → {} and nothing else", self.domain, self.target()),
            format!(
                "set the A record of {} to {} only, at your DNS provider; if this host has another public address, see that the domain and the host belong together; then deploy again",
                self.domain,
                self.target()
            ),
        )
    }

    fn stale_aaaa(&self) -> Advice {
        let own = self
            .own
            .v6
            .iter()
            .find(|ip| (ip.segments()[0] & 0xe000) == 0x2000);
        let fix = own.map_or_else(
            || {
                format!(
                    "remove the AAAA record of {}: this host has no IPv6 address",
                    self.domain
                )
            },
            |ip| format!("set the AAAA record of {} to {ip}, or remove it", self.domain),
        );
        self.advice(
            "DNS_STALE_AAAA",
            self.seen(),
            "no AAAA record, or this host's own IPv6 address: certificates are checked over IPv6 first"
                .to_owned(),
            format!("{fix}; then deploy again"),
        )
    }

    fn behind_a_cdn(&self) -> Advice {
        self.advice(
            "DNS_CDN",
            format!("{}, which is Cloudflare, not this host", self.seen()),
            format!("{} → {}", self.domain, self.target()),
            format!(
                "set the record of {} to \"DNS only\" (the grey cloud) at Cloudflare, with {}; then deploy again",
                self.domain,
                self.target()
            ),
        )
    }

    fn disagree(&self) -> Advice {
        self.advice(
            "DNS_DISAGREE",
            format!("resolvers that disagree about {}: {}", self.domain, self.seen()),
            format!("{} → {} everywhere", self.domain, self.target()),
            "a change of the record may still be spreading: wait for the record's time to live, then deploy again; else see that all name servers of the domain serve the same record, inside and outside of your network".to_owned(),
        )
    }
}

fn text<T: Display>(records: &Records<T>) -> String {
    match records {
        Records::Failed(why) => format!("failed ({why})"),
        Records::Found(list) if list.is_empty() => "none".to_owned(),
        Records::Found(list) => list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests;
