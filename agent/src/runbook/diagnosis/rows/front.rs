//! What is between the world and chatalot.

use super::{ENDED, Facts, Find, Row, Seen, TOLD};

pub(super) const ROWS: &[Row] = &[
    Row {
        code: "DNS_NONE",
        cause: "a domain without an address",
        ..TOLD
    },
    Row {
        code: "DNS_WRONG",
        cause: "a domain that leads elsewhere",
        ..TOLD
    },
    Row {
        code: "DNS_STALE_AAAA",
        cause: "an IPv6 address that is not this host's",
        ..TOLD
    },
    Row {
        code: "DNS_DISAGREE",
        cause: "resolvers that disagree, as after a change",
        ..TOLD
    },
    Row {
        code: "DNS_CDN",
        cause: "a domain behind a content network",
        ..TOLD
    },
    Row {
        code: "DNS_UNREACHABLE",
        cause: "no resolver answers",
        ..TOLD
    },
    Row {
        code: "ACME_RATE_LIMITED",
        cause: "too many refused certificates",
        shown_by: "the proxy's journal",
        ..TOLD
    },
    Row {
        code: "ACME_FAILED",
        cause: "an authority that does not reach this host, or is not authorised",
        shown_by: "the proxy's journal",
        ..TOLD
    },
    Row {
        code: "ACME_DIRECTORY_ODD",
        cause: "an authority's address that cannot be used",
        ..TOLD
    },
    Row {
        code: "PROXY_FOREIGN",
        cause: "a proxy that serves somebody else",
        ..ENDED
    },
    Row {
        code: "CADDY_INVALID",
        cause: "a configuration that the proxy refuses",
        ..ENDED
    },
    Row {
        code: "CADDY_RELOAD_FAILED",
        cause: "a proxy that does not take up its configuration",
        ..ENDED
    },
    Row {
        code: "PROXY_DOWN",
        cause: "a proxy that does not run",
        shown_by: "nobody listens on port 443 of the host itself",
        ..TOLD
    },
    Row {
        code: "SELINUX_DENIES",
        cause: "SELinux keeps the proxy from chatalot",
        shown_by: "502 through the proxy, chatalot well, SELinux enforcing",
        fix: "run `setsebool -P httpd_can_network_connect 1`",
        find: Find::Seen(selinux),
        ..TOLD
    },
    Row {
        code: "PROXY_BAD_GATEWAY",
        cause: "a proxy that does not reach chatalot, which is well",
        shown_by: "502 to 504 at the public address",
        ..TOLD
    },
    Row {
        code: "WEBSOCKET_NOT_FORWARDED",
        cause: "a proxy that does not forward WebSockets",
        shown_by: "no 101 at /ws through the proxy, 101 without it",
        ..TOLD
    },
    Row {
        code: "FIREWALL_CLOSED",
        cause: "the host's own firewall keeps the ports shut",
        shown_by: "no connection at the public address, and ufw or firewalld at work",
        fix: "open TCP 80 and 443",
        find: Find::Seen(firewall),
        ..TOLD
    },
    Row {
        code: "PUBLIC_UNREACHABLE",
        cause: "a public address that takes no connection",
        shown_by: "no connection from the host to its own public address",
        ..TOLD
    },
    Row {
        code: "PUBLIC_NAME_UNKNOWN",
        cause: "a resolver on the host that does not know the domain",
        ..TOLD
    },
    Row {
        code: "PROXY_OTHER_CHATALOT",
        cause: "another chatalot at the public address",
        ..TOLD
    },
    Row {
        code: "PROXY_WRONG_ANSWER",
        cause: "another site at the public address",
        ..TOLD
    },
    Row {
        code: "CERTIFICATE_UNTRUSTED",
        cause: "a certificate that is not trusted",
        ..TOLD
    },
    Row {
        code: "CERTIFICATE_ENDING",
        cause: "a certificate that is not renewed",
        ..TOLD
    },
];

fn selinux(facts: &Facts) -> Option<Seen> {
    let told = facts.told("PROXY_BAD_GATEWAY").filter(|_| facts.selinux)?;
    Some(Seen::of(format!("{}; SELinux is enforcing", told.saw)))
}

fn firewall(facts: &Facts) -> Option<Seen> {
    let told = facts.told("PUBLIC_UNREACHABLE")?;
    let (name, fix) = match *facts.firewalls.first()? {
        "ufw" => ("ufw", "run `ufw allow 80/tcp` and `ufw allow 443/tcp`"),
        name => (
            name,
            "run `firewall-cmd --permanent --add-service=http --add-service=https`, then `firewall-cmd --reload`",
        ),
    };
    Some(Seen {
        saw: format!("{}; {name} is at work", told.saw),
        fix: Some(fix.to_owned()),
        lines: Vec::new(),
    })
}
