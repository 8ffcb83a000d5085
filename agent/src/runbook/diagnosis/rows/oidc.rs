//! The issuer that logins are handed to.

use super::{Row, TOLD};

const TOLD_OF_ISSUER: Row = Row {
    shown_by: "its discovery document, as the host is given it",
    ..TOLD
};

pub(super) const ROWS: &[Row] = &[
    Row {
        code: "OIDC_UNREACHABLE",
        cause: "an issuer that the host does not reach, or whose certificate it does not trust",
        fix: "see that the host reaches the issuer and trusts its certificate, and that chatalot's container does too; then deploy again",
        ..TOLD_OF_ISSUER
    },
    Row {
        code: "OIDC_NOT_FOUND",
        cause: "an issuer's address without a discovery document",
        fix: "look up the issuer's exact address in the identity provider (its path included), and deploy again with it",
        ..TOLD_OF_ISSUER
    },
    Row {
        code: "OIDC_NOT_DISCOVERY",
        cause: "something else than a discovery document at the issuer's address",
        fix: "look up the issuer's exact address in the identity provider (its path included), and deploy again with it",
        ..TOLD_OF_ISSUER
    },
    Row {
        code: "OIDC_ISSUER_MISMATCH",
        cause: "an issuer of another name than the site's, be it by a slash alone",
        fix: "if the name in the document is the right one, deploy again with it as oidc_issuer",
        ..TOLD_OF_ISSUER
    },
    Row {
        code: "OIDC_ENDPOINTS",
        cause: "an issuer that lacks an endpoint which logins need, or has one without https",
        fix: "mend the identity provider: behind a proxy it often has to be told its own public https address; then deploy again",
        ..TOLD_OF_ISSUER
    },
];
