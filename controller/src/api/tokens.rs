//! API tokens: handed out, listed, revoked; and the labels that some of them reach.

use super::gate::Call;
use super::{Api, refusals};
use crate::access::view::{AddToken, AddedToken, Labels, WhoAmI};
use crate::access::{ApiToken, Reach};
use crate::ca::{random, sha256};
use crate::clock::now_ms;
use crate::http::{self, Reply};
use crate::store::StoreError;
use crate::store::access::{self, Kept};
use hyper::StatusCode;
use std::time::Duration;

/// The longest that a token may live.
const LONGEST_LIFE: Duration = Duration::from_hours(366 * 24);

impl Api {
    #[allow(clippy::unused_async, reason = "every handler is called in one way")]
    pub(super) async fn whoami(&self, call: Call) -> Reply {
        let caller = call.caller;
        let answer = WhoAmI {
            identity: caller.identity.to_string(),
            name: caller.name,
            role: caller.role,
            everywhere: caller.reach == Reach::Everywhere,
            expires_ms: caller.until_ms,
            cluster: self.centre.cluster.id,
        };
        http::json(StatusCode::OK, &answer)
    }

    pub(super) async fn tokens(&self, _: Call) -> Reply {
        match self.centre.store.read(access::list).await {
            Ok(tokens) => http::json(StatusCode::OK, &tokens),
            Err(error) => refusals::failed(&error),
        }
    }

    pub(super) async fn add_token(&self, call: Call) -> Reply {
        match self.make_token(&call).await {
            Ok(reply) | Err(reply) => reply,
        }
    }

    async fn make_token(&self, call: &Call) -> Result<Reply, Reply> {
        let add: AddToken = call.read()?;
        let life = Duration::from_secs(add.ttl_secs);
        if life.is_zero() || life > LONGEST_LIFE {
            return Err(refusals::life_too_long(LONGEST_LIFE.as_secs()));
        }
        let reach = self.reach(&add).await?;
        let failed = |error: &dyn std::error::Error| refusals::failed(error);
        let id = random().map_err(|error| failed(&error))?;
        let secret = random::<32>().map_err(|error| failed(&error))?;
        let token = ApiToken::new(self.centre.authority.now().pins(), id, secret);
        let now = now_ms();
        let kept = Kept {
            id,
            secret: sha256(&secret),
            name: add.name.clone(),
            role: add.role,
            reach,
            by: call.signature(),
            created_ms: now,
            expires_ms: now.saturating_add_unsigned(u64::try_from(life.as_millis()).unwrap_or(u64::MAX)),
        };
        let stored = self.centre.store.write(move |c| {
            let is_new = access::keep(c, &kept)?;
            let view = access::list(c)?
                .into_iter()
                .find(|view| view.name == kept.name && view.revoked_ms.is_none());
            Ok::<_, StoreError>(view.filter(|_| is_new))
        });
        let Some(view) = stored.await.map_err(|error| failed(&error))? else {
            return Err(refusals::token_exists(add.name.as_str()));
        };
        let note = format!("{} {} {}", view.id, view.name, view.role);
        // The one place where the token leaves us: to whoever asked for it.
        let added = AddedToken {
            token: token.text().expose().to_owned(),
            controller: self.bootstrap.address().to_owned(),
            view,
        };
        Ok(http::noted(http::json(StatusCode::CREATED, &added), note))
    }

    pub(super) async fn revoke_token(&self, call: Call) -> Reply {
        let (name, now) = (call.name().to_owned(), now_ms());
        let revoked = self.centre.store.write(move |c| access::revoke(c, &name, now));
        match revoked.await {
            Ok(Some(view)) => {
                let note = view.id.clone();
                http::noted(http::json(StatusCode::OK, &view), note)
            }
            Ok(None) => refusals::token_unknown(call.name()),
            Err(error) => refusals::failed(&error),
        }
    }

    pub(super) async fn label(&self, call: Call) -> Reply {
        let labels: Labels = match call.read() {
            Ok(labels) => labels,
            Err(refusal) => return refusal,
        };
        let name = call.name().to_owned();
        let note = labels.labels.iter().map(ToString::to_string).collect::<Vec<_>>();
        let labelled = self.centre.store.write(move |c| {
            let Some((host, _)) = access::host_named(c, &name)? else {
                return Ok::<_, StoreError>(false);
            };
            access::label(c, host, &labels.labels)?;
            Ok(true)
        });
        match labelled.await {
            Ok(true) => match self.host(call.name()).await {
                Ok(Some(host)) => http::noted(http::json(StatusCode::OK, &host), note.join(" ")),
                Ok(None) => refusals::host_unknown(call.name()),
                Err(error) => refusals::failed(&error),
            },
            Ok(false) => refusals::host_unknown(call.name()),
            Err(error) => refusals::failed(&error),
        }
    }

    async fn reach(&self, add: &AddToken) -> Result<Reach, Reply> {
        match (&add.host, &add.label) {
            (None, None) => Ok(Reach::Everywhere),
            (None, Some(label)) => Ok(Reach::Label(label.clone())),
            (Some(name), None) => match self.host(name.as_str()).await {
                Ok(Some(host)) => Ok(Reach::Host(host.id)),
                Ok(None) => Err(refusals::host_unknown(name.as_str())),
                Err(error) => Err(refusals::failed(&error)),
            },
            (Some(_), Some(_)) => Err(refusals::two_reaches()),
        }
    }
}
