//! Four eyes: a request is kept as it came, and carried out in the name of whoever made it once somebody else, who may
//! do the same, has approved it.

use super::gate::{Call, Target, holder, sees};
use super::routes::Route;
use super::{Api, refusals};
use crate::access::view::ApprovalState;
use crate::access::{Caller, Role};
use crate::clock::now_ms;
use crate::http::{self, Reply};
use crate::store::StoreError;
use crate::store::approvals::{self, Stored, Waiting};
use chatalot_protocol::audit::Entry;
use chatalot_protocol::names::HostId;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Bytes;
use uuid::Uuid;

/// How much of an answer is kept for whoever asked.
const LONGEST_ANSWER: usize = 64 << 10;

impl Api {
    /// Keeps a request until somebody else has approved it. Its file first: a row without it could never be done.
    pub(super) async fn hold(
        &self,
        route: &'static Route,
        call: Call,
        host: Option<HostId>,
        needs: Role,
    ) -> Reply {
        match self.try_hold(route, call, host, needs).await {
            Ok(reply) | Err(reply) => reply,
        }
    }

    async fn try_hold(
        &self,
        route: &'static Route,
        call: Call,
        host: Option<HostId>,
        needs: Role,
    ) -> Result<Reply, Reply> {
        self.sweep_approvals().await?;
        let (id, now) = (Uuid::now_v7(), now_ms());
        let entry = super::gate::entry(route, &call, "APPROVAL_PENDING", &id.to_string());
        let life = i64::try_from(self.centre.config.approval_life.as_millis()).unwrap_or(i64::MAX);
        let waiting = Waiting {
            id,
            action: entry.action.clone(),
            path: call.path.clone(),
            subject: entry.subject.clone(),
            host,
            plan: entry.plan.clone(),
            needs,
            requested_by: call.caller.signature(),
            requester: call.caller.identity.key(),
            created_ms: now,
            expires_ms: now.saturating_add(life),
        };
        let (held, body) = (self.centre.held.clone(), call.body);
        tokio::task::spawn_blocking(move || held.keep(id, &body))
            .await
            .map_err(|error| refusals::failed(&error))?
            .map_err(|error| refusals::failed(&error))?;
        self.remember(entry)
            .await
            .map_err(|error| refusals::failed(&error))?;
        let kept = self.centre.store.write(move |c| approvals::keep(c, &waiting));
        kept.await.map_err(|error| refusals::failed(&error))?;
        log::info!(approval:% = id, action = route.name; "a request waits for somebody's approval");
        Ok(refusals::approval_pending(id, needs))
    }

    pub(super) async fn approvals(&self, call: Call) -> Reply {
        if let Err(refusal) = self.sweep_approvals().await {
            return refusal;
        }
        match self.centre.store.read(approvals::list).await {
            Ok(all) => {
                let seen = all.into_iter().filter(|one| match one.host {
                    Some(host) => sees(&call.caller, host, &one.labels),
                    None => call.caller.reach == crate::access::Reach::Everywhere,
                });
                http::json(StatusCode::OK, &seen.map(|one| one.view).collect::<Vec<_>>())
            }
            Err(error) => refusals::failed(&error),
        }
    }

    pub(super) async fn show_approval(&self, call: Call) -> Reply {
        match self.sweep_approvals().await {
            Ok(()) => match self.stored(call.name()).await {
                Ok(found) => http::json(StatusCode::OK, &found.view),
                Err(refusal) => refusal,
            },
            Err(refusal) => refusal,
        }
    }

    pub(super) async fn reject(&self, call: Call) -> Reply {
        let found = match self.decide(&call, "rejected").await {
            Ok(found) => found,
            Err(refusal) => return refusal,
        };
        self.centre.let_go(found.view.id);
        self.show_approval(call).await
    }

    pub(super) async fn approve(&self, call: Call) -> Reply {
        match self.try_approve(&call).await {
            Ok(()) => self.show_approval(call).await,
            Err(refusal) => refusal,
        }
    }

    async fn try_approve(&self, call: &Call) -> Result<(), Reply> {
        let found = self.stored(call.name()).await?;
        let id = found.view.id;
        if call.caller.role < found.view.needs {
            return Err(refusals::not_allowed(found.view.needs));
        }
        if !call.caller.identity.differs_from(&found.requester) {
            return Err(refusals::own_request());
        }
        let requester = self.requester(&found).await?;
        let (route, args) = Route::find("POST", &found.path).ok_or_else(http::nothing_here)?;
        if requester.role < route.role(&Bytes::new()) {
            return Err(refusals::requester_gone(&found.view.requested_by));
        }
        // A name may be another host's by now.
        let target = self.target(route.about, args.first().map_or("", String::as_str));
        let host = match target.await.map_err(|error| refusals::failed(&error))? {
            Target::Host((host, _)) => Some(host),
            _ => None,
        };
        if host != found.host {
            return Err(refusals::approval_over(&found.view));
        }
        let held = self.centre.held.clone();
        let body = tokio::task::spawn_blocking(move || held.read(id))
            .await
            .map_err(|error| refusals::failed(&error))?
            .map_err(|error| refusals::failed(&error))?
            .ok_or_else(|| refusals::approval_over(&found.view))?;
        self.decide(call, "approved").await?;
        self.centre.let_go(id);
        let approved = Call {
            caller: requester,
            approved_by: Some(call.caller.signature()),
            args,
            path: found.path,
            query: None,
            body: body.into(),
        };
        let reply = self.carry_out(route, approved).await;
        let status = reply.status().as_u16();
        let bytes = reply
            .into_body()
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        let answer = bytes.ok().filter(|bytes| bytes.len() <= LONGEST_ANSWER);
        let answer = answer.map_or_else(
            || "null".to_owned(),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        );
        let noted = self
            .centre
            .store
            .write(move |c| approvals::done(c, id, status, &answer));
        noted.await.map_err(|error| refusals::failed(&error))
    }

    /// Whoever asked, as far as they may still do so.
    async fn requester(&self, found: &Stored) -> Result<Caller, Reply> {
        let (key, now) = (found.requester.clone(), now_ms());
        let still = self.centre.store.read(move |c| holder(c, &key, now));
        let still = still.await.map_err(|error| refusals::failed(&error))?;
        still
            .filter(|caller| found.host.is_none_or(|host| sees(caller, host, &found.labels)))
            .ok_or_else(|| refusals::requester_gone(&found.view.requested_by))
    }

    async fn decide(&self, call: &Call, state: &'static str) -> Result<Stored, Reply> {
        self.sweep_approvals().await?;
        let found = self.stored(call.name()).await?;
        let (id, by, now) = (found.view.id, call.caller.signature(), now_ms());
        let decided = self
            .centre
            .store
            .write(move |c| approvals::decide(c, id, state, &by, now));
        match decided.await {
            Ok(true) => Ok(found),
            Ok(false) => Err(refusals::approval_over(&found.view)),
            Err(error) => Err(refusals::failed(&error)),
        }
    }

    /// Ends what nobody has decided in time.
    async fn sweep_approvals(&self) -> Result<(), Reply> {
        self.centre
            .expire_approvals()
            .await
            .map_err(|error: StoreError| refusals::failed(&error))
    }

    async fn stored(&self, id: &str) -> Result<Stored, Reply> {
        let parsed = id.parse().map_err(|_| refusals::approval_unknown(id))?;
        let found = self.centre.store.read(move |c| approvals::one(c, parsed)).await;
        found
            .map_err(|error| refusals::failed(&error))?
            .ok_or_else(|| refusals::approval_unknown(id))
    }
}

/// What the audit says of a request that nobody has decided in time.
pub(crate) fn expired(id: Uuid) -> Entry {
    Entry {
        at_ms: now_ms(),
        action: "approval.expire".to_owned(),
        by: "controller".to_owned(),
        subject: id.to_string(),
        verdict: "done".to_owned(),
        ..Entry::default()
    }
}

impl ApprovalState {
    /// Whether somebody may still decide.
    pub fn is_open(self) -> bool {
        self == Self::Pending
    }
}
