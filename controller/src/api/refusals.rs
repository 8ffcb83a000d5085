//! What an operator is told when something cannot be done: stable codes, and the exact fix.

use crate::access::Role;
use crate::access::view::ApprovalView;
use crate::fleet::AskError;
use crate::http::{self, Reply};
use crate::model::Membership;
use crate::rotation::view::{Lack, Straggler};
use crate::rotation::{Phase, Step};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::names::DeploymentId;
use hyper::StatusCode;
use std::error::Error;
use uuid::Uuid;

/// Foreign text, fit to be shown.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

pub(super) fn failed(error: &dyn Error) -> Reply {
    log::error!(error:% = crate::chain(error); "a command failed");
    http::failure()
}

pub(super) fn host_unknown(name: &str) -> Reply {
    let name = shown(name);
    let advice = Advice::new(
        "HOST_UNKNOWN",
        format!("there is no host `{name}`"),
        "a host that was added",
        format!("see `chatalotctl host list`, or run `chatalotctl host add {name}`"),
    );
    http::refusal(StatusCode::NOT_FOUND, &advice)
}

pub(super) fn host_revoked(name: &str) -> Reply {
    let advice = Advice::new(
        "HOST_REVOKED",
        format!("`{name}` is not to come back"),
        "a name that is free, or a host that may join",
        format!("run `chatalotctl host readmit {name}`, or choose another name"),
    );
    http::refusal(StatusCode::CONFLICT, &advice)
}

pub(super) fn not_kept_out(name: &str) -> Reply {
    let advice = Advice::new(
        "HOST_NOT_KEPT_OUT",
        format!("`{name}` is not revoked, not locked, without an alarm, and its certificate is in force"),
        "a host that is kept out",
        format!("see `chatalotctl host show {name}`; on the host: `systemctl status chatalot-agent`"),
    );
    http::refusal(StatusCode::CONFLICT, &advice)
}

pub(super) fn name_taken(name: &str) -> Reply {
    let advice = Advice::new(
        "NAME_TAKEN",
        format!("there is a host `{name}` already"),
        "a name that is free",
        "choose another name; `chatalotctl host list` shows those that are taken",
    );
    http::refusal(StatusCode::CONFLICT, &advice)
}

pub(super) fn join_unknown(id: &str) -> Reply {
    let advice = Advice::new(
        "JOIN_UNKNOWN",
        format!("no key `{}` waits for approval", shown(id)),
        "the id of a key that waits",
        "see `chatalotctl host pending`; on the host, run the line again if it has ended",
    );
    http::refusal(StatusCode::NOT_FOUND, &advice)
}

pub(super) fn other_words(words: &str) -> Reply {
    let advice = Advice::new(
        "FINGERPRINT_DIFFERS",
        format!("the key that waits has the words `{words}`"),
        "the words that the host shows",
        "read them on the host again; if they differ, run `chatalotctl host deny` with the key's id: it is not your host",
    );
    http::refusal(StatusCode::CONFLICT, &advice)
}

pub(super) fn not_awaited(name: &str) -> Reply {
    let advice = Advice::new(
        "HOST_NOT_AWAITED",
        format!("`{name}` is not awaited, or no longer"),
        "a host that is to join by approval",
        format!("run `chatalotctl host add {name} --approve`; the key goes on waiting"),
    );
    http::refusal(StatusCode::CONFLICT, &advice)
}

pub(super) fn life_too_long(most_secs: u64) -> Reply {
    let advice = Advice::new(
        "TOKEN_LIFE_INVALID",
        "the token would live too long, or not at all",
        format!("1 to {most_secs} seconds"),
        "use a shorter --ttl; a token can be had again at any time",
    );
    http::refusal(StatusCode::BAD_REQUEST, &advice)
}

pub(super) fn step_does_not_follow(step: Step, phase: Phase) -> Reply {
    let fix = match phase {
        Phase::Back => "wait until the rollback is over, which `chatalotctl ca status` tells",
        Phase::Standby => "begin with `chatalotctl ca rotate`",
        _ => "see `chatalotctl ca status`: somebody else may have gone on meanwhile",
    };
    let advice = Advice::new(
        "CA_STEP_OUT_OF_ORDER",
        format!("`{step}`, while the rotation is in `{phase}`"),
        "a step that follows on this phase",
        fix,
    );
    http::refusal(StatusCode::CONFLICT, &advice)
}

pub(super) fn hosts_left_behind(stragglers: &[Straggler]) -> Reply {
    let lines = stragglers.iter().map(|straggler| {
        let lacks = match straggler.lacks {
            Lack::Trust => "has not said that it trusts what it was told to",
            Lack::Certificate | Lack::Unknown => "has a certificate of the root that is to end",
        };
        let here = if straggler.connected {
            ""
        } else {
            ", not connected"
        };
        format!("{}: {lacks}{here}", straggler.host)
    });
    let mut names: Vec<&str> = stragglers
        .iter()
        .map(|straggler| straggler.host.as_str())
        .collect();
    names.dedup();
    let shown: Vec<&str> = names.iter().copied().take(5).collect();
    let more = if names.len() > shown.len() { ", …" } else { "" };
    let advice = Advice::new(
        "CA_HOSTS_BEHIND",
        format!("hosts would be left behind: {}{more}", shown.join(", ")),
        "every host that may come in ready for this step",
        "wait until they were connected for a while, and upgrade agents that are older than this controller; put out a \
         host that will not come back with `chatalotctl host revoke NAME`, and let it in again with `chatalotctl host \
         readmit NAME` when it does",
    )
    .with_evidence(lines);
    http::refusal(StatusCode::CONFLICT, &advice)
}

pub(super) fn not_asked(name: &str, error: AskError) -> Reply {
    let (status, code, fix) = match error {
        AskError::NotConnected => (
            StatusCode::SERVICE_UNAVAILABLE,
            "HOST_NOT_CONNECTED",
            format!("see `chatalotctl host show {name}`; on the host: `systemctl status chatalot-agent`"),
        ),
        AskError::Lost => (
            StatusCode::BAD_GATEWAY,
            "HOST_CONNECTION_LOST",
            "try again".to_owned(),
        ),
        AskError::Busy => (
            StatusCode::SERVICE_UNAVAILABLE,
            "HOST_BUSY",
            "try again in a minute".to_owned(),
        ),
        AskError::Late => (
            StatusCode::GATEWAY_TIMEOUT,
            "HOST_SILENT",
            format!("try again; if it stays so, on the host: `journalctl -u chatalot-agent` (`{name}`)"),
        ),
    };
    let advice = Advice::new(code, error.to_string(), "an answer from the host", fix);
    http::refusal(status, &advice)
}

/// A host that is not a member now.
pub(super) fn not_active(name: &str, membership: Membership) -> Reply {
    if membership != Membership::Revoked && membership != Membership::Locked {
        return not_joined(name);
    }
    let advice = Advice::new(
        "HOST_KEPT_OUT",
        format!("`{name}` is kept out"),
        "a host that may come in",
        format!(
            "see why with `chatalotctl host show {name}`; let it in again with `chatalotctl host readmit {name}`"
        ),
    );
    http::refusal(StatusCode::CONFLICT, &advice)
}

pub(super) fn not_joined(name: &str) -> Reply {
    let advice = Advice::new(
        "HOST_NOT_CONNECTED",
        format!("`{name}` has not joined"),
        "a host that has joined",
        format!("run `chatalotctl host add {name}` again, and on the host the line that it prints"),
    );
    http::refusal(StatusCode::SERVICE_UNAVAILABLE, &advice)
}

pub(super) fn domain_not_allowed(name: &str, domain: &str, allowed: &[String]) -> Reply {
    let advice = Advice::new(
        "DOMAIN_NOT_ALLOWED",
        format!("`{domain}` for `{name}`"),
        format!("one of {}", allowed.join(", ")),
        "deploy one of these domains, or use a host that was added with this domain",
    );
    http::refusal(StatusCode::FORBIDDEN, &advice)
}

pub(super) fn deployment_unknown(id: &str) -> Reply {
    let advice = Advice::new(
        "DEPLOYMENT_UNKNOWN",
        format!("there is no deployment `{}`", shown(id)),
        "a deployment of this controller",
        "see `chatalotctl host list` for the latest of each host",
    );
    http::refusal(StatusCode::NOT_FOUND, &advice)
}

pub(super) fn deployment_running(name: &str, id: DeploymentId) -> Reply {
    let advice = Advice::new(
        "DEPLOYMENT_RUNNING",
        format!("deployment {id} of `{name}` is not over"),
        "one deployment at a time",
        format!(
            "wait for it with `chatalotctl watch {id}`, or end it with `chatalotctl deployment cancel {id}`"
        ),
    );
    http::refusal(StatusCode::CONFLICT, &advice)
}

/// One answer to whatever is wrong with a token: which it is is in the audit.
pub(super) fn not_authenticated() -> Reply {
    let advice = Advice::new(
        "NOT_AUTHENTICATED",
        "no valid API token: missing, unknown, expired or revoked",
        "a token of this controller",
        "have one made with `chatalotctl token add` and give it to `chatalotctl login`",
    );
    http::refusal(StatusCode::UNAUTHORIZED, &advice)
}

pub(super) fn too_many_failures() -> Reply {
    let advice = Advice::new(
        "TOO_MANY_TRIES",
        "too many refused tokens from one address",
        "at most twenty a minute",
        "wait a minute, then try again with a valid token",
    );
    http::refusal(StatusCode::TOO_MANY_REQUESTS, &advice)
}

/// The same whether the role is too small or the host is out of reach or not there at all.
pub(super) fn not_allowed(needs: Role) -> Reply {
    let advice = Advice::new(
        "NOT_ALLOWED",
        "this token does not reach that far",
        format!("the role `{needs}`, for this host"),
        "see `chatalotctl whoami`; an admin makes another token with `chatalotctl token add`",
    );
    http::refusal(StatusCode::FORBIDDEN, &advice)
}

pub(super) fn token_exists(name: &str) -> Reply {
    let advice = Advice::new(
        "TOKEN_EXISTS",
        format!("a token `{name}` is in force"),
        "a name that is free",
        format!("choose another name, or run `chatalotctl token revoke {name}` first"),
    );
    http::refusal(StatusCode::CONFLICT, &advice)
}

pub(super) fn token_unknown(name: &str) -> Reply {
    let advice = Advice::new(
        "TOKEN_UNKNOWN",
        format!("no token `{}` is in force", shown(name)),
        "the name or the id of a token",
        "see `chatalotctl token list`",
    );
    http::refusal(StatusCode::NOT_FOUND, &advice)
}

pub(super) fn two_reaches() -> Reply {
    let advice = Advice::new(
        "REQUEST_INVALID",
        "a host and a label",
        "one of them, or none for every host",
        "name either --host or --label",
    );
    http::refusal(StatusCode::BAD_REQUEST, &advice)
}

/// Not a refusal: the request is kept.
pub(super) fn approval_pending(id: Uuid, needs: Role) -> Reply {
    let advice = Advice::new(
        "APPROVAL_PENDING",
        format!("request {id} waits for somebody else's approval"),
        format!("somebody else with the role `{needs}`"),
        format!(
            "have them run `chatalotctl approval approve {id}`; `chatalotctl approval show {id}` tells how it stands"
        ),
    );
    http::refusal(StatusCode::ACCEPTED, &advice)
}

pub(super) fn approval_unknown(id: &str) -> Reply {
    let advice = Advice::new(
        "APPROVAL_UNKNOWN",
        format!("there is no request `{}`", shown(id)),
        "a request that waits for approval",
        "see `chatalotctl approval list`",
    );
    http::refusal(StatusCode::NOT_FOUND, &advice)
}

pub(super) fn approval_over(view: &ApprovalView) -> Reply {
    let advice = Advice::new(
        "APPROVAL_OVER",
        format!("request {} is decided, or its time is over", view.id),
        "a request that waits for approval",
        format!(
            "see `chatalotctl approval show {}`; if need be, ask anew",
            view.id
        ),
    );
    http::refusal(StatusCode::CONFLICT, &advice)
}

pub(super) fn own_request() -> Reply {
    let advice = Advice::new(
        "APPROVAL_BY_ANOTHER",
        "whoever asked is who approves",
        "somebody else",
        "have somebody else approve it, with a token of their own",
    );
    http::refusal(StatusCode::FORBIDDEN, &advice)
}

pub(super) fn requester_gone(who: &str) -> Reply {
    let advice = Advice::new(
        "REQUESTER_GONE",
        format!("{} may not do this any more", shown(who)),
        "a request of somebody who may",
        "have somebody ask anew",
    );
    http::refusal(StatusCode::CONFLICT, &advice)
}
