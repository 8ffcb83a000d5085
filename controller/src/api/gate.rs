//! The one layer between a request and its handler: who asks, may they, has somebody else to approve it, and what is
//! remembered of it. A request that has passed is a [`Call`].

use super::routes::{About, Effect, Route};
use super::{Api, refusals};
use crate::access::{ApiToken, Caller, Identity, Reach};
use crate::ca::sha256;
use crate::clock::now_ms;
use crate::http::{self, Reply};
use crate::store::StoreError;
use crate::store::access::{self, Found, Refusal};
use crate::store::approvals;
use chatalot_protocol::audit::Entry;
use chatalot_protocol::names::HostId;
use chatalot_protocol::plan::PlanHash;
use hyper::Request;
use hyper::body::{Body, Bytes};
use hyper::header::AUTHORIZATION;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::net::IpAddr;

/// The longest request: an order, at most.
const LONGEST: usize = 1 << 20;

/// A request that has passed.
#[derive(Debug, Clone)]
pub struct Call {
    /// Whose.
    pub caller: Caller,
    /// Who approved it, where that was somebody else.
    pub approved_by: Option<String>,
    /// What stands in the places of the braces.
    pub args: Vec<String>,
    /// What was asked for.
    pub path: String,
    /// Behind the question mark.
    pub query: Option<String>,
    /// The body.
    pub body: Bytes,
}

impl Call {
    /// What the path names first.
    pub(super) fn name(&self) -> &str {
        self.args.first().map_or("", String::as_str)
    }

    /// The body as what it is meant to be.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Reply> {
        http::parse(&self.body)
    }

    /// Who asked and who approved, for the record of a job.
    pub(super) fn signature(&self) -> String {
        match &self.approved_by {
            Some(other) => format!("{}, approved by {other}", self.caller.signature()),
            None => self.caller.signature(),
        }
    }
}

/// What a request is about, as far as reach goes.
pub(super) enum Target {
    Anybody,
    Everything,
    Host(Found),
    /// There is no such host; only those who may see all are told so.
    Nothing,
}

impl Api {
    /// Answers a request from the one port: whoever it is has to show a token.
    pub async fn visit<B>(&self, request: Request<B>, from: IpAddr) -> Reply
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        if self.failures.is_spent(from) {
            return refusals::too_many_failures();
        }
        match self
            .authenticate(request.headers().get(AUTHORIZATION).map(AsRef::as_ref))
            .await
        {
            Ok(caller) => self.answer(caller, request).await,
            Err(Refusal::Store(error)) => refusals::failed(&error),
            Err(refusal) => {
                self.failures.count(from);
                log::warn!(address:% = from, error:% = refusal; "an API token is refused");
                self.remember_stranger(&refusal, from, request.method().as_str(), request.uri().path())
                    .await;
                refusals::not_authenticated()
            }
        }
    }

    /// Answers a request of somebody who is known.
    pub async fn answer<B>(&self, caller: Caller, request: Request<B>) -> Reply
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let Some((route, args)) = Route::find(method.as_str(), uri.path()) else {
            return http::nothing_here();
        };
        let body = match http::bytes(request, LONGEST).await {
            Ok(body) => body,
            Err(refusal) => return refusal,
        };
        let call = Call {
            caller,
            approved_by: None,
            args,
            path: uri.path().to_owned(),
            query: uri.query().map(str::to_owned),
            body,
        };
        match self.judge(route, call).await {
            Ok(reply) | Err(reply) => reply,
        }
    }

    async fn judge(&self, route: &'static Route, call: Call) -> Result<Reply, Reply> {
        let failed = |error: StoreError| refusals::failed(&error);
        let target = self.target(route.about, call.name()).await.map_err(failed)?;
        let role = route.role(&call.body);
        if call.caller.role < role || !reaches(&call.caller, &target) {
            let why = format!("needs {role} there, has {}", call.caller.role);
            self.remember(entry(route, &call, "NOT_ALLOWED", &why))
                .await
                .map_err(failed)?;
            return Err(refusals::not_allowed(role));
        }
        match self.centre.config.second(route.action(&call.body).1) {
            Some(needs) => {
                let host = match target {
                    Target::Host((host, _)) => Some(host),
                    _ => None,
                };
                Ok(self.hold(route, call, host, needs).await)
            }
            None => Ok(self.carry_out(route, call).await),
        }
    }

    /// Runs the handler. What changes something is written down before and after, or does not happen.
    pub(super) async fn carry_out(&self, route: &'static Route, call: Call) -> Reply {
        if route.effect == Effect::Looks {
            return (route.run)(self, call).await;
        }
        let begun = entry(route, &call, "allowed", "");
        if let Err(error) = self.remember(begun.clone()).await {
            return refusals::failed(&error);
        }
        let reply = (route.run)(self, call).await;
        let (verdict, detail) = http::outcome(&reply);
        let ended = Entry {
            at_ms: now_ms(),
            verdict,
            detail,
            ..begun
        };
        if let Err(error) = self.remember(ended).await {
            log::error!(error:% = crate::chain(&error); "how a command ended is not in the audit");
        }
        reply
    }

    /// Adds to the audit.
    pub(super) async fn remember(&self, entry: Entry) -> Result<(), StoreError> {
        self.centre.remember(entry).await
    }

    async fn authenticate(&self, header: Option<&[u8]>) -> Result<Caller, Refusal> {
        let shown = header.ok_or(Refusal::None)?;
        let text = std::str::from_utf8(shown).map_err(|_| Refusal::Shape)?;
        let token: ApiToken = text
            .strip_prefix("Bearer ")
            .and_then(|text| text.parse().ok())
            .ok_or(Refusal::Shape)?;
        let (id, proof, now) = (token.id, sha256(&token.proof()), now_ms());
        let store = &self.centre.store;
        let (caller, due) = store
            .read(move |c| {
                Ok::<_, Refusal>((access::caller(c, id, &proof, now)?, access::is_due(c, id, now)?))
            })
            .await?;
        if due {
            let noted = store.write(move |c| access::used(c, id, now)).await;
            // Whoever may come in does so on a full disk, too.
            if let Err(error) = noted {
                log::warn!(error:% = crate::chain(&error); "the use of a token is not noted");
            }
        }
        Ok(caller)
    }

    pub(super) async fn target(&self, about: About, name: &str) -> Result<Target, StoreError> {
        let store = &self.centre.store;
        let name = name.to_owned();
        let found = match about {
            About::Oneself => return Ok(Target::Anybody),
            About::Everything => return Ok(Target::Everything),
            About::Host => store.read(move |c| access::host_named(c, &name)).await?,
            About::Deployment => match name.parse() {
                Ok(id) => store.read(move |c| access::host_of(c, id)).await?,
                Err(_) => None,
            },
            About::Approval => match name.parse() {
                Ok(id) => match store.read(move |c| approvals::one(c, id)).await? {
                    Some(found) => match found.host {
                        Some(host) => Some((host, found.labels)),
                        None => return Ok(Target::Everything),
                    },
                    None => None,
                },
                Err(_) => None,
            },
        };
        Ok(found.map_or(Target::Nothing, Target::Host))
    }

    async fn remember_stranger(&self, refusal: &Refusal, from: IpAddr, method: &str, path: &str) {
        let action = Route::find(method, path).map_or("unknown", |(route, _)| route.name);
        let entry = Entry {
            at_ms: now_ms(),
            action: action.to_owned(),
            via: format!("address {from}"),
            verdict: "NOT_AUTHENTICATED".to_owned(),
            detail: refusal.to_string(),
            ..Entry::default()
        };
        self.centre.remember_stranger(entry).await;
    }
}

fn reaches(caller: &Caller, target: &Target) -> bool {
    match target {
        Target::Anybody => true,
        Target::Everything | Target::Nothing => caller.reach == Reach::Everywhere,
        Target::Host((host, labels)) => caller.reach.covers(*host, labels),
    }
}

/// What the audit says of a call.
pub(super) fn entry(route: &Route, call: &Call, verdict: &str, detail: &str) -> Entry {
    #[derive(Default, Deserialize)]
    struct Planned {
        plan: Option<PlanHash>,
    }
    let planned: Planned = match route.effect {
        Effect::ChangesHost => serde_json::from_slice(&call.body).unwrap_or_default(),
        _ => Planned::default(),
    };
    let approved = call
        .approved_by
        .as_ref()
        .map(|other| format!("approved by {other}"));
    Entry {
        at_ms: now_ms(),
        action: route.action(&call.body).0.to_owned(),
        by: call.caller.name.clone(),
        via: call.caller.identity.to_string(),
        subject: call
            .args
            .join(" ")
            .chars()
            .filter(|c| !c.is_control())
            .take(80)
            .collect(),
        plan: planned.plan,
        verdict: verdict.to_owned(),
        detail: approved.unwrap_or_else(|| detail.to_owned()),
    }
}

/// Whether a host is in somebody's reach, for answers about several.
pub(super) fn sees(caller: &Caller, host: HostId, labels: &[chatalot_protocol::names::HostName]) -> bool {
    caller.reach.covers(host, labels)
}

/// The holder of an identity, as it is now.
pub(super) fn holder(
    connection: &rusqlite::Connection,
    identity: &str,
    now_ms: i64,
) -> Result<Option<Caller>, StoreError> {
    let Some(id) = identity.strip_prefix("token ") else {
        return Ok(Some(Caller::local(0)));
    };
    match chatalot_protocol::enrol::unhex(id) {
        Some(id) => access::still(connection, id, now_ms),
        None => Ok(None),
    }
}

impl Identity {
    /// Whether this is another one than the one with this key.
    pub(super) fn differs_from(self, key: &str) -> bool {
        self.key() != key
    }
}
