//! The local API's routes.

use super::watch;
use crate::ledger::audit::Door;
use crate::ledger::{LedgerError, deployments as records};
use crate::service::Service;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::api::{DeployRequest, Deployed, DeploymentView};
use chatalot_protocol::message::Job;
use chatalot_protocol::names::DeploymentId;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use std::convert::Infallible;
use std::sync::Arc;

/// The longest request.
const LONGEST: usize = 1 << 20;
/// How long a local deployment may wait to be started.
const TAKEN_WITHIN_MS: i64 = 60_000;
/// Who asks on the local socket, for the record.
const ROOT: &str = "root on the host";

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A request that is answered with an advice.
struct Refusal(StatusCode, Advice);

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        log::error!(error = crate::chain(&error); "a local request failed");
        Self(
            StatusCode::INTERNAL_SERVER_ERROR,
            Advice::new(
                "LEDGER_FAILED",
                crate::chain(&error),
                "a ledger that can be read and written",
                "look at `journalctl -u chatalot-agent` and at the free space below /var/lib",
            ),
        )
    }
}

/// Answers one request.
pub(super) async fn route(
    request: Request<Incoming>,
    service: Arc<Service>,
    uid: u32,
) -> Result<Response<Body>, Infallible> {
    Ok(dispatch(request, &service, Door::Local { uid })
        .await
        .unwrap_or_else(|Refusal(status, advice)| json(status, &advice)))
}

async fn dispatch(
    request: Request<Incoming>,
    service: &Arc<Service>,
    door: Door,
) -> Result<Response<Body>, Refusal> {
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (request.method(), parts.as_slice()) {
        (&Method::POST, ["v1", "ask"]) => {
            let answer = service.answer(body(request).await?).await;
            Ok(json(StatusCode::OK, &answer))
        }
        // What a step's own process asks of the controller; the daemon has the session.
        (&Method::POST, ["v1", "outside"]) => {
            let told = service.outside.ask(body(request).await?).await;
            Ok(json(StatusCode::OK, &told))
        }
        (&Method::POST, ["v1", "deployments"]) => deploy(body(request).await?, service, door).await,
        (&Method::GET, ["v1", "deployments", id]) => Ok(json(StatusCode::OK, &view(service, id).await?)),
        (&Method::GET, ["v1", "deployments", id, "watch"]) => {
            let view = view(service, id).await?;
            let logs = request
                .uri()
                .query()
                .is_some_and(|query| query.split('&').any(|pair| pair == "logs=1"));
            Ok(Response::new(watch::body(service.clone(), view.deployment, logs)))
        }
        (&Method::POST, ["v1", "deployments", id, "cancel"]) => {
            let view = view(service, id).await?;
            service
                .deployments
                .cancel_from(view.deployment, ROOT, door)
                .await?;
            Ok(json(StatusCode::OK, &view))
        }
        _ => Err(Refusal(
            StatusCode::NOT_FOUND,
            Advice::new(
                "UNSUPPORTED",
                path,
                "a request that this agent knows",
                "use the command line of this agent's version",
            ),
        )),
    }
}

async fn deploy(
    request: DeployRequest,
    service: &Arc<Service>,
    door: Door,
) -> Result<Response<Body>, Refusal> {
    let now = service.host.now_ms();
    let job = Job {
        id: DeploymentId::fresh(),
        issued_ms: now,
        not_after_ms: now + TAKEN_WITHIN_MS,
        by: ROOT.to_owned(),
        plan: request.plan,
        order: request.order,
        work: request.work,
    };
    let deployment = job.id;
    service.deployments.take_from(job, door).await?;
    Ok(json(StatusCode::OK, &Deployed { deployment }))
}

async fn view(service: &Service, id: &str) -> Result<DeploymentView, Refusal> {
    let unknown = || {
        let advice = Advice::new(
            "DEPLOYMENT_UNKNOWN",
            format!("no deployment `{id}`"),
            "the id that `deploy` has printed",
            "`chatalot-agent status` names the latest one",
        );
        Refusal(StatusCode::NOT_FOUND, advice)
    };
    let id: DeploymentId = id.parse().map_err(|_| unknown())?;
    let found = service.ledger.with(move |db| records::find(db, id)).await?;
    found.map(view_of).ok_or_else(unknown)
}

/// A stored deployment as it is shown.
pub(super) fn view_of(deployment: records::Deployment) -> DeploymentView {
    DeploymentView {
        deployment: deployment.id,
        host: None,
        domain: deployment.site.domain.to_string(),
        work: deployment.work,
        state: deployment.state,
        advice: deployment.result.advice,
        diagnosis: deployment.result.diagnosis,
        values: deployment.result.values,
        handover: deployment.result.handover,
    }
}

async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Refusal> {
    let refuse = |why: String| {
        let advice = Advice::new(
            "REQUEST_UNREADABLE",
            why,
            "a JSON body",
            "use the command line of this agent's version",
        );
        Refusal(StatusCode::BAD_REQUEST, advice)
    };
    let body = Limited::new(request.into_body(), LONGEST)
        .collect()
        .await
        .map_err(|error| refuse(error.to_string()))?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| refuse(error.to_string()))
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Response<Body> {
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    response
}
