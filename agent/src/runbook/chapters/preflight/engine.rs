//! The Docker Engine and compose, as they are before anything is installed.

use crate::host::Engine as Facts;
use crate::runbook::distro::Manager;
use crate::runbook::engine_version::{self, engine_too_old};
use crate::runbook::{Cx, Step, StepError, packaging};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
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
        let engine = cx.host.engine().await?;
        if !matches!(&engine, Facts::Up { version, .. } if !engine_version::is_too_old(version))
            && packaging::missing(cx.host, cx.distro, &[IMPOSTOR])
                .await?
                .is_empty()
        {
            return Ok(impostor(cx.distro.manager).into());
        }
        match engine {
            Facts::Absent => Ok(Verdict::satisfied("not installed yet: packages.install will")),
            Facts::Down { .. } => Ok(Verdict::satisfied(
                "installed, not running: packages.engine will start it",
            )),
            Facts::Up { version, .. } if engine_version::is_too_old(&version) => {
                Ok(engine_too_old(&version, cx.distro.manager).into())
            }
            Facts::Up { version, .. } => beside_compose(cx, &version).await,
        }
    }
}

/// Podman under Docker's name, with Docker's socket. Compose starts on it, and chatalot's updater and TURN do not.
const IMPOSTOR: &str = "podman-docker";

fn impostor(manager: Manager) -> Advice {
    Advice::new(
        "PODMAN_DOCKER",
        format!("{IMPOSTOR}: `docker` on this host is Podman under Docker's name"),
        "the Docker Engine itself",
        format!(
            "run `{} {IMPOSTOR}` (Podman itself may stay), then deploy again",
            manager.remove()
        ),
    )
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
        engine_version::compose_missing(version, cx.distro.manager).into()
    })
}
