//! Keys that ask to join without a secret: who waits, yes, and no. The words are compared here once more, so that what
//! was approved is what was read on the host, whatever happened in between.

use super::gate::Call;
use super::{Api, refusals};
use crate::clock::now_ms;
use crate::http::{self, Reply};
use crate::model::{ApproveJoin, JoinView, Joins};
use crate::store::StoreError;
use crate::store::approved::{self, ApproveError};
use chatalot_protocol::approve::are_the_words;
use hyper::StatusCode;

impl Api {
    /// Who is awaited, and who waits.
    pub(super) async fn joins(&self, _: Call) -> Reply {
        let now = now_ms();
        let awaited = self.centre.store.read(move |c| approved::awaited(c, now));
        let awaited: Result<_, StoreError> = awaited.await;
        match awaited {
            Ok((awaited, _)) => {
                let waiting = self.centre.waiting.list().into_iter().map(JoinView::from);
                let waiting = waiting.collect();
                http::json(StatusCode::OK, &Joins { awaited, waiting })
            }
            Err(error) => refusals::failed(&error),
        }
    }

    /// Lets a key become a host.
    pub(super) async fn approve_join(&self, call: Call) -> Reply {
        let ApproveJoin { host, fingerprint } = match call.read() {
            Ok(approve) => approve,
            Err(refusal) => return refusal,
        };
        let Some(waiter) = self.centre.waiting.find(call.name()) else {
            return refusals::join_unknown(call.name());
        };
        if !are_the_words(&fingerprint, &waiter.words) {
            return refusals::other_words(&waiter.words);
        }
        let (now, spki, wanted) = (now_ms(), waiter.spki, host.clone());
        let life = u64::try_from(self.centre.config.token_life.as_millis()).unwrap_or(u64::MAX);
        let until = now.saturating_add_unsigned(life);
        let approved = self
            .centre
            .store
            .write(move |c| approved::approve(c, &wanted, &spki, now, until));
        match approved.await {
            Ok(id) => {
                self.centre.waiting.approved(&spki);
                log::info!(host:% = id, name:% = host, key:% = waiter.id; "a key is approved");
                http::noted(self.show_as_it_is(host.as_str()).await, host.to_string())
            }
            Err(ApproveError::NotAwaited) => refusals::not_awaited(host.as_str()),
            Err(ApproveError::Store(error)) => refusals::failed(&error),
        }
    }

    /// Turns a key away.
    #[allow(clippy::unused_async, reason = "every handler is called in one way")]
    pub(super) async fn deny_join(&self, call: Call) -> Reply {
        let waiter = self.centre.waiting.find(call.name());
        match waiter.filter(|waiter| self.centre.waiting.deny(&waiter.spki)) {
            Some(waiter) => {
                log::info!(key:% = waiter.id; "a key is denied");
                http::json(StatusCode::OK, &JoinView::from(waiter))
            }
            None => refusals::join_unknown(call.name()),
        }
    }
}
