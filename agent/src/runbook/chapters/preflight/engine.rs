//! The Docker Engine and compose, as they are before anything is installed.

use crate::host::Engine as Facts;
use crate::runbook::engine_version::{self, engine_too_old};
use crate::runbook::{Cx, Step, StepError, packaging};
use async_trait::async_trait;
use chatalot_protocol::report::Verdict;

/// What is there is good enough, or absent and will be installed.
pub(super) struct Engine;

#[async_trait]
impl Step for Engine {
    fn id(&self) -> &'static str {
        "preflight.engine"
    }

    fn title(&self) -> &'static str {
        "The Docker Engine can be used"
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        match cx.host.engine().await? {
            Facts::Absent => Ok(Verdict::satisfied("not installed yet: packages.install will")),
            Facts::Down { .. } => Ok(Verdict::satisfied(
                "installed, not running: packages.engine will start it",
            )),
            Facts::Up { version, .. } if engine_version::is_too_old(&version) => {
                Ok(engine_too_old(&version).into())
            }
            Facts::Up { version, .. } => beside_compose(cx, &version).await,
        }
    }
}

/// An engine from elsewhere must bring its own compose: the distribution's would replace parts of it.
async fn beside_compose(cx: &Cx<'_>, version: &str) -> Result<Verdict, StepError> {
    let compose = cx.host.compose().await?;
    if let Some(compose) = compose {
        return Ok(Verdict::satisfied(format!("Engine {version}, compose {compose}")));
    }
    let ours = packaging::missing(cx.host, cx.distro, &cx.distro.engine[..1])
        .await?
        .is_empty();
    Ok(if ours {
        Verdict::satisfied(format!(
            "Engine {version}; compose v2 is missing: packages.install will"
        ))
    } else {
        engine_version::compose_missing(version).into()
    })
}
