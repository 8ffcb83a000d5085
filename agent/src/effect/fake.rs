//! A runner for tests: effects are tasks of their own on a host made of maps, so that they outlive the engine that
//! started them, exactly as units outlive the daemon.

use super::{EffectJob, Ended, Outcome, Runner};
use crate::host::Act;
use crate::runbook::{self, ActCx, Cx, distro};
use async_trait::async_trait;
use chatalot_protocol::names::DeploymentId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

type Units = HashMap<(DeploymentId, u32), (JoinHandle<()>, watch::Receiver<Option<Ended>>)>;

/// Runs effects as tasks.
pub struct FakeRunner {
    host: Arc<dyn Act>,
    units: Mutex<Units>,
}

impl FakeRunner {
    /// A runner on a host.
    pub fn new(host: Arc<dyn Act>) -> Self {
        Self {
            host,
            units: Mutex::default(),
        }
    }

    /// Ends every unit without a result, as a reboot does.
    pub fn reboot(&self) {
        for (task, _) in self.units().values() {
            task.abort();
        }
        self.units().retain(|_, (_, ended)| ended.borrow().is_some());
    }

    fn units(&self) -> std::sync::MutexGuard<'_, Units> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait(&self, deployment: DeploymentId, stream: u32) -> Ended {
        let ended = self
            .units()
            .get(&(deployment, stream))
            .map(|(_, ended)| ended.clone());
        let lost = || Ended {
            outcome: Outcome::Lost {
                why: "no such unit".to_owned(),
            },
            output_bytes: 0,
        };
        let Some(mut ended) = ended else { return lost() };
        let found = ended.wait_for(Option::is_some).await.map(|ended| ended.clone());
        found.ok().flatten().unwrap_or_else(lost)
    }
}

#[async_trait]
impl Runner for FakeRunner {
    async fn start(&self, job: &EffectJob, _stop: &CancellationToken) -> Ended {
        let (tell, ended) = watch::channel(None);
        let (host, job) = (self.host.clone(), job.clone());
        let key = (job.deployment, job.stream);
        let task = tokio::spawn(async move {
            let outcome = apply(&*host, &job).await;
            tell.send_replace(Some(Ended {
                outcome,
                output_bytes: 0,
            }));
        });
        self.units().insert(key, (task, ended));
        self.wait(key.0, key.1).await
    }

    async fn adopt(&self, deployment: DeploymentId, stream: u32, _stop: &CancellationToken) -> Ended {
        self.wait(deployment, stream).await
    }
}

async fn apply(host: &dyn Act, job: &EffectJob) -> Outcome {
    let Some(step) = runbook::step(&job.step.0) else {
        return Outcome::Failed {
            why: format!("no step {}", job.step),
        };
    };
    let distro = match host.system().await.map(|system| distro::detect(&system)) {
        Ok(Ok(distro)) => distro,
        Ok(Err(advice)) => return Outcome::Final { advice: *advice },
        Err(error) => {
            return Outcome::Failed {
                why: crate::chain(&error),
            };
        }
    };
    // The unit sees the host as a check does, and changes it besides.
    let look: &dyn crate::host::Look = host;
    let cx = Cx {
        site: &job.site,
        distro,
        host: look,
        memory: &job.memory,
        secret_tags: &job.secret_tags,
    };
    match step
        .apply(&ActCx {
            look: cx,
            host,
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
