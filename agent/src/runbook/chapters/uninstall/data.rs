//! The site's volumes: its database and its uploads, for ever.

use super::containers::project;
use crate::host::{Command, Engine};
use crate::runbook::{ActCx, Applied, Cx, Intent, Limits, Step, StepError};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use std::time::Duration;

/// No volume of the site is left.
pub(super) struct Volumes;

async fn volumes(cx: &Cx<'_>) -> Result<Vec<String>, StepError> {
    if cx.host.engine().await? == Engine::Absent {
        return Ok(Vec::new());
    }
    let there = cx.host.containers(Some(cx.site.folder.as_str())).await?;
    let label = format!("label=com.docker.compose.project={}", project(cx, &there));
    let ask = Command::new("docker", &["volume", "ls", "--quiet", "--filter", &label]);
    let output = cx.host.query(ask).await?;
    if !output.ok() {
        let why = output.last_lines(1).join(" ");
        return Err(crate::host::HostError::Engine(why).into());
    }
    let names = output
        .stdout
        .lines()
        .map(str::trim)
        .filter(|name| !name.is_empty());
    Ok(names.map(str::to_owned).collect())
}

#[async_trait]
impl Step for Volumes {
    fn id(&self) -> &'static str {
        "uninstall.data"
    }

    fn title(&self) -> &'static str {
        "chatalot's database and uploads are deleted"
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        vec![format!(
            "delete the volumes of {} with the database and the uploads of {}, for ever",
            intent.site.folder, intent.site.domain
        )]
    }

    fn limits(&self) -> Limits {
        Limits {
            interruptible: false,
            ..Limits::default()
        }
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let there = volumes(cx).await?;
        Ok(if there.is_empty() {
            Verdict::satisfied("no volume of the site")
        } else {
            Verdict::needed(format!("there are {}", there.join(", ")))
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let there = volumes(&cx.look).await?;
        let mut remove =
            Command::new("docker", &["volume", "rm", "--force", "--"]).deadline(Duration::from_mins(5));
        remove.args.extend(there);
        let output = cx.host.run(remove).await?;
        if output.ok() {
            return Ok(Applied::default());
        }
        Err(StepError::last(
            Advice::new(
                "VOLUMES_STAY",
                format!("`docker volume rm` ended with exit code {}", output.code),
                "volumes that no other container uses",
                "see who uses them (`docker ps -a --filter volume=NAME`), remove that yourself if it is not needed, then run `uninstall` again",
            )
            .with_evidence(output.last_lines(6)),
        ))
    }
}
