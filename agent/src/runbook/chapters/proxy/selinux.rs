//! `SELinux` lets nginx through to chatalot.

use crate::host::{Command, HostError, Look};
use crate::runbook::{ActCx, Applied, Cx, Intent, Step, StepError, made, proxies};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::{ProxyChoice, Site};
use std::path::Path;
use std::time::Duration;

/// nginx may connect to chatalot where `SELinux` is enforced.
pub(super) struct Selinux;

const ENFORCED: &str = "/sys/fs/selinux/enforce";
const ALLOWED: &str = "/sys/fs/selinux/booleans/httpd_can_network_connect";

#[async_trait]
impl Step for Selinux {
    fn id(&self) -> &'static str {
        "proxy.selinux"
    }

    fn title(&self) -> &'static str {
        "SELinux lets nginx through to chatalot"
    }

    fn applies(&self, site: &Site) -> bool {
        proxies::chosen(site).is_some_and(|proxy| proxy.choice() == ProxyChoice::Nginx)
    }

    fn effects(&self, _intent: &Intent<'_>) -> Vec<String> {
        vec!["run `setsebool -P httpd_can_network_connect on`, where SELinux is enforced".to_owned()]
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        Ok(if selinux_denies(cx.host).await? {
            Verdict::needed("httpd_can_network_connect is off: nginx could only answer 502")
        } else {
            Verdict::satisfied("SELinux is not enforced, or httpd_can_network_connect is on")
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        made::note(cx, [ALLOWED_BY_US.to_owned()]).await?;
        set_allowed(cx, "on", "deploy again").await?;
        Ok(Applied::default())
    }
}

/// Whether `SELinux` is enforced and keeps web servers from connecting to others.
pub(in crate::runbook) async fn selinux_denies(host: &dyn Look) -> Result<bool, HostError> {
    let enforced = host.read(Path::new(ENFORCED)).await?;
    if enforced.is_none_or(|text| !text.starts_with(b"1")) {
        return Ok(false);
    }
    // What holds now, and what was asked for.
    let allowed = host.read(Path::new(ALLOWED)).await?;
    Ok(allowed.is_some_and(|text| !text.starts_with(b"1")))
}

/// How it is written down that we have done it.
pub(in crate::runbook::chapters) const ALLOWED_BY_US: &str = "selinux httpd_can_network_connect";

/// Has `SELinux` let web servers connect to others, or not, now and after a boot.
pub(in crate::runbook::chapters) async fn set_allowed(
    cx: &ActCx<'_>,
    to: &str,
    then: &str,
) -> Result<(), StepError> {
    let set = Command::new("setsebool", &["-P", "httpd_can_network_connect", to]);
    let output = cx.host.run(set.deadline(Duration::from_mins(3))).await?;
    if output.ok() {
        return Ok(());
    }
    Err(StepError::last(
        Advice::new(
            "SELINUX_REFUSED",
            format!("`setsebool` ended with exit code {}", output.code),
            format!("httpd_can_network_connect {to}"),
            format!(
                "run `setsebool -P httpd_can_network_connect {to}` by hand and mend what it names, then {then}"
            ),
        )
        .with_evidence(output.last_lines(4)),
    ))
}
