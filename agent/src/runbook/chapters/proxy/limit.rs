//! Who is let in until the administrator has registered: decided before the proxy has the site.

use crate::runbook::route::{self, admin};
use crate::runbook::{ActCx, Applied, Cx, Intent, Step, StepError};
use async_trait::async_trait;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// It is decided who is let in.
pub(super) struct Limit;

#[async_trait]
impl Step for Limit {
    fn id(&self) -> &'static str {
        "proxy.limit"
    }

    fn title(&self) -> &'static str {
        "Who is let in is decided"
    }

    fn applies(&self, site: &Site) -> bool {
        !site.limit_until_admin.is_empty()
    }

    fn after(&self) -> Option<&'static str> {
        Some("install.run")
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        let (admin, networks) = (&intent.site.admin, &intent.site.limit_until_admin);
        vec![
            format!("ask chatalot's database whether {admin} has registered, which only reads"),
            format!(
                "until then have the proxy let in only {networks} and the host itself, and answer others with 403; what the authority asks at /.well-known/acme-challenge is answered to all"
            ),
            format!("once {admin} has registered, have the proxy let everybody in, by the agent itself"),
        ]
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let Some(decided) = cx.memory.get(route::KEY) else {
            return Ok(Verdict::needed("it is not decided yet"));
        };
        let Some(let_in) = route::limit(cx) else {
            return Ok(Verdict::satisfied(format!("everybody: it is {decided}")));
        };
        let new: Vec<String> = own(cx)
            .await?
            .iter()
            .filter(|own| !let_in.knows(**own))
            .map(ToString::to_string)
            .collect();
        Ok(if new.is_empty() {
            Verdict::satisfied(format!(
                "only {let_in} and the host itself, until {} has registered",
                cx.site.admin
            ))
        } else {
            Verdict::needed(format!("the host has a new address: {}", new.join(", ")))
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        // A site that was there before has its administrator; whatever cannot be told is limited.
        let decided = match admin::registered(&cx.look).await? {
            admin::Registered::Admin => route::OPEN.to_owned(),
            _ => route::limited(&own(&cx.look).await?),
        };
        let remember = BTreeMap::from([(route::KEY.to_owned(), decided)]);
        Ok(Applied { remember })
    }
}

/// The host's own addresses: it must be able to see for itself what it serves.
async fn own(cx: &Cx<'_>) -> Result<Vec<IpAddr>, StepError> {
    Ok(cx.host.addresses().await?)
}
