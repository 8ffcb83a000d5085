//! The proxy, its certificate and the public address.

use super::{ENDED, Facts, Find, Row, Seen, TOLD};
use crate::runbook::firewalls;

pub(super) const ROWS: &[Row] = &[
    Row {
        code: "ACME_RATE_LIMITED",
        cause: "too many refused certificates",
        shown_by: "the proxy's journal",
        fix: "mend what the refusals name, wait an hour, then deploy again; `--acme staging` meanwhile",
        ..TOLD
    },
    Row {
        code: "ACME_FAILED",
        cause: "an authority that does not reach this host, or is not authorised",
        shown_by: "the proxy's journal",
        fix: "open ports 80 and 443 in the provider's firewall, see that DNS leads here, then deploy again",
        ..TOLD
    },
    Row {
        code: "ACME_DIRECTORY_ODD",
        cause: "an authority's address that cannot be used",
        fix: "give the directory's plain address",
        ..TOLD
    },
    Row {
        code: "CADDY_INVALID",
        cause: "a configuration that the proxy refuses",
        fix: "run `caddy validate`, mend what it names, then deploy again",
        ..ENDED
    },
    Row {
        code: "CADDY_RELOAD_FAILED",
        cause: "a proxy that does not take up its configuration",
        fix: "look at the proxy's journal, mend what it names, then deploy again",
        ..ENDED
    },
    Row {
        code: "PROXY_DOWN",
        cause: "a proxy that does not run",
        shown_by: "nobody listens on port 443 of the host itself",
        fix: "look at the proxy's journal, mend what it names, then start it",
        ..TOLD
    },
    Row {
        code: "SELINUX_DENIES",
        cause: "SELinux keeps the proxy from chatalot",
        shown_by: "502 through the proxy, chatalot well, SELinux enforcing and `httpd_can_network_connect` off",
        fix: "run `setsebool -P httpd_can_network_connect 1`",
        find: Find::Seen(selinux),
        ..TOLD
    },
    Row {
        code: "PROXY_BAD_GATEWAY",
        cause: "a proxy that does not reach chatalot, which is well",
        shown_by: "502 to 504 at the public address",
        fix: "see that the proxy forwards to 127.0.0.1:8080",
        ..TOLD
    },
    Row {
        code: "WEBSOCKET_NOT_FORWARDED",
        cause: "a proxy that does not forward WebSockets",
        shown_by: "no 101 at /ws through the proxy, 101 without it",
        fix: "forward the Connection and Upgrade headers for /ws, over HTTP/1.1",
        ..TOLD
    },
    Row {
        code: "FIREWALL_CLOSED",
        cause: "the host's own firewall keeps the site's ports shut, or those of its TURN server",
        shown_by: "the rules of ufw or firewalld, which is at work",
        fix: "open TCP 80 and 443 there, and for TURN UDP and TCP 3478 and 5349 and UDP 49152 to 49200",
        find: Find::Seen(firewall),
        ..TOLD
    },
    Row {
        code: "PUBLIC_UNREACHABLE",
        cause: "a public address that takes no connection",
        shown_by: "no connection from the host to its own public address",
        fix: "open TCP 80 and 443 in the provider's firewall; where the network does not lead a host back to itself, check from outside",
        ..TOLD
    },
    Row {
        code: "OUTSIDE_PORT_SHUT",
        cause: "a port that the world does not reach, as behind a provider's firewall",
        shown_by: "the controller's look from outside",
        fix: "open it in the provider's firewall, and where the host is behind NAT forward it",
        ..TOLD
    },
    Row {
        code: "OUTSIDE_ELSEWHERE",
        cause: "a domain whose address is somebody else's, as the world sees it",
        shown_by: "the controller's look from outside",
        fix: "see that DNS, and whatever is between, leads to this host",
        ..TOLD
    },
    Row {
        code: "OUTSIDE_WRONG_ANSWER",
        cause: "a site that answers the world otherwise than this host",
        shown_by: "the controller's look from outside",
        fix: "as the finding says",
        ..TOLD
    },
    Row {
        code: "PUBLIC_NAME_UNKNOWN",
        cause: "a resolver on the host that does not know the domain",
        fix: "see that the host's own resolver knows the domain",
        ..TOLD
    },
    Row {
        code: "PROXY_OTHER_CHATALOT",
        cause: "another chatalot at the public address",
        fix: "see that DNS and proxy lead to this host",
        ..TOLD
    },
    Row {
        code: "PROXY_WRONG_ANSWER",
        cause: "another site at the public address",
        fix: "see which site the proxy answers with for the domain",
        ..TOLD
    },
    Row {
        code: "ADMIN_OTHER",
        cause: "an administrator of another name than the site was deployed for, so that its route stays limited",
        shown_by: "the accounts in chatalot's database",
        fix: "if that was you, run `open`; if it was not, a stranger owns the site: take it away and install it anew",
        ..TOLD
    },
    Row {
        code: "ADMIN_UNTOLD",
        cause: "a database that does not tell whether the administrator has registered, so that the route stays limited",
        shown_by: "what chatalot's database answers",
        symptom: true,
        fix: "register the administrator, then run `open`",
        ..TOLD
    },
    Row {
        code: "CERTIFICATE_UNTRUSTED",
        cause: "a certificate that is not trusted",
        fix: "see in the proxy's journal why there is none; an authority of one's own must be in the trust store",
        ..TOLD
    },
    Row {
        code: "CERTIFICATE_ENDING",
        cause: "a certificate that is not renewed",
        fix: "see in the proxy's journal why it is not renewed",
        ..TOLD
    },
];

fn selinux(facts: &Facts) -> Option<Seen> {
    let told = facts.told("PROXY_BAD_GATEWAY").filter(|_| facts.selinux)?;
    Some(Seen::of(format!(
        "{}; SELinux is enforcing, and httpd_can_network_connect is off",
        told.saw
    )))
}

fn firewall(facts: &Facts) -> Option<Seen> {
    let first = facts.shut.first()?;
    let ours = || facts.shut.iter().filter(|shut| shut.firewall == first.firewall);
    let openings: Vec<_> = ours().map(|shut| shut.opening).collect();
    let commands: Vec<String> = ours().map(|shut| format!("`{}`", shut.fix)).collect();
    Some(Seen {
        saw: format!(
            "{} is at work and shuts {}",
            first.firewall,
            firewalls::listed(&openings)
        ),
        fix: Some(format!(
            "run {}; deploying again opens them too",
            commands.join(", ")
        )),
        ..Seen::default()
    })
}
