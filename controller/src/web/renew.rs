//! `POST /v1/renew`: a certificate and a proof of its key, for a certificate of a new key.

use super::join::reply;
use crate::ca::{Applicant, CsrError, has_signed};
use crate::centre::Centre;
use crate::clock::now_ms;
use crate::http::{self, Reply};
use crate::store::generations::{self, Asked, Granted, Refusal};
use crate::store::tokens::{self, Joined};
use crate::store::{StoreError, audit};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::audit::Entry;
use chatalot_protocol::enrol::unhex;
use chatalot_protocol::renew::RenewRequest;
use hyper::body::{Body, Bytes};
use hyper::{Request, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;

/// The longest request.
const LONGEST: usize = 16 << 10;

/// Why nothing is renewed.
#[derive(Debug, thiserror::Error)]
enum RenewError {
    #[error(transparent)]
    Csr(#[from] CsrError),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<StoreError> for RenewError {
    fn from(error: StoreError) -> Self {
        Self::Refused(Refusal::Store(error))
    }
}

/// Answers a request for a certificate of a new key.
pub(super) async fn renew<B>(centre: &Arc<Centre>, request: Request<B>, from: IpAddr) -> Reply
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let request: RenewRequest = match http::body(request, LONGEST).await {
        Ok(request) => request,
        Err(refusal) => return refusal,
    };
    let host = request.host;
    match grant(centre, &request, from).await {
        Ok((granted, joined)) => {
            log::info!(host:% = host, address:% = from, readmitted = granted.readmitted, again = granted.again; "a certificate was renewed");
            if granted.readmitted {
                centre.fleet.end(host);
                centre.changes.touch(host.0);
            }
            http::json(StatusCode::OK, &reply(centre, joined))
        }
        Err(error) => {
            log::warn!(host:% = host, address:% = from, error:% = crate::chain(&error); "nothing was renewed");
            if matches!(error, RenewError::Refused(Refusal::Old)) {
                shut_out(centre, &request, from).await;
            }
            refuse(&error)
        }
    }
}

async fn grant(
    centre: &Arc<Centre>,
    request: &RenewRequest,
    from: IpAddr,
) -> Result<(Granted, Joined), RenewError> {
    let host = request.host;
    let applicant = Applicant::read(&request.csr)?;
    let serial: [u8; 16] = unhex(&request.serial).ok_or(Refusal::Stranger)?;
    let known = centre
        .store
        .read(move |c| generations::certificate(c, host, serial))
        .await?;
    let signed = RenewRequest::signed(host, &request.serial, &request.csr);
    if !known.is_some_and(|pem| has_signed(&pem, &signed, &request.proof)) {
        return Err(Refusal::Stranger.into());
    }
    let asked = Asked {
        host,
        serial,
        spki: applicant.fingerprint(),
    };
    let (issuer, now) = (Arc::clone(centre), now_ms());
    let granted = centre.store.write(move |c| {
        let granted = generations::renew(c, &asked, now, || {
            let life = issuer.config.certificate_life;
            issuer
                .authority
                .issue(c, issuer.cluster.id, host, (&applicant, life))
        })?;
        let joined = tokens::joined(c, host, granted.certificate.clone(), granted.again)?;
        if granted.readmitted {
            audit::append(c, &entry(from, &joined, now))?;
        }
        Ok::<_, Refusal>((granted, joined))
    });
    Ok(granted.await?)
}

/// What the audit says of a host that has come back.
fn entry(from: IpAddr, joined: &Joined, at_ms: i64) -> Entry {
    Entry {
        at_ms,
        action: "come back".to_owned(),
        via: format!("address {from}"),
        subject: joined.name.to_string(),
        verdict: "done".to_owned(),
        ..Entry::default()
    }
}

/// An old certificate was shown by somebody who has its key: a machine too many.
async fn shut_out(centre: &Centre, request: &RenewRequest, from: IpAddr) {
    let (host, address, now) = (request.host, from.to_string(), now_ms());
    let locked = centre
        .store
        .write(move |c| generations::lock(c, host, &address, now))
        .await;
    if let Err(error) = locked {
        log::error!(host:% = host, error:% = crate::chain(&error); "a host cannot be locked");
    }
    centre.fleet.end(host);
    centre.changes.touch(host.0);
}

/// Whoever has proved nothing is told nothing.
fn refuse(error: &RenewError) -> Reply {
    let fix = match error {
        RenewError::Refused(Refusal::Store(_) | Refusal::Issue(_)) => return http::failure(),
        RenewError::Refused(Refusal::Expired | Refusal::Locked | Refusal::Revoked | Refusal::Old) => {
            "run `chatalotctl host readmit NAME` at the controller; the agent then comes back by itself"
        }
        RenewError::Csr(_) | RenewError::Refused(_) => {
            "run `chatalotctl host add NAME` at the controller and the line that it prints on the host"
        }
    };
    let advice = Advice::new(
        "RENEW_REFUSED",
        error.to_string(),
        "a certificate in force, and a new P-256 key",
        fix,
    );
    http::refusal(StatusCode::FORBIDDEN, &advice)
}
