//! The engine, compose and the tools, from the distribution, and where it lacks them from whoever makes them.

mod repository;

use super::super::engine_version::{self, compose_missing, engine_too_old, is_compose_v1};
use super::super::{ActCx, Applied, Cx, Intent, Limits, Step, StepError, made, packaging};
use super::uninstall::group::added;
use crate::host::{Command, Engine, plain_line};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use std::path::Path;
use std::time::Duration;

/// The chapter.
pub(super) const STEPS: &[&dyn Step] = &[&Dpkg, &repository::SetUp, &Install, &Running, &DockerGroup];

/// A package manager is never cut off, and waits silently for ten minutes where another one works.
pub(super) const PACKAGE_LIMITS: Limits = Limits {
    deadline: Duration::from_mins(45),
    idle: Duration::from_mins(15),
    interruptible: false,
};

/// A command as a person would type it.
fn typed(row: &[&str]) -> String {
    row.join(" ")
}

/// Nothing is half installed.
struct Dpkg;

#[async_trait]
impl Step for Dpkg {
    fn id(&self) -> &'static str {
        "packages.dpkg"
    }

    fn title(&self) -> &'static str {
        "No package is half installed"
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        vec![format!(
            "run `{}` if an earlier installation was cut off, and unpack anew what was cut off while it was unpacked",
            typed(intent.distro.repair)
        )]
    }

    fn limits(&self) -> Limits {
        PACKAGE_LIMITS
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let half = packaging::half_done(cx.host, cx.distro, Duration::from_mins(2)).await?;
        Ok(match half.last() {
            None => Verdict::satisfied("the package database is in order"),
            Some(about) => Verdict::needed(format!("packages are only half installed: {}", about.trim())),
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let distro = cx.look.distro;
        let output = cx.host.run(distro.command(distro.repair, &[])).await?;
        // What could not be configured for it is configured with it.
        if packaging::unpack_torn(cx).await? || output.ok() {
            Ok(Applied::default())
        } else {
            Err(packaging::failure(
                distro,
                &output,
                &["the packages that were cut off"],
            ))
        }
    }
}

/// The packages of the row are there.
struct Install;

impl Install {
    /// What is missing. An engine from elsewhere is left alone, whatever it lacks: the row's packages would push it out,
    /// or own the same files.
    async fn missing(cx: &Cx<'_>) -> Result<Vec<&'static str>, StepError> {
        let row = cx.distro;
        let mut missing = packaging::missing(cx.host, row, row.tools).await?;
        let mut engine = packaging::missing(cx.host, row, row.engine).await?;
        let foreign = engine.contains(&row.engine[0]) && cx.host.engine().await? != Engine::Absent;
        if foreign {
            return Ok(missing);
        }
        if cx
            .host
            .compose()
            .await?
            .is_none_or(|version| is_compose_v1(&version))
        {
            engine.extend(packaging::missing(cx.host, row, row.compose).await?);
        }
        engine.append(&mut missing);
        Ok(engine)
    }
}

/// The packages of the row that a deployment would install now.
pub(in crate::runbook) async fn to_install(cx: &Cx<'_>) -> Result<Vec<&'static str>, StepError> {
    Install::missing(cx).await
}

#[async_trait]
impl Step for Install {
    fn id(&self) -> &'static str {
        "packages.install"
    }

    fn title(&self) -> &'static str {
        "Docker, compose and the tools are installed"
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        let names: Vec<&str> = intent.distro.packages().collect();
        vec![
            format!("run `{}`", typed(intent.distro.refresh)),
            format!("install what is missing of {}", names.join(", ")),
        ]
    }

    fn packages(&self, intent: &Intent<'_>) -> Vec<&'static str> {
        intent.distro.packages().collect()
    }

    fn limits(&self) -> Limits {
        PACKAGE_LIMITS
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let missing = Self::missing(cx).await?;
        Ok(if missing.is_empty() {
            Verdict::satisfied("all installed")
        } else {
            Verdict::needed(format!("not installed: {}", missing.join(", ")))
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let missing = Self::missing(&cx.look).await?;
        packaging::install(cx, &missing).await?;
        Ok(Applied::default())
    }
}

/// The engine runs, now and after a boot, and is new enough.
struct Running;

#[async_trait]
impl Step for Running {
    fn id(&self) -> &'static str {
        "packages.engine"
    }

    fn title(&self) -> &'static str {
        "The Docker Engine runs"
    }

    fn after(&self) -> Option<&'static str> {
        Some("packages.install")
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        vec![format!(
            "run `systemctl enable --now {}`",
            intent.distro.engine_unit
        )]
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let version = match cx.host.engine().await? {
            Engine::Absent => return Ok(Verdict::needed("no Docker Engine")),
            Engine::Down { why } => return Ok(Verdict::needed(format!("the Docker Engine is down: {why}"))),
            Engine::Up { version, .. } => version,
        };
        if engine_version::is_too_old(&version) {
            return Ok(engine_too_old(&version, cx.distro.manager).into());
        }
        let compose = match cx.host.compose().await? {
            Some(compose) if !is_compose_v1(&compose) => compose,
            _ => return Ok(compose_missing(&version, cx.distro.manager).into()),
        };
        let unit = cx.host.unit(cx.distro.engine_unit).await?;
        Ok(if unit.exists && !unit.enabled {
            Verdict::needed(format!("{} is not started at boot", cx.distro.engine_unit))
        } else {
            Verdict::satisfied(format!("Engine {version}, compose {compose}"))
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let unit = cx.look.distro.engine_unit;
        let start = Command::new("systemctl", &["enable", "--now", unit]).deadline(Duration::from_mins(2));
        let output = cx.host.run(start).await?;
        if output.ok() {
            return Ok(Applied::default());
        }
        if let Some(advice) = kernel_replaced(cx).await? {
            return Err(StepError::last(advice));
        }
        Err(StepError::last(
            Advice::new(
                "ENGINE_DOWN",
                format!(
                    "`systemctl enable --now {unit}` ended with exit code {}",
                    output.code
                ),
                "a running Docker Engine",
                format!("look at `journalctl -u {unit} -n 50`, mend what it names, then deploy again"),
            )
            .with_evidence(output.last_lines(8)),
        ))
    }
}

/// The modules of the kernel that runs have been exchanged for a newer one's, and the Engine needs some.
async fn kernel_replaced(cx: &ActCx<'_>) -> Result<Option<Advice>, StepError> {
    let release = cx.host.read(Path::new("/proc/sys/kernel/osrelease")).await?;
    let release = plain_line(&String::from_utf8_lossy(&release.unwrap_or_default()));
    let there = cx.host.list(Path::new("/usr/lib/modules")).await?;
    if release.is_empty() || there.is_empty() || there.contains(&release) {
        return Ok(None);
    }
    Ok(Some(Advice::new(
        "KERNEL_REPLACED",
        format!(
            "kernel {release} runs, whose modules are not on the disk any more ({} are)",
            there.join(", ")
        ),
        "the modules that the Docker Engine needs",
        "reboot the host, then deploy again: it goes on from here",
    )))
}

/// A login that may use docker without sudo, only if asked for.
struct DockerGroup;

#[async_trait]
impl Step for DockerGroup {
    fn id(&self) -> &'static str {
        "packages.docker_group"
    }

    fn title(&self) -> &'static str {
        "The login may use Docker"
    }

    fn applies(&self, site: &Site) -> bool {
        site.docker_group.is_some()
    }

    fn after(&self) -> Option<&'static str> {
        Some("packages.install")
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        let login = login(intent.site);
        vec![format!(
            "run `usermod -aG docker {login}`, which is the same as giving {login} root"
        )]
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let login = login(cx.site);
        let groups = cx.host.query(Command::new("id", &["-nG", "--", login])).await?;
        if !groups.ok() {
            return Ok(Advice::new(
                "LOGIN_UNKNOWN",
                format!("no login `{login}` on this host"),
                "an existing login",
                format!("make it (`adduser {login}`), or deploy without adding anybody to the docker group"),
            )
            .into());
        }
        let member = groups
            .stdout
            .split_ascii_whitespace()
            .any(|group| group == "docker");
        Ok(if member {
            Verdict::satisfied(format!("{login} is in the docker group"))
        } else {
            Verdict::needed(format!("{login} is not in the docker group"))
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let login = login(cx.look.site);
        made::note(cx, [added(login)]).await?;
        let add = Command::new("usermod", &["-aG", "docker", "--", login]);
        let output = cx.host.run(add).await?;
        if output.ok() {
            return Ok(Applied::default());
        }
        Err(StepError::last(
            Advice::new(
                "DOCKER_GROUP_FAILED",
                format!("`usermod` ended with exit code {}", output.code),
                format!("{login} in the docker group"),
                format!("run `usermod -aG docker {login}` by hand and mend what it names"),
            )
            .with_evidence(output.last_lines(4)),
        ))
    }
}

fn login(site: &Site) -> &str {
    site.docker_group.as_ref().map_or("", |login| login.as_str())
}
