//! Opening a route that is limited until the administrator has registered, and what is seen of it meanwhile.

use super::super::proxies::{self, served};
use super::super::route::{self, admin, admin::Registered};
use super::super::{ActCx, Applied, Cx, Intent, Step, StepError};
use super::proxy;
use async_trait::async_trait;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use std::collections::BTreeMap;
use std::time::Duration;

/// Letting everybody in.
pub const STEPS: &[&dyn Step] = &[&Route];
/// What is looked at again and again while it is limited.
pub const WATCHED: &[&dyn Step] = &[&Admin];

/// What is remembered, with the route open.
fn opened(memory: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut memory = memory.clone();
    memory.insert(route::KEY.to_owned(), route::OPEN.to_owned());
    memory
}

/// The proxy lets everybody in.
struct Route;

#[async_trait]
impl Step for Route {
    fn id(&self) -> &'static str {
        "open.route"
    }

    fn title(&self) -> &'static str {
        "The public route is open to everybody"
    }

    fn applies(&self, site: &Site) -> bool {
        !site.limit_until_admin.is_empty()
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        let limit = &intent.site.limit_until_admin;
        let first =
            format!("take the limit to {limit} and the host itself out of the reverse proxy's configuration");
        let plan = proxies::chosen(intent.site).map(|proxy| proxy.plan(intent.site));
        std::iter::once(first).chain(plan.unwrap_or_default()).collect()
    }

    fn patience(&self) -> Duration {
        proxy::PATIENCE
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        if let Some(let_in) = route::limit(cx) {
            return Ok(Verdict::needed(format!(
                "only {let_in} and the host itself are let in"
            )));
        }
        let proxy = proxy::proxy_of(cx.site)?;
        Ok(match served(cx).await {
            Ok(saw) if proxy.keeps(cx).await? => Verdict::satisfied(format!("{saw}, to everybody")),
            Ok(_) => Verdict::needed(format!("{} would not serve it after a restart", proxy.name())),
            Err(lacking) => Verdict::needed(lacking.0),
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let proxy = proxy::proxy_of(cx.look.site)?;
        let memory = opened(cx.look.memory);
        let look = Cx {
            memory: &memory,
            ..cx.look
        };
        let mut applied = proxies::put(&ActCx { look, ..*cx }, proxy, &proxy::applied(proxy)).await?;
        applied
            .remember
            .insert(route::KEY.to_owned(), route::OPEN.to_owned());
        Ok(applied)
    }
}

/// The administrator has registered, or is still awaited.
struct Admin;

#[async_trait]
impl Step for Admin {
    fn id(&self) -> &'static str {
        "open.admin"
    }

    fn title(&self) -> &'static str {
        "Nobody but the administrator registers first"
    }

    fn applies(&self, site: &Site) -> bool {
        !site.limit_until_admin.is_empty()
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let Some(let_in) = route::limit(cx) else {
            return Ok(Verdict::satisfied("open to everybody"));
        };
        let admin = &cx.site.admin;
        let registered = admin::registered(cx).await?;
        if let Some(advice) = registered.advice(cx) {
            return Ok(advice.into());
        }
        Ok(Verdict::satisfied(if registered == Registered::Admin {
            format!("limited to {let_in}; {admin} has registered, so it is about to be opened")
        } else {
            format!("limited to {let_in} until {admin} has registered")
        }))
    }
}
