//! `POST /v1/join`: a token for a certificate.

use crate::ca::{Applicant, CsrError, sha256};
use crate::centre::Centre;
use crate::clock::now_ms;
use crate::http::{self, Reply};
use crate::store::StoreError;
use crate::store::audit;
use crate::store::tokens::{self, Joined, Refusal, Shown};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::audit::Entry;
use chatalot_protocol::enrol::{JoinReply, JoinRequest, unhex};
use hyper::body::{Body, Bytes};
use hyper::{Request, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;

/// The longest request.
const LONGEST: usize = 16 << 10;

/// Why nobody joins. The network is told one thing for all that concerns the token.
#[derive(Debug, thiserror::Error)]
enum JoinError {
    #[error("the token cannot be read")]
    Token,
    #[error(transparent)]
    Csr(#[from] CsrError),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<StoreError> for JoinError {
    fn from(error: StoreError) -> Self {
        Self::Refused(Refusal::Store(error))
    }
}

/// Answers a request to join.
pub(super) async fn join<B>(centre: &Arc<Centre>, request: Request<B>, from: IpAddr) -> Reply
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let request: JoinRequest = match http::body(request, LONGEST).await {
        Ok(request) => request,
        Err(refusal) => return refusal,
    };
    match admit(centre, &request, from).await {
        Ok(joined) => {
            log::info!(host:% = joined.host, name:% = joined.name, address:% = from, again = joined.again; "a host has joined");
            if !joined.again {
                // Whoever had a session as this host is another one from now on.
                centre.fleet.end(joined.host);
            }
            centre.changes.touch(joined.host.0);
            http::json(StatusCode::OK, &reply(centre, joined))
        }
        Err(error) => {
            let token: String = request
                .token_id
                .chars()
                .filter(char::is_ascii_hexdigit)
                .take(16)
                .collect();
            let why = crate::chain(&error);
            log::warn!(token:% = token, address:% = from, error:% = why; "a host may not join");
            if matches!(error, JoinError::Refused(Refusal::Used)) {
                alarm(centre, &request, from).await;
            }
            centre
                .remember_stranger(entry(from, token, "JOIN_REFUSED", why))
                .await;
            refuse(&error)
        }
    }
}

/// Two keys for one token: one of the two machines is perhaps not the operator's.
async fn alarm(centre: &Centre, request: &JoinRequest, from: IpAddr) {
    let (id, address, now) = (
        unhex(&request.token_id).unwrap_or_default(),
        from.to_string(),
        now_ms(),
    );
    let raised = centre
        .store
        .write(move |c| tokens::shown_twice(c, id, &address, now))
        .await;
    if let Err(error) = raised {
        log::error!(error:% = crate::chain(&error); "an alarm cannot be kept");
    }
}

/// What the audit says of somebody who wants to join.
fn entry(from: IpAddr, subject: String, verdict: &str, detail: String) -> Entry {
    Entry {
        at_ms: now_ms(),
        action: "join".to_owned(),
        via: format!("address {from}"),
        subject,
        verdict: verdict.to_owned(),
        detail,
        ..Entry::default()
    }
}

async fn admit(centre: &Arc<Centre>, request: &JoinRequest, from: IpAddr) -> Result<Joined, JoinError> {
    let secret: Option<[u8; 32]> = request
        .token_secret
        .as_ref()
        .and_then(|secret| unhex(secret.expose()));
    let applicant = Applicant::read(&request.csr)?;
    let shown = Shown {
        id: unhex(&request.token_id).ok_or(JoinError::Token)?,
        secret: sha256(&secret.ok_or(JoinError::Token)?),
        spki: applicant.fingerprint(),
    };
    let (signer, now) = (Arc::clone(centre), now_ms());
    let joined = centre.store.write(move |c| {
        let joined = tokens::consume(c, &shown, now, |host| {
            let life = signer.config.certificate_life;
            signer
                .authority
                .issue(c, signer.cluster.id, host, (&applicant, life))
        })?;
        let again = if joined.again { "the same answer again" } else { "" };
        audit::append(c, &entry(from, joined.name.to_string(), "done", again.to_owned()))?;
        Ok::<_, Refusal>(joined)
    });
    Ok(joined.await?)
}

/// What a host is told that has a certificate now.
pub(super) fn reply(centre: &Centre, joined: Joined) -> JoinReply {
    let standing = centre.authority.now();
    JoinReply {
        host: joined.host,
        name: joined.name,
        cluster: centre.cluster.id,
        certificate: joined.certificate,
        authorities: standing.roots_pem(),
        trusts: standing.rotation.version,
        bundle: Some(standing.bundle.clone()),
        domains: joined.domains,
        git_remotes: joined.git_remotes,
        renew_after_secs: Some(centre.config.certificate_life.as_secs() / 3),
    }
}

fn refuse(error: &JoinError) -> Reply {
    match error {
        JoinError::Csr(why) => http::refusal(
            StatusCode::BAD_REQUEST,
            &Advice::new(
                "REQUEST_INVALID",
                why.to_string(),
                "a certificate request for a P-256 key, signed by it",
                "install the agent that this controller serves",
            ),
        ),
        JoinError::Refused(Refusal::Store(_) | Refusal::Issue(_)) => http::failure(),
        JoinError::Token | JoinError::Refused(_) => http::refusal(
            StatusCode::FORBIDDEN,
            &Advice::new(
                "JOIN_REFUSED",
                "the join token is not valid: unknown, expired or used",
                "a fresh join token",
                "run `chatalotctl host add NAME` again and use the line that it prints",
            ),
        ),
    }
}
