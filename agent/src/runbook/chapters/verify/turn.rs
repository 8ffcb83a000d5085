//! Voice and video: the TURN server gives relays to the site's own users, which its container being up does not show.

use super::SETTLING;
use crate::host::{Transport, TurnAsk, TurnError, TurnOver};
use crate::runbook::chapters::bare;
use crate::runbook::chapters::preflight::turn as address;
use crate::runbook::{Cx, Step, StepError, evidence};
use crate::stun::dialogue::{Credentials, Refusal, Relay};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::secret::Secret;
use chatalot_protocol::site::{PublicIpv4, Site};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

const PLAIN: u16 = 3478;
const TLS: u16 = 5349;
/// The ports of chatalot's relays, which the handover names for the firewall.
const RELAYS: RangeInclusive<u16> = 49_152..=49_200;
/// How long the credentials of a check are good for.
const VALID_MS: i64 = 10 * 60 * 1000;
/// More of the host's own addresses are not tried.
const MOST: usize = 6;

/// The TURN server gives relays.
pub(super) struct Turn;

#[async_trait]
impl Step for Turn {
    fn id(&self) -> &'static str {
        "verify.turn"
    }

    fn title(&self) -> &'static str {
        "The TURN server relays"
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
        let Some(external) = cx.site.turn else {
            return Ok(Verdict::satisfied("not asked for"));
        };
        let Some(credentials) = credentials(cx).await? else {
            return Ok(no_credentials(cx.site).into());
        };
        let found = match search(cx, external, &credentials).await? {
            Ok(found) => found,
            Err(advice) => return Ok(advice.into()),
        };
        if let Some(advice) = judge(external, &found.relay) {
            return Ok(advice.into());
        }
        let tls = match others(cx, &found, &credentials).await? {
            Ok(tls) => tls,
            Err(advice) => return Ok(advice.into()),
        };
        let inner = if found.server == IpAddr::V4(external.address()) {
            String::new()
        } else {
            format!(" (one-to-one NAT: it listens at {})", found.server)
        };
        Ok(Verdict::satisfied(format!(
            "relays at {}{inner}, asked for over UDP and TCP {PLAIN}{tls}; whether the world reaches it only a client outside can tell",
            found.relay.relayed
        )))
    }
}

/// A TURN server that answered over UDP.
struct Found {
    server: IpAddr,
    relay: Relay,
}

/// The credentials that chatalot's own users are given: by the shared secret, or the one user of an older chatalot.
async fn credentials(cx: &Cx<'_>) -> Result<Option<Credentials>, StepError> {
    let folder = Path::new(cx.site.folder.as_str());
    let until = cx.host.now_ms() + VALID_MS;
    let file = cx.host.read(&folder.join("secrets/turn_secret")).await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
    if let Some(secret) = file.map(text).filter(|secret| !secret.is_empty()) {
        return Ok(Some(Credentials::of_secret(&Secret::new(secret), until)));
    }
    let env = text(cx.host.read(&folder.join(".env")).await?.unwrap_or_default());
    let value = |key: &str| {
        let mut lines = env.lines().filter_map(|line| line.split_once('='));
        let found = lines.find(|(name, _)| name.trim() == key);
        found
            .map(|(_, value)| bare(value).to_owned())
            .filter(|value| !value.is_empty())
    };
    if let Some(secret) = value("TURN_SECRET") {
        return Ok(Some(Credentials::of_secret(&Secret::new(secret), until)));
    }
    Ok(value("TURN_PASSWORD").map(|password| Credentials {
        user: value("TURN_USER").unwrap_or_else(|| "chatalot".to_owned()),
        password: Secret::new(password),
    }))
}

/// Asks at the external address, or behind one-to-one NAT at each of the host's own.
async fn search(
    cx: &Cx<'_>,
    external: PublicIpv4,
    credentials: &Credentials,
) -> Result<Result<Found, Advice>, StepError> {
    let own = cx.host.addresses().await?;
    let whole = IpAddr::V4(external.address());
    let servers = if own.contains(&whole) {
        vec![whole]
    } else {
        own.into_iter().filter(IpAddr::is_ipv4).take(MOST).collect()
    };
    for server in servers {
        match ask(cx, server, TurnOver::Udp, credentials).await {
            Ok(relay) => return Ok(Ok(Found { server, relay })),
            Err(TurnError::Refused(why)) => return Ok(Err(refused(cx.site, &why))),
            Err(TurnError::Silent(_) | TurnError::Tls(_)) => {}
        }
    }
    Ok(Err(nobody(cx, external).await?))
}

async fn ask(cx: &Cx<'_>, server: IpAddr, over: TurnOver, who: &Credentials) -> Result<Relay, TurnError> {
    let port = if over == TurnOver::Tls { TLS } else { PLAIN };
    let ask = TurnAsk {
        server: SocketAddr::new(server, port),
        over,
        credentials: who.clone(),
    };
    cx.host.turn(ask).await
}

/// The same over TCP, and over TLS where it is spoken at all: chatalot switches that off as it comes.
async fn others(
    cx: &Cx<'_>,
    found: &Found,
    credentials: &Credentials,
) -> Result<Result<String, Advice>, StepError> {
    if let Err(error) = ask(cx, found.server, TurnOver::Tcp, credentials).await {
        return Ok(Err(one_sided("TURN_NO_TCP", "TCP", PLAIN, &error)));
    }
    if !cx.host.port_is_taken(Transport::Tcp, TLS).await? {
        return Ok(Ok(format!("; TLS is off, nobody listens on {TLS}")));
    }
    Ok(match ask(cx, found.server, TurnOver::Tls, credentials).await {
        Ok(_) => Ok(format!(", and over TLS {TLS}")),
        Err(error) => Err(one_sided("TURN_NO_TLS", "TLS", TLS, &error)),
    })
}

/// What is wrong with a relay that was given.
fn judge(external: PublicIpv4, relay: &Relay) -> Option<Advice> {
    let relayed = relay.relayed;
    if relay.open {
        return Some(Advice::new(
            "TURN_OPEN",
            "a TURN server that gives relays to everybody, without credentials",
            "one that asks for the site's own credentials",
            "see that coturn's command has --use-auth-secret or --lt-cred-mech, then `docker compose up -d coturn` in chatalot's folder",
        ));
    }
    if relayed.ip() != IpAddr::V4(external.address()) {
        return Some(Advice::new(
            "TURN_RELAY_ADDRESS",
            format!("relays at {}, which the world does not reach", relayed.ip()),
            format!("relays at {}", external.address()),
            nat_fix(external, relayed.ip()),
        ));
    }
    (!RELAYS.contains(&relayed.port())).then(|| {
        Advice::new(
            "TURN_RELAY_RANGE",
            format!("a relay at port {}", relayed.port()),
            format!("relays within UDP {} to {}", RELAYS.start(), RELAYS.end()),
            format!(
                "give coturn --min-port={} and --max-port={}, then `docker compose up -d coturn` in chatalot's folder: these are the ports that are opened for it",
                RELAYS.start(),
                RELAYS.end()
            ),
        )
    })
}

fn nat_fix(external: PublicIpv4, inner: IpAddr) -> String {
    let external = external.address();
    format!(
        "in docker-compose.override.yml give the service coturn its command with --listening-ip={inner} --relay-ip={inner} --external-ip={external}/{inner} in place of --listening-ip={external}, then `docker compose up -d coturn`; or deploy without TURN"
    )
}

fn one_sided(code: &'static str, over: &str, port: u16, error: &TurnError) -> Advice {
    Advice::new(
        code,
        format!("a TURN server that relays over UDP, and not over {over} {port}: {error}"),
        format!("relays over {over} {port} too: some networks let nothing else through"),
        "look at `docker logs --tail 50 chatalot-turn` for what it says of its listeners and its certificate, mend that, then `docker restart chatalot-turn`",
    )
}

fn no_credentials(site: &Site) -> Advice {
    Advice::new(
        "TURN_SECRET_MISSING",
        format!(
            "neither {0}/secrets/turn_secret nor a TURN password in {0}/.env",
            site.folder
        ),
        "the secret that chatalot and its TURN server share",
        format!(
            "restore {}/secrets/turn_secret from the backup, or make a new one with `openssl rand -hex 32`, then `docker compose up -d --force-recreate chatalot coturn` there",
            site.folder
        ),
    )
}

fn refused(site: &Site, why: &Refusal) -> Advice {
    match why {
        Refusal::Credentials(_) => Advice::new(
            "TURN_CREDENTIALS",
            format!("the TURN server runs, and {why}"),
            "a TURN server and a chatalot that share one secret",
            format!(
                "the one that runs was started with another secret than is in {0}/secrets/turn_secret: `docker compose up -d --force-recreate coturn` in {0}; where the clock is wrong, mend that first",
                site.folder
            ),
        ),
        Refusal::Error(..) | Refusal::Odd(_) => Advice::new(
            "TURN_NO_RELAY",
            format!("the TURN server runs and gives no relay: {why}"),
            "a relay",
            "look at `docker logs --tail 50 chatalot-turn`, mend what it names, then `docker restart chatalot-turn`",
        ),
    }
}

/// Nobody answers, at any address that could be meant.
async fn nobody(cx: &Cx<'_>, external: PublicIpv4) -> Result<Advice, StepError> {
    let log = cx.host.container_log("chatalot-turn", 8).await?;
    let own = address::inner(cx).await?;
    let (code, saw, fix) = match address::stand(cx, external).await? {
        address::Stand::Own => (
            "TURN_NOT_LISTENING",
            format!("nobody answers on UDP {PLAIN}, although the container is up"),
            "read the lines below, mend what they name, then `docker restart chatalot-turn`".to_owned(),
        ),
        _ => (
            "TURN_BEHIND_NAT",
            format!(
                "nobody answers on UDP {PLAIN}: {} is no address of this host, so a TURN server that is told to listen there cannot",
                external.address()
            ),
            own.map_or_else(
                || "deploy with one of the host's own addresses, or without TURN".to_owned(),
                |own| nat_fix(external, own),
            ),
        ),
    };
    let wanted = "the TURN server on UDP 3478";
    Ok(Advice::new(code, saw, wanted, fix).with_evidence(evidence::masked(cx.host, cx.site, &log, 8).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_is_judged_by_its_address_its_port_and_who_gets_one() {
        let code = |relayed: &str, open: bool| {
            let relay = Relay {
                mapped: "203.0.113.42:40000".parse().unwrap(),
                relayed: relayed.parse().unwrap(),
                open,
            };
            judge("203.0.113.42".parse().unwrap(), &relay).map(|advice| advice.code.to_string())
        };
        assert_eq!(code("203.0.113.42:49200", false), None);
        assert_eq!(code("203.0.113.42:49152", true).as_deref(), Some("TURN_OPEN"));
        assert_eq!(
            code("10.0.0.5:49152", false).as_deref(),
            Some("TURN_RELAY_ADDRESS")
        );
        assert_eq!(
            code("203.0.113.42:49201", false).as_deref(),
            Some("TURN_RELAY_RANGE")
        );
    }
}
