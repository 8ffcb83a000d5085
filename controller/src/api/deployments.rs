//! Deployments: queueing, showing, watching, cancelling.

use super::gate::Call;
use super::{Api, asked, refusals};
use crate::clock::now_ms;
use crate::http::{self, Reply};
use crate::model::Membership;
use crate::store::deployments::{self, QueueError};
use crate::watch::Watcher;
use chatalot_protocol::api::{DeployRequest, Deployed};
use chatalot_protocol::message::Job;
use chatalot_protocol::names::{DeploymentId, HostId};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use std::io;
use std::sync::Arc;

impl Api {
    pub(super) async fn deploy(&self, call: Call) -> Reply {
        let name = call.name();
        let request: DeployRequest = match call.read() {
            Ok(request) => request,
            Err(refusal) => return refusal,
        };
        let host = match self.host(name).await {
            Ok(Some(host)) if host.membership == Membership::Active => host,
            Ok(Some(host)) => return refusals::not_active(name, host.membership),
            Ok(None) => return refusals::host_unknown(name),
            Err(error) => return refusals::failed(&error),
        };
        let domain = &request.order.site.domain;
        // What is there may be taken away, whatever may be put there today.
        let bound = !request.work.takes_away();
        if bound && !(host.domains.is_empty() || host.domains.contains(domain)) {
            let allowed: Vec<String> = host.domains.iter().map(ToString::to_string).collect();
            return refusals::domain_not_allowed(name, domain.as_str(), &allowed);
        }
        let life = self.centre.config.job_life;
        let now = now_ms();
        let job = Job {
            id: DeploymentId::fresh(),
            issued_ms: now,
            not_after_ms: now.saturating_add_unsigned(u64::try_from(life.as_millis()).unwrap_or(u64::MAX)),
            by: call.signature(),
            plan: request.plan,
            order: request.order,
            work: request.work,
        };
        self.queue(name, host.id, job).await
    }

    async fn queue(&self, name: &str, host: HostId, job: Job) -> Reply {
        match self.centre.queue(host, job).await {
            Ok(deployment) => {
                let reply = http::json(StatusCode::CREATED, &Deployed { deployment });
                http::noted(reply, deployment.to_string())
            }
            Err(QueueError::Running(id)) => refusals::deployment_running(name, id),
            Err(error) => refusals::failed(&error),
        }
    }

    pub(super) async fn show(&self, call: Call) -> Reply {
        match self.standing(call.name()).await {
            Ok(standing) => http::json(StatusCode::OK, &standing.view),
            Err(refusal) => refusal,
        }
    }

    pub(super) async fn cancel(&self, call: Call) -> Reply {
        let id = call.name();
        let Ok(deployment) = id.parse::<DeploymentId>() else {
            return refusals::deployment_unknown(id);
        };
        match self.centre.cancel(deployment).await {
            Ok(Some(standing)) => http::json(StatusCode::OK, &standing.view),
            Ok(None) => refusals::deployment_unknown(id),
            Err(error) => refusals::failed(&error),
        }
    }

    pub(super) async fn watch(&self, call: Call) -> Reply {
        let standing = match self.standing(call.name()).await {
            Ok(standing) => standing,
            Err(refusal) => return refusal,
        };
        let with_logs = asked(call.query.as_deref(), "logs") == Some("1");
        let watcher = Watcher::new(Arc::clone(&self.centre), standing.view.deployment, with_logs);
        let lines =
            futures_util::stream::try_unfold(watcher, async |mut watcher| match watcher.next().await {
                Ok(lines) => Ok(lines.map(|lines| (Frame::data(lines), watcher))),
                Err(error) => {
                    log::error!(error:% = crate::chain(&error); "a deployment cannot be watched");
                    Err(io::Error::other(error))
                }
            });
        let mut reply = Response::new(StreamBody::new(lines).boxed_unsync());
        let kind = HeaderValue::from_static("application/x-ndjson");
        reply.headers_mut().insert(CONTENT_TYPE, kind);
        reply
    }

    async fn standing(&self, id: &str) -> Result<deployments::Standing, Reply> {
        let Ok(deployment) = id.parse::<DeploymentId>() else {
            return Err(refusals::deployment_unknown(id));
        };
        let standing = self
            .centre
            .store
            .read(move |c| deployments::standing(c, deployment));
        match standing.await {
            Ok(Some(standing)) => Ok(standing),
            Ok(None) => Err(refusals::deployment_unknown(id)),
            Err(error) => Err(refusals::failed(&error)),
        }
    }
}
