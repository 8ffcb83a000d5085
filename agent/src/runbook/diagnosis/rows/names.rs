//! Where the domain leads.

use super::{Row, TOLD};

pub(super) const ROWS: &[Row] = &[
    Row {
        code: "DNS_NONE",
        cause: "a domain without an address",
        fix: "make an A record with the host's address",
        ..TOLD
    },
    Row {
        code: "DNS_WRONG",
        cause: "a domain that leads elsewhere",
        fix: "set the A record to the host's address",
        ..TOLD
    },
    Row {
        code: "DNS_STALE_AAAA",
        cause: "an IPv6 address that is not this host's",
        fix: "remove the AAAA record, or set it to the host's own",
        ..TOLD
    },
    Row {
        code: "TUNNEL_NAME_NONE",
        cause: "a tunnel whose public hostname is not made",
        fix: "give the tunnel the public hostname in Cloudflare's dashboard, with the service http://chatalot:8080",
        ..TOLD
    },
    Row {
        code: "TUNNEL_NAME_ELSEWHERE",
        cause: "a domain of a tunnel that leads past Cloudflare",
        fix: "remove the domain's A and AAAA records, and give the tunnel the public hostname",
        ..TOLD
    },
    Row {
        code: "TUNNEL_NOT_CONNECTED",
        cause: "a tunnel without its connector",
        fix: "see whether the token is the tunnel's, and whether the host may connect out on port 7844",
        ..TOLD
    },
    Row {
        code: "TUNNEL_BAD_SERVICE",
        cause: "a tunnel that does not reach chatalot",
        fix: "set the service of the public hostname to http://chatalot:8080 in Cloudflare's dashboard",
        ..TOLD
    },
    Row {
        code: "TUNNEL_NO_HOSTNAME",
        cause: "a tunnel that does not serve the domain",
        fix: "give the tunnel the public hostname in Cloudflare's dashboard",
        ..TOLD
    },
    Row {
        code: "DNS_DISAGREE",
        cause: "resolvers that disagree, as after a change",
        fix: "wait until the old record's time to live is over, then deploy again",
        ..TOLD
    },
    Row {
        code: "DNS_CDN",
        cause: "a domain behind a content network",
        fix: "let the domain lead to the host itself",
        ..TOLD
    },
    Row {
        code: "DNS_UNREACHABLE",
        cause: "no resolver answers",
        fix: "see that the host's name resolution works",
        ..TOLD
    },
];
