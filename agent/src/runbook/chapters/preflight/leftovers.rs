//! What an earlier chatalot left behind, where it would get in the way of this one.

use crate::host::{Container, Engine};
use crate::runbook::{Cx, Step, StepError};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use std::path::Path;

/// The names that chatalot's compose file gives its containers: one site an engine.
const FIXED_NAMES: &[&str] = &[
    "chatalot-server",
    "chatalot-db",
    "chatalot-turn",
    "chatalot-updater",
    "chatalot-socket-proxy",
];

/// Where the Engine keeps its volumes: to be seen without its client, which may not be there yet.
const VOLUMES: &str = "/var/lib/docker/volumes";

/// No container of somebody else has one of our names, and no old database waits for a new password.
pub(super) struct Leftovers;

#[async_trait]
impl Step for Leftovers {
    fn id(&self) -> &'static str {
        "preflight.leftovers"
    }

    fn title(&self) -> &'static str {
        "No other chatalot is in the way"
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        // An engine that does not run has no containers that could be in the way, but it may have their volumes.
        if matches!(cx.host.engine().await?, Engine::Up { .. })
            && let Some(advice) = name_taken(cx.site, &cx.host.containers(None).await?)
        {
            return Ok(advice.into());
        }
        Ok(match old_database(cx).await? {
            Some(advice) => advice.into(),
            None => Verdict::satisfied("no foreign container has chatalot's names"),
        })
    }
}

fn name_taken(site: &Site, containers: &[Container]) -> Option<Advice> {
    let taken = containers
        .iter()
        .find(|one| FIXED_NAMES.contains(&one.name.as_str()) && one.folder != site.folder.as_str())?;
    let owner = if taken.folder.is_empty() {
        "made by hand".to_owned()
    } else {
        format!("of the compose project in {}", taken.folder)
    };
    Some(Advice::new(
        "CONTAINER_NAME_TAKEN",
        format!("a container `{}` {owner}", taken.name),
        format!("the name free for the site in {}", site.folder),
        format!(
            "if it is this chatalot, deploy with its folder; if it is not needed any more, remove it yourself: `docker rm -f {}`",
            taken.name
        ),
    ))
}

/// A database volume without the `.env` that holds its password: a new installation would lock itself out.
async fn old_database(cx: &Cx<'_>) -> Result<Option<Advice>, StepError> {
    let folder = Path::new(cx.site.folder.as_str());
    if cx.host.read(&folder.join(".env")).await?.is_some() {
        return Ok(None);
    }
    let volume = volume_name(cx.site);
    let there = cx.host.list(Path::new(VOLUMES)).await?.contains(&volume);
    Ok(there.then(|| {
        Advice::new(
            "DATABASE_WITHOUT_ENV",
            format!("the database volume `{volume}` of an earlier chatalot, without {}/.env", cx.site.folder),
            "either both or neither: the new .env would hold another password than the old database",
            format!(
                "put the old .env (and secrets/) back into {}, or, if the old data is not needed, `docker volume rm {volume}`; then deploy again",
                cx.site.folder
            ),
        )
    }))
}

/// Compose names the project after the folder.
fn volume_name(site: &Site) -> String {
    let folder = site.folder.as_str().rsplit('/').next().unwrap_or_default();
    let project: String = folder
        .to_ascii_lowercase()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .collect();
    format!("{project}_postgres_data")
}
