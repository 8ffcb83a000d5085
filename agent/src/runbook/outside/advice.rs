//! What is told of what was seen, and not seen, from outside.

use super::judge::Expected;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::outside::{Door, RELAYS, Saw, Seen, TURN, WEB, listed};
use std::net::IpAddr;

fn untold(code: &'static str, saw: &str, fix: impl Into<String>) -> Advice {
    Advice::new(
        code,
        format!("cannot be told from here: {saw}"),
        "a look from outside",
        fix,
    )
}

/// The controller, or this agent, is older than what was said.
pub(super) fn not_understood() -> Advice {
    untold(
        "OUTSIDE_OTHER_CONTROLLER",
        "the controller does not know this question, or this agent not its answer",
        "upgrade whichever of the two is older",
    )
}

/// The controller finds no address.
pub(super) fn unknown_name(expected: &Expected<'_>) -> Advice {
    untold(
        "OUTSIDE_NAME_UNKNOWN",
        &format!("{} has no address where the controller asks", expected.domain),
        "see that the controller's resolvers know the domain as the world does, or give it others with `serve --resolver`",
    )
}

/// The controller finds addresses that it does not knock at.
pub(super) fn private(expected: &Expected<'_>, barred: &[Seen]) -> Advice {
    let barred: Vec<String> = barred.iter().map(|seen| seen.address.to_string()).collect();
    untold(
        "OUTSIDE_PRIVATE",
        &format!(
            "{} leads to {}, where the controller does not look: a private address or one of its own",
            expected.domain,
            barred.join(", ")
        ),
        "ask from a controller on another machine; for a private network of yours, start it with `--look-at NETWORK`",
    )
}

/// No sign of life at any address.
pub(super) fn nobody(expected: &Expected<'_>) -> Advice {
    untold(
        "OUTSIDE_NO_ANSWER",
        "the controller gets no sign of life from the domain's addresses",
        format!(
            "open TCP 80 and 443 in the provider's firewall, and see that the controller's own network lets it out; from any machine elsewhere: `curl -sS https://{}/api/health`",
            expected.domain
        ),
    )
}

/// Ports that are open and must not be, and whose they are where a container of the site's publishes them.
pub(super) fn is_public(seen: &Seen, doors: &[Door], published: &[(String, u16)]) -> Advice {
    let theirs = published
        .iter()
        .filter(|(_, port)| doors.contains(&Door::tcp(*port)));
    let advice = Advice::new(
        "PORT_PUBLIC",
        format!("open to the world at {}: {}", seen.address, listed(doors)),
        "the database's and Docker's ports shut",
        "see who listens with `ss -tlnp`, bind it to 127.0.0.1 or stop it, and close the ports in the provider's firewall: whoever reaches Docker's is root here",
    );
    advice.with_evidence(theirs.map(|(name, port)| format!("the container `{name}` publishes {port}")))
}

/// Ports that containers beside chatalot publish to everybody.
pub(super) fn is_published(public: &[(String, u16)]) -> Advice {
    let public: Vec<String> = public
        .iter()
        .map(|(name, port)| format!("{name} at {port}"))
        .collect();
    Advice::new(
        "PORT_PUBLIC",
        format!("published on every address of this host: {}", public.join(", ")),
        "no port of chatalot's but its own published",
        "take those ports out of the override file, or bind them to 127.0.0.1 there, then run `docker compose up -d` in chatalot's folder: Docker publishes past ufw",
    )
}

/// chatalot's own port is open.
pub(super) fn own_port_is_public(expected: &Expected<'_>, seen: &Seen) -> Advice {
    let merge = if expected.proxy_is_ours {
        "deploy again with `--loopback-only`, which merges that into docker-compose.override.yml; or "
    } else {
        "where your proxy reaches chatalot at 127.0.0.1, deploy again with `--loopback-only`, which merges that into docker-compose.override.yml; or "
    };
    Advice::new(
        "PORT_8080_PUBLIC",
        format!(
            "TCP 8080 is open to the world at {}: chatalot without TLS, beside the proxy; Docker publishes it past ufw",
            seen.address
        ),
        "chatalot's own port on 127.0.0.1 alone",
        format!(
            "{}close TCP 8080 in the provider's firewall",
            if expected.may_shut { merge } else { "" }
        ),
    )
}

/// Doors that are not reached at an address that is.
pub(super) fn is_shut(expected: &Expected<'_>, seen: &Seen, doors: &[Door]) -> Advice {
    let is_turn = doors.iter().all(|door| TURN.contains(door));
    let code = if is_turn {
        "OUTSIDE_TURN_SHUT"
    } else {
        "OUTSIDE_PORT_SHUT"
    };
    let relays = if doors.iter().any(|door| RELAYS.contains(&door.port)) {
        "; the relays need all of UDP 49152 to 49200"
    } else {
        ""
    };
    let no_address = if seen.address.is_ipv6() {
        format!("; or take the AAAA record of {} away", expected.domain)
    } else {
        String::new()
    };
    Advice::new(
        code,
        format!(
            "{} at {} is not reached from outside, though the address is",
            listed(doors),
            seen.address
        ),
        format!("{} open to the world", listed(doors)),
        format!(
            "open {} in the provider's firewall (its panel, or the security group), and where the host is behind NAT forward it{relays}{no_address}; then deploy again",
            listed(doors)
        ),
    )
}

/// Doors of which nothing can be told.
pub(super) fn no_answer(seen: &Seen, doors: &[Door]) -> Advice {
    let no_route = doors.iter().any(|door| {
        seen.sights
            .iter()
            .any(|sight| sight.door == *door && sight.saw == Saw::NoRoute)
    });
    let why = if no_route {
        "the controller has no way to such an address"
    } else {
        "no answer, and no sign of life that would tell a firewall here from one at the controller"
    };
    Advice::new(
        "OUTSIDE_PARTLY_UNTOLD",
        format!("cannot be told: {} at {}: {why}", listed(doors), seen.address),
        "an answer",
        format!(
            "see that {} is open in the provider's firewall; a controller in another network may tell more",
            listed(doors)
        ),
    )
}

/// A TURN server at an address that the domain does not lead to, as behind a tunnel.
pub(super) fn turn_elsewhere(expected: &Expected<'_>, turn: IpAddr) -> Advice {
    Advice::new(
        "OUTSIDE_PARTLY_UNTOLD",
        format!(
            "cannot be told: the TURN server at {turn}: the controller looks where {} leads, and that is not there",
            expected.domain
        ),
        "an answer",
        "see that UDP and TCP 3478 and 5349, and UDP 49152 to 49200, are open in the provider's firewall, and try a call between two networks",
    )
}

/// Somebody else answers.
pub(super) fn leads_elsewhere(expected: &Expected<'_>, seen: &Seen, doors: &[Door]) -> Advice {
    Advice::new(
        "OUTSIDE_ELSEWHERE",
        format!(
            "{} at {} is answered by somebody else than this host",
            listed(doors),
            seen.address
        ),
        format!("{} leading here", expected.domain),
        format!(
            "see that the A and AAAA records of {} are this host's addresses as the world knows them, and that nothing in between (a load balancer, a router) takes its connections; then deploy again",
            expected.domain
        ),
    )
}

/// Another chatalot answers.
pub(super) fn other_site(expected: &Expected<'_>, seen: &Seen, what: &str) -> Advice {
    let mut advice = leads_elsewhere(expected, seen, &WEB[1..]);
    advice.saw = format!("https://{} at {}: {what}", expected.domain, seen.address);
    advice
}

/// The site answers otherwise than on the host.
pub(super) fn wrong_answer(expected: &Expected<'_>, seen: &Seen, name: &str, detail: &str) -> Advice {
    Advice::new(
        "OUTSIDE_WRONG_ANSWER",
        format!(
            "https://{}{name} at {}, asked from outside: {detail}",
            expected.domain, seen.address
        ),
        "the answer that the host itself gets",
        format!(
            "see what stands between the world and the proxy (a load balancer, a content network), and {}",
            expected.journal
        ),
    )
}
