//! Hosts: out, back in, another name.

use super::gate::Call;
use super::{Api, refusals};
use crate::clock::now_ms;
use crate::http::{self, Reply};
use crate::model::{HostView, RenameHost};
use crate::store::{StoreError, lifecycle};
use hyper::StatusCode;

impl Api {
    /// Puts a host out, and cuts its session.
    pub(super) async fn revoke(&self, call: Call) -> Reply {
        let name = call.name();
        let host = match self.known(name).await {
            Ok(host) => host,
            Err(refusal) => return refusal,
        };
        let id = host.id;
        match self.centre.store.write(move |c| lifecycle::revoke(c, id)).await {
            Ok(ended) => {
                self.centre.fleet.end(id);
                for deployment in ended {
                    self.centre.forget_job(deployment);
                    self.centre.changes.touch(deployment.0);
                }
                self.centre.changes.touch(id.0);
                log::info!(host:% = id, name:% = host.name; "a host is revoked");
                self.show_as_it_is(name).await
            }
            Err(error) => refusals::failed(&error),
        }
    }

    /// Lets a host that is kept out come back by itself, for a while.
    pub(super) async fn readmit(&self, call: Call) -> Reply {
        let name = call.name();
        let host = match self.known(name).await {
            Ok(host) => host,
            Err(refusal) => return refusal,
        };
        if host.joined_ms.is_none() {
            return refusals::not_joined(name);
        }
        let (id, now) = (host.id, now_ms());
        let time = u64::try_from(self.centre.config.readmit_time.as_millis()).unwrap_or(u64::MAX);
        let until = now.saturating_add_unsigned(time);
        let readmitted = self
            .centre
            .store
            .write(move |c| lifecycle::readmit(c, id, now, until));
        match readmitted.await {
            Ok(true) => {
                log::info!(host:% = id, name:% = host.name; "a host may come back");
                self.centre.changes.touch(id.0);
                self.show_as_it_is(name).await
            }
            Ok(false) => refusals::not_kept_out(name),
            Err(error) => refusals::failed(&error),
        }
    }

    /// Gives a host another name.
    pub(super) async fn rename(&self, call: Call) -> Reply {
        let name = call.name();
        let RenameHost { to } = match call.read() {
            Ok(rename) => rename,
            Err(refusal) => return refusal,
        };
        let host = match self.known(name).await {
            Ok(host) => host,
            Err(refusal) => return refusal,
        };
        let (id, wanted) = (host.id, to.clone());
        match self
            .centre
            .store
            .write(move |c| lifecycle::rename(c, id, &wanted))
            .await
        {
            Ok(true) => {
                log::info!(host:% = id, from:% = host.name, to:% = to; "a host is renamed");
                self.centre.changes.touch(id.0);
                self.show_as_it_is(to.as_str()).await
            }
            Ok(false) => refusals::name_taken(to.as_str()),
            Err(error) => refusals::failed(&error),
        }
    }

    async fn known(&self, name: &str) -> Result<HostView, Reply> {
        match self.host(name).await {
            Ok(Some(host)) => Ok(host),
            Ok(None) => Err(refusals::host_unknown(name)),
            Err(error) => Err(refusals::failed(&error)),
        }
    }

    pub(super) async fn show_as_it_is(&self, name: &str) -> Reply {
        let found: Result<Option<HostView>, StoreError> = self.host(name).await;
        match found {
            Ok(Some(host)) => http::json(StatusCode::OK, &host),
            Ok(None) => refusals::host_unknown(name),
            Err(error) => refusals::failed(&error),
        }
    }
}
