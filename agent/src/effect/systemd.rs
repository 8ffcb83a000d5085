//! Effects in transient units of systemd. Starting and stopping them is the daemon's only power over the host.

use super::folder::JobFolder;
use super::{EffectJob, Ended, Outcome, Runner, UNITS};
use crate::host::{Command, HostError, Look, Output};
use crate::pulse::Pulse;
use crate::runbook::{self, Limits};
use async_trait::async_trait;
use chatalot_protocol::names::DeploymentId;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the result file is looked for.
const GLANCE: Duration = Duration::from_millis(15);
/// How often the unit itself is asked after.
const LOOK: Duration = Duration::from_secs(2);
/// How long a unit gets between SIGTERM and SIGKILL, and a deadline on top of the step's own.
const GRACE: Duration = Duration::from_secs(30);

/// Starts `chatalot-agent run-step` in transient units.
pub struct SystemdRunner {
    host: Arc<dyn Look>,
    state: PathBuf,
    program: PathBuf,
    pulse: Arc<Pulse>,
}

impl SystemdRunner {
    /// A runner for the agent's own program and state folder.
    pub fn new(host: Arc<dyn Look>, state: PathBuf, program: PathBuf, pulse: Arc<Pulse>) -> Self {
        Self {
            host,
            state,
            program,
            pulse,
        }
    }

    fn command(&self, job: &EffectJob, limits: Limits) -> Command {
        let seconds = (limits.deadline + GRACE + GRACE).as_secs();
        let unit = unit_name(job.deployment, job.stream);
        Command::new("systemd-run", &["--quiet", "--collect", "--service-type=exec"])
            .arg(format!("--unit={unit}"))
            .arg("--description=A step of a chatalot deployment")
            .arg(format!("--property=RuntimeMaxSec={seconds}"))
            .arg(format!("--property=TimeoutStopSec={}", GRACE.as_secs()))
            .arg("--property=UMask=0022")
            .arg("--property=PrivateTmp=yes")
            .arg("--property=ProtectClock=yes")
            .arg("--property=ProtectKernelLogs=yes")
            .arg("--property=LimitCORE=0")
            .arg("--property=LockPersonality=yes")
            .arg("--property=RestrictRealtime=yes")
            .arg("--property=IOWeight=50")
            .arg("--property=MemoryMax=75%")
            .arg("--setenv=HOME=/root")
            .arg("--")
            .arg(self.program.display().to_string())
            .arg("run-step")
            .arg(format!("--state={}", self.state.display()))
            .arg(job.deployment.to_string())
            .arg(job.stream.to_string())
    }

    /// Whether a unit has ended, as far as systemd can be asked.
    async fn is_over(&self, unit: &str) -> Option<bool> {
        let show = Command::new(
            "systemctl",
            &["show", "--property=ActiveState", "--value", "--", unit],
        );
        let output = self
            .host
            .query(show.deadline(GRACE))
            .await
            .ok()
            .filter(Output::ok)?;
        Some(matches!(output.stdout.trim(), "inactive" | "failed"))
    }

    async fn wait(
        &self,
        deployment: DeploymentId,
        stream: u32,
        limits: Limits,
        stop: &CancellationToken,
    ) -> Ended {
        let folder = JobFolder::of(&self.state, deployment, stream);
        let unit = unit_name(deployment, stream);
        let mut look_at = Instant::now() + LOOK;
        let mut asked_to_stop = false;
        loop {
            self.pulse.beat();
            if let Some(ended) = result(&folder) {
                return ended;
            }
            if stop.is_cancelled() && limits.interruptible && !asked_to_stop {
                asked_to_stop = true;
                let stopping = Command::new("systemctl", &["stop", &unit]).deadline(GRACE + GRACE);
                if let Err(error) = self.host.query(stopping).await {
                    log::warn!(unit, error = crate::chain(&error); "a step's unit could not be stopped");
                }
                look_at = Instant::now();
            }
            if Instant::now() >= look_at {
                look_at = Instant::now() + LOOK;
                // Only systemd's own word that it is over counts: a unit that is being stopped is still at work, and
                // an answer that does not come says nothing.
                if self.is_over(&unit).await == Some(true) {
                    return result(&folder).unwrap_or_else(|| lost(&folder, asked_to_stop));
                }
            }
            tokio::time::sleep(GLANCE).await;
        }
    }
}

fn unit_name(deployment: DeploymentId, stream: u32) -> String {
    format!("{UNITS}{deployment}-{stream}.service")
}

fn result(folder: &JobFolder) -> Option<Ended> {
    folder.read_result().unwrap_or_else(|error| {
        let why = format!("its result cannot be read: {error}");
        Some(Ended {
            outcome: Outcome::Lost { why },
            output_bytes: folder.output_bytes(),
        })
    })
}

fn lost(folder: &JobFolder, on_request: bool) -> Ended {
    let outcome = if on_request {
        Outcome::Cancelled
    } else {
        Outcome::Lost {
            why: "its unit ended without a result: killed, out of time, or the host went down".to_owned(),
        }
    };
    Ended {
        outcome,
        output_bytes: folder.output_bytes(),
    }
}

fn failed(error: &dyn std::error::Error) -> Ended {
    Ended {
        outcome: Outcome::Failed {
            why: crate::chain(error),
        },
        output_bytes: 0,
    }
}

#[async_trait]
impl Runner for SystemdRunner {
    async fn start(&self, job: &EffectJob, stop: &CancellationToken) -> Ended {
        let folder = JobFolder::of(&self.state, job.deployment, job.stream);
        if let Err(error) = folder.prepare(job) {
            return failed(&HostError::File {
                verb: "write",
                path: folder.job(),
                source: error,
            });
        }
        let limits = runbook::step(&job.step.0)
            .map(runbook::Step::limits)
            .unwrap_or_default();
        match self.host.query(self.command(job, limits)).await {
            Ok(output) if output.ok() => self.wait(job.deployment, job.stream, limits, stop).await,
            Ok(output) => {
                let why = format!(
                    "systemd did not start its unit: {}",
                    output.last_lines(3).join(" / ")
                );
                Ended {
                    outcome: Outcome::Failed { why },
                    output_bytes: 0,
                }
            }
            // The answer was lost; the unit may be at work.
            Err(HostError::Deadline { .. }) => self.wait(job.deployment, job.stream, limits, stop).await,
            Err(error) => failed(&error),
        }
    }

    async fn adopt(&self, deployment: DeploymentId, stream: u32, stop: &CancellationToken) -> Ended {
        let folder = JobFolder::of(&self.state, deployment, stream);
        if let Some(ended) = result(&folder) {
            return ended;
        }
        let limits = folder
            .read_job()
            .ok()
            .and_then(|job| runbook::step(&job.step.0))
            .map(runbook::Step::limits)
            .unwrap_or_default();
        self.wait(deployment, stream, limits, stop).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeHost;
    use crate::runbook::distro::DISTROS;
    use chatalot_protocol::inputs::Inputs;
    use std::collections::BTreeMap;

    fn job(step: &dyn runbook::Step) -> EffectJob {
        let inputs = Inputs {
            domain: Some("chat.example.com".into()),
            admin_username: Some("alice".into()),
            ..Inputs::default()
        };
        let (site, secrets) = inputs.complete().unwrap();
        EffectJob {
            deployment: DeploymentId::fresh(),
            stream: 1,
            step: step.step_id(),
            site,
            secrets,
            memory: BTreeMap::new(),
            secret_tags: BTreeMap::new(),
        }
    }

    /// Whether a unit is told to stop, when its deployment is cancelled while it is at work.
    async fn is_stopped(step: &dyn runbook::Step) -> bool {
        let host = FakeHost::fresh(&DISTROS[0]);
        let state = tempfile::tempdir().unwrap();
        let job = job(step);
        let folder = JobFolder::of(state.path(), job.deployment, job.stream);
        folder.prepare(&job).unwrap();
        let runner = SystemdRunner::new(
            Arc::new(host.clone()),
            state.path().to_owned(),
            PathBuf::from("/usr/local/bin/chatalot-agent"),
            Arc::default(),
        );
        let cancelled = CancellationToken::new();
        cancelled.cancel();
        // At each look it could stop it; it has had two.
        let looked = host.bell_at(2);
        let work = async {
            looked.notified().await;
            let ended = Ended {
                outcome: Outcome::Done {
                    remember: BTreeMap::new(),
                },
                output_bytes: 0,
            };
            folder.finish(&ended).unwrap();
        };
        let (ended, ()) = tokio::join!(runner.adopt(job.deployment, job.stream, &cancelled), work);
        assert!(
            matches!(ended.outcome, Outcome::Done { .. }),
            "{:?}",
            ended.outcome
        );
        host.log().iter().any(|call| call.contains("systemctl stop"))
    }

    #[tokio::test(start_paused = true)]
    async fn f45_a_step_that_may_not_be_ended_is_let_finish_and_any_other_is_told_to_stop() {
        let mut seen = [0, 0];
        for step in runbook::steps() {
            let interruptible = step.limits().interruptible;
            seen[usize::from(interruptible)] += 1;
            assert_eq!(is_stopped(step).await, interruptible, "{}", step.id());
        }
        assert!(seen[0] >= 3 && seen[1] > 3, "{seen:?}");
    }
}
