//! The audit, read page by page: whoever reads it verifies it himself.

use super::gate::Call;
use super::{Api, asked, refusals};
use crate::http::{self, Reply};
use crate::store::audit;
use hyper::StatusCode;

/// How many records are on a page.
const PAGE: usize = 1000;

impl Api {
    pub(super) async fn audit(&self, call: Call) -> Reply {
        let after = asked(call.query.as_deref(), "after")
            .and_then(|after| after.parse().ok())
            .unwrap_or(0);
        match self
            .centre
            .store
            .read(move |c| audit::after(c, after, PAGE))
            .await
        {
            Ok(records) => http::json(StatusCode::OK, &records),
            Err(error) => refusals::failed(&error),
        }
    }
}
