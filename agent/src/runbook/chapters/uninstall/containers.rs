//! The site's containers and networks, by the labels that compose gave them.

use super::super::install::switched_off::noted;
use crate::host::{Command, Container, Engine};
use crate::runbook::containers::PROJECT;
use crate::runbook::{ActCx, Applied, Cx, Intent, Limits, Step, StepError, made};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use std::time::Duration;

/// No container of the site is left.
pub(super) struct Containers;

/// The compose project's name: as its containers say, as it is remembered, or as compose would make it.
pub(super) fn project(cx: &Cx<'_>, there: &[Container]) -> String {
    let said = there
        .iter()
        .map(|one| one.project.clone())
        .find(|name| !name.is_empty());
    said.or_else(|| cx.memory.get(PROJECT).cloned())
        .unwrap_or_else(|| {
            let last = cx.site.folder.as_str().rsplit('/').next().unwrap_or_default();
            let fits = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
            last.to_ascii_lowercase().chars().filter(fits).collect()
        })
}

/// The site's containers.
async fn there(cx: &Cx<'_>) -> Result<Vec<Container>, StepError> {
    if cx.host.engine().await? == Engine::Absent {
        return Ok(Vec::new());
    }
    Ok(cx.host.containers(Some(cx.site.folder.as_str())).await?)
}

async fn forget(cx: &ActCx<'_>) -> Result<Applied, StepError> {
    made::forget_all(cx, noted(cx.host).await?).await?;
    Ok(Applied::default())
}

#[async_trait]
impl Step for Containers {
    fn id(&self) -> &'static str {
        "uninstall.containers"
    }

    fn title(&self) -> &'static str {
        "chatalot's containers are gone"
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        vec![format!(
            "end and remove the containers and networks of {} (`docker compose down`); images and volumes stay",
            intent.site.folder
        )]
    }

    fn limits(&self) -> Limits {
        Limits {
            interruptible: false,
            ..Limits::default()
        }
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let there = there(cx).await?;
        let names: Vec<&str> = there.iter().map(|one| one.name.as_str()).collect();
        Ok(if names.is_empty() && noted(cx.host).await?.is_empty() {
            Verdict::satisfied("no container of the site")
        } else if names.is_empty() {
            Verdict::needed("no container of the site, but a note of what deployments were to start")
        } else {
            Verdict::needed(format!("there are {}", names.join(", ")))
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let there = there(&cx.look).await?;
        if there.is_empty() {
            // Another folder's installation may have the same project's name, and compose goes by that alone.
            return forget(cx).await;
        }
        let project = project(&cx.look, &there);
        // By its name and in no folder of its own: compose goes by labels, and no file has to be there or be valid.
        let down = Command::new("docker", &["compose", "--project-name", &project, "down"])
            .arg("--remove-orphans")
            .within("/")
            .deadline(Duration::from_mins(5));
        let output = cx.host.run(down).await?;
        if output.ok() {
            return forget(cx).await;
        }
        Err(StepError::last(
            Advice::new(
                "CONTAINERS_STAY",
                format!("`docker compose down` ended with exit code {}", output.code),
                "chatalot's containers gone",
                format!(
                    "run `docker compose --project-name {project} down --remove-orphans`, mend what it names, then run `uninstall` again"
                ),
            )
            .with_evidence(output.last_lines(6)),
        ))
    }
}
