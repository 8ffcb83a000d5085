//! Deployments: queueing, showing, watching, cancelling.

use super::{Api, LONGEST, asked, refusals};
use crate::clock::now_ms;
use crate::http::{self, Reply};
use crate::model::Membership;
use crate::store::deployments::{self, QueueError};
use crate::watch::Watcher;
use chatalot_protocol::api::{DeployRequest, Deployed};
use chatalot_protocol::message::Job;
use chatalot_protocol::names::{DeploymentId, HostId};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use std::io;
use std::sync::Arc;

impl Api {
    pub(super) async fn deploy(&self, name: &str, request: Request<Incoming>) -> Reply {
        let request: DeployRequest = match http::body(request, LONGEST).await {
            Ok(request) => request,
            Err(refusal) => return refusal,
        };
        let host = match self.host(name).await {
            Ok(Some(host)) if host.membership == Membership::Active => host,
            Ok(Some(_)) => return refusals::not_joined(name),
            Ok(None) => return refusals::host_unknown(name),
            Err(error) => return refusals::failed(&error),
        };
        let domain = &request.order.site.domain;
        if !(host.domains.is_empty() || host.domains.contains(domain)) {
            let allowed: Vec<String> = host.domains.iter().map(ToString::to_string).collect();
            return refusals::domain_not_allowed(name, domain.as_str(), &allowed);
        }
        let life = self.centre.config.job_life;
        let now = now_ms();
        let job = Job {
            id: DeploymentId::fresh(),
            issued_ms: now,
            not_after_ms: now.saturating_add_unsigned(u64::try_from(life.as_millis()).unwrap_or(u64::MAX)),
            by: "operator".to_owned(),
            plan: request.plan,
            order: request.order,
        };
        self.queue(name, host.id, job).await
    }

    async fn queue(&self, name: &str, host: HostId, job: Job) -> Reply {
        match self.centre.queue(host, job).await {
            Ok(deployment) => http::json(StatusCode::CREATED, &Deployed { deployment }),
            Err(QueueError::Running(id)) => refusals::deployment_running(name, id),
            Err(error) => refusals::failed(&error),
        }
    }

    pub(super) async fn show(&self, id: &str) -> Reply {
        match self.standing(id).await {
            Ok(standing) => http::json(StatusCode::OK, &standing.view),
            Err(refusal) => refusal,
        }
    }

    pub(super) async fn cancel(&self, id: &str) -> Reply {
        let Ok(deployment) = id.parse::<DeploymentId>() else {
            return refusals::deployment_unknown(id);
        };
        match self.centre.cancel(deployment).await {
            Ok(Some(standing)) => http::json(StatusCode::OK, &standing.view),
            Ok(None) => refusals::deployment_unknown(id),
            Err(error) => refusals::failed(&error),
        }
    }

    pub(super) async fn watch(&self, id: &str, query: Option<&str>) -> Reply {
        let standing = match self.standing(id).await {
            Ok(standing) => standing,
            Err(refusal) => return refusal,
        };
        let with_logs = asked(query, "logs") == Some("1");
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
