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
