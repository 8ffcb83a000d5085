//! The TURN server and the updater.

use super::{Facts, Find, Row, Seen, TOLD};
use std::net::IpAddr;

pub(super) const ROWS: &[Row] = &[
    Row {
        code: "TURN_ADDRESS_PRIVATE",
        cause: "a TURN server that tells clients a private address",
        shown_by: "`TURN_EXTERNAL_IP` in `.env`",
        fix: "deploy with the host's public address as turn_external_ip: voice works in its own network only until then",
        find: Find::Seen(private),
        ..TOLD
    },
    Row {
        code: "TURN_BEHIND_NAT",
        cause: "a TURN server told to listen at an address that the host does not have, as behind one-to-one NAT",
        shown_by: "`Cannot bind … errno=99` in its log; the address is none of the host's",
        fix: "deploy with one of the host's own addresses, give the host that address, or deploy without TURN",
        find: Find::Seen(nat),
        ..TOLD
    },
    Row {
        code: "TURN_NOT_LISTENING",
        cause: "a TURN server that does not listen; where it does, a firewall outside cannot be told from here: open UDP and TCP 3478 and 5349, and UDP 49152 to 49200",
        shown_by: "nobody on UDP 3478",
        fix: "read the last lines of `docker logs chatalot-turn`, mend what they name",
        ..TOLD
    },
    Row {
        code: "OUTSIDE_TURN_SHUT",
        cause: "a TURN server that the world does not reach, as behind a provider's firewall",
        shown_by: "the controller's look from outside",
        fix: "open UDP and TCP 3478 and 5349, and UDP 49152 to 49200, in the provider's firewall",
        ..TOLD
    },
    Row {
        code: "UPDATER_REGISTRY_DENIED",
        cause: "an updater without credentials for the registry",
        shown_by: "401 of a registry in the updater's log since it was started",
        fix: "write {\"username\":\"…\",\"password\":\"…\",\"serveraddress\":\"…\"} with a read-only token into secrets/registry_creds, then `docker restart chatalot-updater`",
        find: Find::Seen(updater),
        ..TOLD
    },
];

fn private(facts: &Facts) -> Option<Seen> {
    facts.site.turn?;
    let ip = facts.turn_address?;
    let inner = ip.is_private() || ip.is_loopback() || ip.is_link_local();
    inner.then(|| Seen::of(format!("TURN_EXTERNAL_IP is {ip}")))
}

fn nat(facts: &Facts) -> Option<Seen> {
    facts.site.turn?;
    let said = facts.said("coturn", &["Cannot bind", "errno=99"])?;
    let foreign = facts
        .turn_address
        .filter(|ip| !facts.addresses.contains(&IpAddr::V4(*ip)));
    let saw = foreign.map_or_else(
        || "the TURN server cannot bind its address".to_owned(),
        |ip| format!("{ip} is none of this host's addresses"),
    );
    // The check knows the inner address that it is to listen at.
    let fix = facts.told("TURN_BEHIND_NAT").map(|told| told.fix.clone());
    Some(Seen {
        saw,
        fix,
        lines: vec![said.clone()],
    })
}

fn updater(facts: &Facts) -> Option<Seen> {
    let log = facts.logs.get("chatalot-updater")?;
    let said = log.iter().rev().find(|line| is_refused(line))?;
    let creds = facts.secrets.iter().find(|file| file.name == "registry_creds");
    let saw = match creds {
        None => "no secrets/registry_creds",
        Some(file) if file.empty => "an empty secrets/registry_creds",
        Some(_) => "a registry that refuses what is in secrets/registry_creds",
    };
    Some(Seen {
        saw: saw.to_owned(),
        fix: None,
        lines: vec![said.clone()],
    })
}

/// Whether a line tells of a registry that refuses; a number in a time or an address does not.
fn is_refused(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    let word = |word: &str| line.contains(word);
    let is_separate = |(at, _): (usize, &str)| {
        let before = line[..at].chars().next_back();
        let after = line[at + 3..].chars().next();
        before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '.' | ','))
            && after.is_none_or(|c| !c.is_alphanumeric())
    };
    let answered = line.match_indices("401").any(is_separate);
    let of_http = ["http", "status", "code", "pull", "registry", "manifest"]
        .into_iter()
        .any(word);
    (answered && of_http) || word("401 unauthorized") || word("authentication required")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_other_numbers() {
        for line in [
            "pull phase: 401 Unauthorized",
            "registry answered with HTTP 401",
            "error: unauthorized: authentication required",
        ] {
            assert!(is_refused(line), "{line}");
        }
        for line in [
            "2026-11-27T10:00:00.401Z asking the registry",
            "pulled 401284 bytes from the registry",
            "12:00:01,401 registry asked",
            "release 401 is not signed",
        ] {
            assert!(!is_refused(line), "{line}");
        }
    }
}
