//! The `run-step` process: reads its job file, applies one step, leaves the result beside it.
//!
//! It dies of SIGTERM without leaving a result: whoever asked for its end knows, and anybody else has to look.

use super::folder::JobFolder;
use super::{EffectJob, Ended, Outcome};
use crate::config::Config;
use crate::host::linux::{LinuxActor, LinuxHost};
use crate::outside::Way;
use crate::runbook::output::Sink;
use crate::runbook::{self, ActCx, Cx, Step, distro};
use chatalot_protocol::names::DeploymentId;
use std::io;
use std::time::Duration;

/// Commands get their own end first: SIGTERM at the deadline, SIGKILL half a minute later.
const GRACE: Duration = Duration::from_secs(40);

/// Applies the step of a job file. An error is one of the job folder itself; everything else is in the result.
pub async fn run(config: &Config, deployment: DeploymentId, stream: u32) -> io::Result<()> {
    let folder = JobFolder::of(&config.state, deployment, stream);
    if folder.read_result()?.is_some() {
        return Ok(());
    }
    let job = folder.read_job()?;
    let secrets: Vec<_> = job.secrets.present().map(|(_, secret)| secret.clone()).collect();
    let sink = Sink::open(&folder.output(), &secrets)?;
    let outcome = match runbook::step(&job.step.0) {
        Some(step) => apply(step, &job, config, sink).await,
        None => Outcome::Failed {
            why: format!("this agent has no step `{}`", job.step),
        },
    };
    folder.finish(&Ended {
        outcome,
        output_bytes: folder.output_bytes(),
    })
}

async fn apply(step: &'static dyn Step, job: &EffectJob, config: &Config, sink: Sink) -> Outcome {
    let limits = config.patience.within(step.limits());
    let mut host = config.host();
    // The session with the controller is the daemon's.
    host.outside = Way::Daemon(config.socket.clone());
    let actor = LinuxActor::new(LinuxHost::new(host), sink.clone(), limits);
    let outcome = match tokio::time::timeout(limits.deadline + GRACE, applied(step, job, &actor)).await {
        Ok(outcome) => outcome,
        Err(_) => Outcome::Lost {
            why: format!("not done within {} s", limits.deadline.as_secs()),
        },
    };
    match sink.finish() {
        Ok(_) => outcome,
        Err(error) => Outcome::Failed {
            why: format!("its output cannot be kept: {error}"),
        },
    }
}

async fn applied(step: &'static dyn Step, job: &EffectJob, actor: &LinuxActor) -> Outcome {
    let system = match crate::host::Look::system(actor).await {
        Ok(system) => system,
        Err(error) => {
            return Outcome::Failed {
                why: crate::chain(&error),
            };
        }
    };
    let distro = match distro::detect(&system) {
        Ok(distro) => distro,
        Err(advice) => return Outcome::Final { advice: *advice },
    };
    let look = Cx {
        site: &job.site,
        distro,
        host: actor,
        memory: &job.memory,
        secret_tags: &job.secret_tags,
    };
    match step
        .apply(&ActCx {
            look,
            host: actor,
            secrets: &job.secrets,
        })
        .await
    {
        Ok(applied) => Outcome::Done {
            remember: applied.remember,
        },
        Err(error) => error.into(),
    }
}
