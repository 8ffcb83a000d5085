//! The TURN server and the updater.

use super::{ENDED, Facts, Find, Row, Seen, TOLD};
use crate::runbook::chapters::is_public_v4;
use std::net::IpAddr;

const TOLD_OF_RELAY: Row = Row {
    shown_by: "what the TURN server answers to the site's own credentials",
    ..TOLD
};

pub(super) const ROWS: &[Row] = &[
    Row {
        code: "TURN_IP_NOT_OURS",
        cause: "an address for voice and video that is not this host's",
        shown_by: "the host's addresses, and the one that the controller sees it at",
        fix: "deploy again with the host's own public address as turn_external_ip, or without TURN",
        ..TOLD
    },
    Row {
        code: "TURN_ADDRESS_PRIVATE",
        cause: "a TURN server that tells clients an address which the world cannot reach: a private one, or one shared behind a provider's NAT",
        shown_by: "`TURN_EXTERNAL_IP` in `.env`",
        fix: "put the public address that was deployed back into `.env`, then `docker compose up -d chatalot coturn` in chatalot's folder: voice works in its own network only until then",
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
        code: "TURN_SECRET_MISSING",
        cause: "no secret that chatalot and its TURN server share",
        shown_by: "neither `secrets/turn_secret` nor a TURN password in `.env`",
        fix: "restore secrets/turn_secret from the backup, or make a new one with `openssl rand -hex 32`, then `docker compose up -d --force-recreate chatalot coturn` in chatalot's folder",
        find: Find::Seen(no_secret),
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
        code: "TURN_CREDENTIALS",
        cause: "a TURN server that was started with another secret than chatalot has now",
        fix: "run `docker compose up -d --force-recreate coturn` in chatalot's folder; where the clock is wrong, mend that first",
        ..TOLD_OF_RELAY
    },
    Row {
        code: "TURN_NO_RELAY",
        cause: "a TURN server that runs and gives no relay",
        fix: "look at `docker logs --tail 50 chatalot-turn`, mend what it names, then `docker restart chatalot-turn`",
        ..TOLD_OF_RELAY
    },
    Row {
        code: "TURN_OPEN",
        cause: "a TURN server that gives relays to everybody",
        shown_by: "a relay without credentials",
        fix: "see that coturn's command has `--use-auth-secret` or `--lt-cred-mech`, then `docker compose up -d coturn` in chatalot's folder",
        ..TOLD
    },
    Row {
        code: "TURN_RELAY_ADDRESS",
        cause: "relays at an address that the world does not reach, as behind one-to-one NAT",
        fix: "give coturn, in docker-compose.override.yml, the command with both addresses that the finding names, then `docker compose up -d coturn`; or deploy without TURN",
        ..TOLD_OF_RELAY
    },
    Row {
        code: "TURN_RELAY_RANGE",
        cause: "relays at ports that nobody opens for them",
        fix: "give coturn `--min-port=49152` and `--max-port=49200`, then `docker compose up -d coturn` in chatalot's folder",
        ..TOLD_OF_RELAY
    },
    Row {
        code: "TURN_NO_TCP",
        cause: "a TURN server that relays over UDP and not over TCP, which some networks alone let through",
        fix: "look at `docker logs --tail 50 chatalot-turn` for what it says of its listeners, mend that, then `docker restart chatalot-turn`",
        ..TOLD_OF_RELAY
    },
    Row {
        code: "TURN_NO_TLS",
        cause: "a TURN server that listens for TLS and does not relay over it",
        fix: "look at `docker logs --tail 50 chatalot-turn` for what it says of its certificate, mend that, then `docker restart chatalot-turn`",
        ..TOLD_OF_RELAY
    },
    Row {
        code: "OUTSIDE_TURN_SHUT",
        cause: "a TURN server that the world does not reach, as behind a provider's firewall",
        shown_by: "the controller's look from outside",
        fix: "open UDP and TCP 3478 and 5349, and UDP 49152 to 49200, in the provider's firewall",
        ..TOLD
    },
    Row {
        code: "UPDATER_NOT_RESTARTED",
        cause: "an updater that does not start anew with the registry's credentials",
        fix: "mend what the finding's lines name, then run `docker compose restart chatalot-updater` in chatalot's folder or deploy again",
        ..ENDED
    },
    Row {
        code: "UPDATER_REGISTRY_DENIED",
        cause: "an updater without credentials for the registry",
        shown_by: "401 of a registry in the updater's log since it was started",
        fix: "deploy again where the site has registry credentials, which writes them and starts the updater anew; else write {\"username\":\"…\",\"password\":\"…\",\"serveraddress\":\"…\"} with a read-only token into secrets/registry_creds, then `docker restart chatalot-updater`",
        find: Find::Seen(updater),
        ..TOLD
    },
];

fn private(facts: &Facts) -> Option<Seen> {
    let ip = facts.turn_address.filter(|ip| !is_public_v4(&IpAddr::V4(*ip)))?;
    let (wanted, folder) = (facts.site.turn?.address(), &facts.site.folder);
    Some(Seen {
        saw: format!("TURN_EXTERNAL_IP is {ip}"),
        fix: Some(format!(
            "put back what was deployed: `sed -i 's/^TURN_EXTERNAL_IP=.*/TURN_EXTERNAL_IP={wanted}/' {folder}/.env`, then `docker compose up -d chatalot coturn` in {folder}; until then voice works in its own network only"
        )),
        ..Seen::default()
    })
}

/// As the check tells it, which asks where nothing was installed too.
fn no_secret(facts: &Facts) -> Option<Seen> {
    let told = facts.told("TURN_SECRET_MISSING").filter(|_| facts.installed)?;
    Some(Seen {
        saw: told.saw.clone(),
        fix: Some(told.fix.clone()),
        ..Seen::default()
    })
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
        ..Seen::default()
    })
}

fn updater(facts: &Facts) -> Option<Seen> {
    let log = facts.logs.get("chatalot-updater")?;
    let said = log.iter().rev().find(|line| is_refused(line))?;
    let creds = facts.secrets.iter().find(|file| file.name == "registry_creds");
    let (saw, is_there) = match creds {
        None => ("no secrets/registry_creds", false),
        Some(file) if file.empty => ("an empty secrets/registry_creds", false),
        Some(_) => ("a registry that refuses what is in secrets/registry_creds", true),
    };
    let has_credentials = facts.site.registry_user.is_some() && facts.site.updates;
    // A deployment writes no token that the registry refuses, and the one that is there is refused.
    let fix = has_credentials.then_some(if is_there {
        "make a read-only token at the registry, and deploy again with registry_user and registry_token"
    } else {
        "deploy again, which writes the site's credentials into it and starts the updater anew"
    });
    Some(Seen {
        saw: saw.to_owned(),
        fix: fix.map(str::to_owned),
        ours: Some(has_credentials && !is_there),
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
