//! The login that a deployment has put into the docker group.

use crate::host::{Command, HostError};
use crate::runbook::{ActCx, Applied, Cx, Intent, Step, StepError};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;

/// Where it is remembered which login a deployment has added: one that was a member before stays one.
pub(in crate::runbook::chapters) const ADDED: &str = "docker_group.added";

/// The login is in the group no more.
pub(super) struct NotInGroup;

fn added<'a>(cx: &Cx<'a>) -> Option<&'a str> {
    let memory: &'a std::collections::BTreeMap<String, String> = cx.memory;
    memory.get(ADDED).map(String::as_str)
}

async fn is_member(cx: &Cx<'_>, login: &str) -> Result<bool, HostError> {
    let groups = cx.host.query(Command::new("id", &["-nG", "--", login])).await?;
    let mut names = groups.stdout.split_ascii_whitespace();
    Ok(groups.ok() && names.any(|group| group == "docker"))
}

#[async_trait]
impl Step for NotInGroup {
    fn id(&self) -> &'static str {
        "uninstall.docker_group"
    }

    fn title(&self) -> &'static str {
        "The login may use Docker no more"
    }

    fn applies(&self, site: &Site) -> bool {
        site.docker_group.is_some()
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        let login = intent
            .site
            .docker_group
            .as_ref()
            .map_or("", |login| login.as_str());
        vec![format!(
            "take {login} out of the docker group, if a deployment has put it there"
        )]
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let Some(login) = added(cx) else {
            return Ok(Verdict::satisfied("no login that a deployment has added"));
        };
        Ok(if is_member(cx, login).await? {
            Verdict::needed(format!("{login} is in the docker group"))
        } else {
            Verdict::satisfied(format!("{login} is not in the docker group"))
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let login = added(&cx.look).unwrap_or_default();
        let output = cx
            .host
            .run(Command::new("gpasswd", &["-d", login, "docker"]))
            .await?;
        if output.ok() {
            return Ok(Applied::default());
        }
        let advice = Advice::new(
            "DOCKER_GROUP_FAILED",
            format!("`gpasswd` ended with exit code {}", output.code),
            format!("{login} out of the docker group"),
            format!(
                "run `gpasswd -d {login} docker` by hand and mend what it names, then run `uninstall` again"
            ),
        );
        Err(StepError::last(advice.with_evidence(output.last_lines(4))))
    }
}
