//! Hosts: adding, showing, asking.

use super::gate::{Call, sees};
use super::{Api, asked, refusals};
use crate::ca::{random, sha256};
use crate::clock::now_ms;
use crate::http::{self, Reply};
use crate::model::{AddHost, Added, HostView, Membership};
use crate::store::StoreError;
use crate::store::access;
use crate::store::hosts::{self, InviteError, Invited};
use crate::store::tokens::{self, Token};
use chatalot_protocol::enrol::{JoinToken, hex, unhex};
use chatalot_protocol::message::Ask;
use chatalot_protocol::names::HostName;
use chatalot_protocol::secret::Secret;
use hyper::StatusCode;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The longest that a join token may live.
const LONGEST_TOKEN_LIFE: Duration = Duration::from_hours(24);
/// The longest that a request may wait.
const LONGEST_WAIT: u64 = 600;

impl Api {
    pub(super) async fn list(&self, call: Call) -> Reply {
        match self.centre.store.read(hosts::list).await {
            Ok(mut hosts) => {
                hosts.retain(|host| sees(&call.caller, host.id, &host.labels));
                for host in &mut hosts {
                    host.connected = self.centre.fleet.is_connected(host.id);
                }
                http::json(StatusCode::OK, &hosts)
            }
            Err(error) => refusals::failed(&error),
        }
    }

    pub(super) async fn add(&self, call: Call) -> Reply {
        let add: AddHost = match call.read() {
            Ok(add) => add,
            Err(refusal) => return refusal,
        };
        let life = add
            .ttl_secs
            .map_or(self.centre.config.token_life, Duration::from_secs);
        if life.is_zero() || life > LONGEST_TOKEN_LIFE {
            return refusals::life_too_long(LONGEST_TOKEN_LIFE.as_secs());
        }
        let (join, now) = match self.token() {
            Ok(join) => (join, now_ms()),
            Err(error) => return refusals::failed(&error),
        };
        let token = Token {
            id: join.id,
            secret: sha256(&unhexed(&join)),
            expires_ms: now.saturating_add_unsigned(u64::try_from(life.as_millis()).unwrap_or(u64::MAX)),
        };
        let (name, domains, remotes, labels) = (add.name.clone(), add.domains, add.git_remotes, add.labels);
        let kept = self.centre.store.write(move |c| {
            let invited = hosts::invite(c, &name, &domains, now)?;
            hosts::grant(c, invited.host, &remotes)?;
            tokens::keep(c, invited.host, &token, now)?;
            if !labels.is_empty() {
                access::label(c, invited.host, &labels)?;
            }
            Ok::<_, InviteError>(invited)
        });
        match kept.await {
            Ok(invited) => {
                log::info!(host:% = invited.host, name:% = add.name, again = invited.again; "a host may join");
                let note = add.name.to_string();
                let added = self.added(invited, add.name, &join, (now, token.expires_ms));
                http::noted(http::json(StatusCode::CREATED, &added), note)
            }
            Err(InviteError::Revoked) => refusals::host_revoked(add.name.as_str()),
            Err(InviteError::Store(error)) => refusals::failed(&error),
        }
    }

    pub(super) async fn show_host(&self, call: Call) -> Reply {
        let (name, query) = (call.name(), call.query.as_deref());
        let secs = asked(query, "secs")
            .and_then(|secs| secs.parse().ok())
            .unwrap_or(60);
        let until = Instant::now() + Duration::from_secs(u64::min(secs, LONGEST_WAIT));
        let wait = asked(query, "wait");
        // A host that is to join anew may still have a session as what it was.
        let since: Option<i64> = asked(query, "since").and_then(|since| since.parse().ok());
        loop {
            let host = match self.host(name).await {
                Ok(Some(host)) => host,
                Ok(None) => return refusals::host_unknown(name),
                Err(error) => return refusals::failed(&error),
            };
            let mut changed = self.centre.changes.of(host.id.0);
            let waits = match wait {
                Some("connected") => !self.centre.fleet.is_connected(host.id) || host.joined_ms < since,
                Some("joined") => host.membership == Membership::Invited,
                _ => false,
            };
            // Looked at again after the wait began, so that what happened in between is not waited for.
            let missed = waits && matches!(self.host(name).await, Ok(Some(now)) if now != host);
            if !waits || (!missed && timeout_at(until, changed.changed()).await.is_err()) {
                return http::json(StatusCode::OK, &host);
            }
        }
    }

    pub(super) async fn ask(&self, call: Call) -> Reply {
        let name = call.name();
        let ask: Box<Ask> = match call.read() {
            Ok(ask) => ask,
            Err(refusal) => return refusal,
        };
        let host = match self.host(name).await {
            Ok(Some(host)) if host.membership == Membership::Invited => return refusals::not_joined(name),
            Ok(Some(host)) => host,
            Ok(None) => return refusals::host_unknown(name),
            Err(error) => return refusals::failed(&error),
        };
        match self.centre.fleet.ask(host.id, ask).await {
            Ok(answer) => http::json(StatusCode::OK, &answer),
            Err(error) => refusals::not_asked(name, error),
        }
    }

    /// A host by name, with what only the fleet knows.
    pub(super) async fn host(&self, name: &str) -> Result<Option<HostView>, StoreError> {
        let wanted = name.to_owned();
        let found = self
            .centre
            .store
            .read(move |c| hosts::by_name(c, &wanted))
            .await?;
        Ok(found.map(|mut host| {
            host.connected = self.centre.fleet.is_connected(host.id);
            host
        }))
    }

    fn token(&self) -> Result<JoinToken, crate::ca::CaError> {
        Ok(JoinToken {
            pins: self.centre.authority.now().pins(),
            id: random()?,
            secret: Secret::new(hex(&random::<32>()?)),
        })
    }

    fn added(
        &self,
        invited: Invited,
        name: HostName,
        join: &JoinToken,
        (issued_ms, expires_ms): (i64, i64),
    ) -> Added {
        // The one place where the token leaves us: to the operator who asked for it.
        let text = join.text();
        Added {
            host: invited.host,
            name,
            again: invited.again,
            one_liner: self.bootstrap.one_liner(text.expose()),
            fetch: self.bootstrap.fetch(),
            token: text.expose().to_owned(),
            issued_ms,
            expires_ms,
        }
    }
}

/// The bytes of a token's secret.
fn unhexed(join: &JoinToken) -> [u8; 32] {
    unhex(join.secret.expose()).unwrap_or_default()
}
