//! `POST /v1/enrol`: a key asks to join, and waits for the operator's word. It shows no secret, so it is told one
//! thing whether it is not awaited or was denied, is told to come again where too many wait, and costs little.

use super::join::{entry, reply};
use crate::ca::{Applicant, CsrError};
use crate::centre::Centre;
use crate::clock::now_ms;
use crate::http::{self, Reply};
use crate::store::approved;
use crate::store::tokens::{Joined, Refusal};
use crate::store::{StoreError, audit};
use crate::waiting::Turned;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::approve::{EnrolReply, EnrolRequest, words};
use chatalot_protocol::enrol::hex;
use hyper::body::{Body, Bytes};
use hyper::{Request, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The longest request.
const LONGEST: usize = 8 << 10;
/// How long a question is held when nobody has decided; shorter than any agent's patience with an answer.
const HOLD: Duration = Duration::from_secs(20);

/// Why a key may not even wait.
#[derive(Debug, thiserror::Error)]
enum EnrolError {
    #[error(transparent)]
    Csr(#[from] CsrError),
    #[error("no host is awaited")]
    NotAwaited,
    #[error(transparent)]
    Turned(#[from] Turned),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<StoreError> for EnrolError {
    fn from(error: StoreError) -> Self {
        Self::Refused(Refusal::Store(error))
    }
}

/// Answers a key that asks to join, at the latest after a while.
pub(super) async fn enrol<B>(centre: &Arc<Centre>, request: Request<B>, from: IpAddr) -> Reply
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let request: EnrolRequest = match http::body(request, LONGEST).await {
        Ok(request) => request,
        Err(refusal) => return refusal,
    };
    match decided(centre, &request, from).await {
        Ok(answer) => http::json(StatusCode::OK, &answer),
        Err(error) => {
            let why = crate::chain(&error);
            log::warn!(address:% = from, error:% = why; "a host may not wait for approval");
            // A crowd asks again and again; the audit keeps room for those who are refused.
            if !matches!(error, EnrolError::Turned(Turned::Crowded)) {
                let refused = entry(from, String::new(), "JOIN_REFUSED", why);
                centre.remember_stranger(refused).await;
            }
            refuse(&error)
        }
    }
}

async fn decided(
    centre: &Arc<Centre>,
    request: &EnrolRequest,
    from: IpAddr,
) -> Result<EnrolReply, EnrolError> {
    let spki = Applicant::read(&request.csr)?.fingerprint();
    let until = Instant::now() + HOLD;
    let mut turn = centre.waiting.turn();
    loop {
        turn.borrow_and_update();
        let now = now_ms();
        let (known, (awaited, last_ms)) = centre
            .store
            .read(move |c| Ok::<_, StoreError>((approved::knows(c, &spki, now)?, approved::awaited(c, now)?)))
            .await?;
        if known {
            let joined = admit(centre, request, from).await?;
            return Ok(EnrolReply::Joined(Box::new(reply(centre, joined))));
        }
        if awaited.is_empty() {
            return Err(EnrolError::NotAwaited);
        }
        if centre.waiting.asks(spki, from, &request.hostname, now)? {
            let (id, shown) = (hex(&spki[..8]), words(&spki));
            log::info!(address:% = from, id:% = id; "a host waits for approval");
            centre.remember_stranger(entry(from, id, "waits", shown)).await;
        }
        // Nothing is held for a controller that stops.
        if centre.waiting.is_over() || timeout_at(until, turn.changed()).await.is_err() {
            let left = u64::try_from(last_ms - now).unwrap_or_default() / 1000;
            return Ok(EnrolReply::Waiting { left_secs: left });
        }
    }
}

async fn admit(centre: &Arc<Centre>, request: &EnrolRequest, from: IpAddr) -> Result<Joined, EnrolError> {
    let applicant = Applicant::read(&request.csr)?;
    let (signer, now) = (Arc::clone(centre), now_ms());
    let joined = centre.store.write(move |c| {
        let joined = approved::admit(c, &applicant.fingerprint(), now, |host| {
            let life = signer.config.certificate_life;
            signer
                .authority
                .issue(c, signer.cluster.id, host, (&applicant, life))
        })?;
        let how = if joined.again {
            "the same answer again"
        } else {
            "by an approved key"
        };
        audit::append(c, &entry(from, joined.name.to_string(), "done", how.to_owned()))?;
        Ok::<_, Refusal>(joined)
    });
    let joined = joined.await?;
    log::info!(host:% = joined.host, name:% = joined.name, address:% = from, again = joined.again; "a host has joined");
    if !joined.again {
        // Whoever had a session as this host is another one from now on.
        centre.fleet.end(joined.host);
    }
    centre.changes.touch(joined.host.0);
    Ok(joined)
}

fn refuse(error: &EnrolError) -> Reply {
    match error {
        EnrolError::Csr(why) => super::join::bad_request(why),
        EnrolError::Refused(Refusal::Store(_) | Refusal::Issue(_)) => http::failure(),
        EnrolError::Turned(Turned::Crowded) => super::too_many(
            "too many hosts wait for approval",
            "a free place among those who wait",
        ),
        EnrolError::NotAwaited | EnrolError::Turned(Turned::Denied) | EnrolError::Refused(_) => {
            http::refusal(
                StatusCode::FORBIDDEN,
                &Advice::new(
                    "JOIN_REFUSED",
                    "the controller does not take this host: it awaits none, or has said no",
                    "a host that is awaited, and its operator's approval",
                    "run `chatalotctl host add NAME --approve` again and use the line that it prints",
                ),
            )
        }
    }
}
