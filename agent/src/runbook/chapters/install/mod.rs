//! chatalot's own installer: asked what it can do, run, and its result looked at.

mod anew;
pub(super) mod copies;
mod flags;
pub(super) mod loopback;
mod openings;
mod outcome;
mod registry;
mod summary;
pub(super) mod switched_off;
mod taken_up;

pub(in crate::runbook) use copies::bare;

use super::super::{ActCx, Applied, Cx, Intent, Limits, Step, StepError};
use super::checkout;
use crate::host::{Command, Container, Look, Output};
use crate::runbook::containers::{self, Stand};
use crate::runbook::{answer, gone, recent};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The chapter.
pub(super) const STEPS: &[&dyn Step] = &[
    &Probe,
    &Run,
    &registry::Credentials,
    &loopback::Loopback,
    &openings::Openings,
];

/// What helps against an installer that only asks questions.
const NEWER: &str = "deploy with a newer reference";
/// What helps against one that lacks some flags.
const NEWER_OR_WITHOUT: &str =
    "deploy with a newer reference, or without the features whose flags it does not know";
/// When that was.
const APPLIED: &str = "install.applied";

fn script(site: &Site) -> PathBuf {
    Path::new(site.folder.as_str()).join("scripts/install.sh")
}

fn env_file(site: &Site) -> PathBuf {
    Path::new(site.folder.as_str()).join(".env")
}

/// The installer, in the checkout, as an argv: by its full path, so that nothing is looked up.
fn installer(site: &Site) -> Command {
    Command::new(&script(site).to_string_lossy(), &[]).within(site.folder.as_str())
}

/// The checked out installer knows the flags that this site needs.
struct Probe;

#[async_trait]
impl Step for Probe {
    fn id(&self) -> &'static str {
        "install.probe"
    }

    fn title(&self) -> &'static str {
        "The installer knows what is needed"
    }

    fn after(&self) -> Option<&'static str> {
        Some("checkout.clone")
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let Some(text) = cx.host.read(&script(cx.site)).await? else {
            return Ok(too_old(cx.site, "no scripts/install.sh in it", NEWER).into());
        };
        // An installer that never heard of unattended runs might begin to install when asked for help.
        if !knows_unattended(cx.host, cx.site, &text).await? {
            let saw = "an installer that only works by asking questions";
            return Ok(too_old(cx.site, saw, NEWER).into());
        }
        let help = installer(cx.site).arg("--help").deadline(Duration::from_secs(10));
        let output = match cx.host.query(help).await {
            Ok(output) => output,
            Err(crate::host::HostError::Deadline { seconds, .. }) => {
                let saw = format!("an installer that shows no help within {seconds} s");
                return Ok(too_old(cx.site, &saw, NEWER).into());
            }
            Err(other) => return Err(other.into()),
        };
        let unknown = flags::unknown(cx.site, &[output.stdout.as_str(), &output.stderr].concat());
        Ok(if unknown.is_empty() {
            Verdict::satisfied("its help names every flag that this site needs")
        } else {
            let saw = format!("an installer whose help does not name {}", unknown.join(", "));
            too_old(cx.site, &saw, NEWER_OR_WITHOUT)
                .with_evidence(output.last_lines(3))
                .into()
        })
    }
}

/// Whether any of the installer's own files mentions the flag for unattended runs.
async fn knows_unattended(host: &dyn Look, site: &Site, script: &[u8]) -> Result<bool, StepError> {
    let mentions = |text: &[u8]| String::from_utf8_lossy(text).contains("--non-interactive");
    if mentions(script) {
        return Ok(true);
    }
    for folder in ["scripts", "scripts/lib"] {
        let folder = Path::new(site.folder.as_str()).join(folder);
        for name in host.list(&folder).await? {
            let shell = Path::new(&name).extension().is_some_and(|end| end == "sh");
            if shell
                && host
                    .read(&folder.join(name))
                    .await?
                    .is_some_and(|text| mentions(&text))
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn too_old(site: &Site, saw: &str, fix: &str) -> Advice {
    Advice::new(
        "INSTALLER_TOO_OLD",
        format!("{} of {}: {saw}", site.source.reference, site.source.repository),
        "a chatalot whose scripts/install.sh takes the runbook's flags (0.24 or newer)",
        fix,
    )
}

/// The installer was run with these inputs, and what it made is up.
struct Run;

#[async_trait]
impl Step for Run {
    fn id(&self) -> &'static str {
        "install.run"
    }

    fn title(&self) -> &'static str {
        "chatalot is installed and up"
    }

    fn after(&self) -> Option<&'static str> {
        Some("install.probe")
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        let site = intent.site;
        let mut lines = vec![
            format!(
                "run `./scripts/install.sh {}` in {}",
                flags::shown(site),
                site.folder
            ),
            format!(
                "it writes {0}/.env and {0}/secrets, pulls images and starts {1}",
                site.folder,
                containers::least(site).join(", ")
            ),
        ];
        if site.overwrite_env {
            lines.push(format!(
                "with --overwrite-env where there is an .env: a copy of it and of secrets/ is kept in {}/copies, and what existing data depends on is put back",
                site.folder
            ));
            lines.push(
                "what is missing below secrets/ is made anew, and what may use it is started anew".into(),
            );
        }
        if !site.updates {
            lines
                .push("no managed updates, as asked: coming back to signed updates later is not easy".into());
        }
        if site.registry_user.is_some() || site.oidc.is_some() || site.tunnel {
            lines.push(
                "while it runs, the secrets among its flags are visible in the host's process list".into(),
            );
        }
        lines
    }

    fn limits(&self) -> Limits {
        Limits {
            deadline: Duration::from_mins(40),
            idle: Duration::from_mins(15),
            interruptible: true,
        }
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(90)
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let Some(env) = cx.host.read(&env_file(cx.site)).await? else {
            return Ok(Verdict::needed("no .env yet"));
        };
        let Some(last) = cx.memory.get(recent::INSTALLED) else {
            return Ok(Verdict::needed("this recipe has not run the installer here yet"));
        };
        let changed: Vec<String> = inputs(cx)
            .await?
            .changes(last)
            .iter()
            .map(ToString::to_string)
            .collect();
        if !changed.is_empty() {
            let how = if cx.site.overwrite_env {
                "; .env is written anew, after a copy"
            } else {
                "; what the installer keeps of them in .env is told, and changed by --overwrite-env alone"
            };
            return Ok(Verdict::needed(format!(
                "inputs changed: {}{how}",
                changed.join(", ")
            )));
        }
        if copies::are_pending(cx).await? {
            return Ok(Verdict::needed(
                "a run that was to make .env or a secret anew did not come to its end",
            ));
        }
        if !taken_up::is_of(cx.site, &String::from_utf8_lossy(&env)) {
            return Ok(Verdict::needed(format!(
                ".env is of another domain than {}",
                cx.site.domain
            )));
        }
        let missing = gone::to_make(cx).await?;
        if !missing.is_empty() {
            let missing = gone::missing(cx.site.folder.as_str(), missing.iter());
            return Ok(Verdict::needed(missing));
        }
        let there = cx.host.containers(Some(cx.site.folder.as_str())).await?;
        let left = switched_off::left(cx, &there).await?;
        if !left.is_empty() {
            return Ok(Verdict::needed(format!(
                "{} still there, switched off",
                left.join(", ")
            )));
        }
        self.stands(cx, &there).await
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let site = cx.look.site;
        let mut command = installer(site).deadline(Duration::from_mins(40));
        command.args = flags::installer_args(site, cx.secrets).map_err(StepError::Final)?;
        let env = cx.host.read(&env_file(site)).await?;
        let anew = env.is_some() && site.overwrite_env;
        let cut_off = copies::are_pending(&cx.look).await?;
        let missing = anew::missing(&cx.look, cut_off).await?;
        let copies = if anew || cut_off || !missing.is_empty() {
            let copies = copies::take(cx).await?;
            copies.clear_way(cx).await?;
            Some(copies)
        } else {
            None
        };
        if anew {
            command.args.push("--overwrite-env".to_owned());
        }
        let wanted = inputs(&cx.look).await?;
        switched_off::note(cx).await?;
        let output = cx
            .host
            .run(command)
            .await
            .map_err(|error| outcome::broken_off(site, error))?;
        settle(cx, copies, &output, &missing).await?;
        let values = summary::last_block(&output).map_err(StepError::Final)?;
        summary::compare(site, &values).map_err(StepError::Final)?;
        is_taken_up(cx, &wanted, env.is_some()).await?;
        switched_off::take_away(cx).await?;
        let mut remember: BTreeMap<String, String> = values
            .into_iter()
            .map(|(key, value)| (format!("installer.{key}"), value))
            .collect();
        remember.insert(recent::INSTALLED.to_owned(), wanted.text());
        remember.insert(APPLIED.to_owned(), recent::stamp(cx.host).await?);
        remember.extend(gone::remember(&cx.look).await?);
        let there = cx.host.containers(Some(site.folder.as_str())).await?;
        if let Some(one) = there.into_iter().find(|one| !one.project.is_empty()) {
            remember.insert(containers::PROJECT.to_owned(), one.project);
        }
        Ok(Applied { remember })
    }
}

impl Run {
    /// How the containers stand that are there.
    async fn stands(&self, cx: &Cx<'_>, there: &[Container]) -> Result<Verdict, StepError> {
        let services = containers::least(cx.site);
        let advice = match containers::judge(&services, there) {
            Stand::Crashing(one) => containers::why_crashing(cx.host, cx.site, &one).await?,
            Stand::Down(seen) => containers::down(cx.site, &services, &seen),
            Stand::Up => match answer::local(cx.host).await {
                Ok(health) => {
                    let saw = format!("chatalot {} is up", health.version);
                    return Ok(Verdict::noted(saw, gone::told(cx).await?));
                }
                Err(advice) => *advice,
            },
        };
        // What is not well right after the installer has run will not get better by running it again; at
        // another time it may, and a server that starts before its database crashes once or twice after a boot.
        let applied = recent::applied_ms(cx.host, cx.memory, APPLIED, self.patience()).await?;
        Ok(match applied {
            Some(_) => advice.into(),
            None => Verdict::needed(advice.saw),
        })
    }
}

/// What comes of a run: what has to be as it was is that again, and what was `missing` is taken up. Only then is nothing
/// more to be put back: a run that is cut off or fails here is gone through once more.
async fn settle(
    cx: &ActCx<'_>,
    copies: Option<copies::Copies>,
    output: &Output,
    missing: &gone::Names,
) -> Result<(), StepError> {
    if let Some(copies) = &copies {
        copies.put_back_and_start(cx).await?;
    }
    // Also what an installer has made that has failed later on.
    let taken_up = anew::take_up(cx, missing).await;
    if taken_up.is_ok() && copies.is_some() {
        copies::settled(cx).await?;
    }
    if output.ok() {
        taken_up
    } else {
        Err(outcome::failure(cx.look.site, output))
    }
}

/// Whether what is there now is what was asked for; `before` is whether there was an `.env` when the installer began.
async fn is_taken_up(cx: &ActCx<'_>, wanted: &flags::Inputs, before: bool) -> Result<(), StepError> {
    let site = cx.look.site;
    let env = cx.host.read(&env_file(site)).await?.unwrap_or_default();
    let services = cx.host.compose_services(site.folder.as_str()).await?;
    let last = cx.look.memory.get(recent::INSTALLED);
    let last = last.filter(|last| flags::can_be_read(last));
    let changes = match last {
        Some(last) => wanted.changes(last),
        // Of what the installer has just written itself there is nothing that it could have kept.
        None if before => wanted.changes(""),
        None => Vec::new(),
    };
    let there = taken_up::There {
        env: &String::from_utf8_lossy(&env),
        services: services.as_deref(),
        switched_off: &switched_off::ended(&cx.look).await?,
        remembered: last.is_some(),
    };
    taken_up::judge(site, cx.secrets, &changes, &there).map_err(StepError::Final)
}

async fn inputs(cx: &Cx<'_>) -> Result<flags::Inputs, StepError> {
    let commit = checkout::head(cx.host, cx.site).await?;
    Ok(flags::Inputs::of(cx.site, cx.secret_tags, commit))
}
