//! The login that a deployment has put into the docker group.

use crate::host::{Command, HostError, Look};
use crate::runbook::{ActCx, Applied, Cx, Intent, Step, StepError, made};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;

/// How it is written down that a deployment has added a login: one that was a member before stays one.
pub(in crate::runbook::chapters) fn added(login: &str) -> String {
    format!("{KIND}{login}")
}

const KIND: &str = "docker-group ";

/// The login is in the group no more.
pub(super) struct NotInGroup;

/// The logins that deployments have added.
async fn ours(host: &dyn Look) -> Result<Vec<String>, HostError> {
    let made = made::made(host).await?;
    let logins = made.iter().filter_map(|line| line.strip_prefix(KIND));
    Ok(logins.map(str::to_owned).collect())
}

async fn is_member(host: &dyn Look, login: &str) -> Result<bool, HostError> {
    let groups = host.query(Command::new("id", &["-nG", "--", login])).await?;
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

    fn effects(&self, _intent: &Intent<'_>) -> Vec<String> {
        vec!["take out of the docker group whom deployments have put there".to_owned()]
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let logins = ours(cx.host).await?;
        Ok(if logins.is_empty() {
            Verdict::satisfied("no login that a deployment has added")
        } else {
            Verdict::needed(format!(
                "{} in the docker group by a deployment",
                logins.join(", ")
            ))
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        for login in ours(cx.host).await? {
            if is_member(cx.host, &login).await? {
                take_out(cx, &login).await?;
            }
            made::forget(cx, &added(&login)).await?;
        }
        Ok(Applied::default())
    }
}

async fn take_out(cx: &ActCx<'_>, login: &str) -> Result<(), StepError> {
    let command = Command::new("gpasswd", &["-d", login, "docker"]);
    let output = cx.host.run(command).await?;
    if output.ok() {
        return Ok(());
    }
    let advice = Advice::new(
        "DOCKER_GROUP_FAILED",
        format!("`gpasswd` ended with exit code {}", output.code),
        format!("{login} out of the docker group"),
        format!("run `gpasswd -d {login} docker` by hand and mend what it names, then run `uninstall` again"),
    );
    Err(StepError::last(advice.with_evidence(output.last_lines(4))))
}
