//! The operating system and the programs on it.

use crate::host::HostError;
use crate::runbook::{Cx, Step, StepError, distro};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;

/// A distribution with a row, systemd, a 64-bit processor, and root.
pub(super) struct System;

#[async_trait]
impl Step for System {
    fn id(&self) -> &'static str {
        "preflight.system"
    }

    fn title(&self) -> &'static str {
        "The system is supported"
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let system = cx.host.system().await?;
        if !system.root {
            return Ok(Advice::new(
                "NOT_ROOT",
                "the agent does not run as root",
                "root, which installing packages and containers needs",
                "run it as root: `su -` first, or `sudo -i` where there is sudo",
            )
            .into());
        }
        Ok(match distro::detect(&system) {
            Ok(row) => Verdict::satisfied(format!("{} on {}", row.name, system.architecture)),
            Err(advice) => (*advice).into(),
        })
    }
}

/// What the steps themselves are made of, and what they will install.
pub(super) struct Tools;

#[async_trait]
impl Step for Tools {
    fn id(&self) -> &'static str {
        "preflight.tools"
    }

    fn title(&self) -> &'static str {
        "The tools are there or can be installed"
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let row = cx.distro;
        let first = |argv: &[&'static str]| argv.first().copied().unwrap_or_default();
        let base = [
            first(row.query),
            first(row.audit),
            first(row.repair),
            first(row.install),
            "systemctl",
        ];
        let lacking = absent(cx, &base).await?;
        if !lacking.is_empty() {
            return Ok(Advice::new(
                "TOOLS_MISSING",
                format!("no {} on the host", lacking.join(", ")),
                format!("the tools that every {} has", row.name),
                "restore them, or deploy on a fresh host",
            )
            .into());
        }
        let later = absent(cx, &["openssl", "git", "curl"]).await?;
        Ok(Verdict::satisfied(if later.is_empty() {
            "openssl, git and curl are installed".to_owned()
        } else {
            format!("not installed yet: {}; packages.install will", later.join(", "))
        }))
    }
}

async fn absent(cx: &Cx<'_>, names: &[&'static str]) -> Result<Vec<&'static str>, HostError> {
    let mut absent = Vec::new();
    for name in names {
        if cx.host.program(name).await?.is_none() && !absent.contains(name) {
            absent.push(*name);
        }
    }
    Ok(absent)
}
