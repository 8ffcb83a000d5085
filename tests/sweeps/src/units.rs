//! Steps that are lines in a file, and units that write them: the host is a folder.

use crate::Anything;
use crate::job::Seat;
use async_trait::async_trait;
use chatalot_agent::effect::folder::JobFolder;
use chatalot_agent::effect::{EffectJob, Ended, Outcome, Runner};
use chatalot_agent::host::HostError;
use chatalot_agent::runbook::{Cx, Intent, Step, StepError};
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::report::Verdict;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tokio_util::sync::CancellationToken;

/// The steps, in order.
pub(crate) const STEPS: [&str; 3] = ["install.one", "install.two", "install.three"];

/// Where a host's effects are: one line each time that a step was applied.
pub(crate) fn effects(folder: &Path) -> PathBuf {
    folder.join("effects")
}

/// What was done, in order.
pub(crate) fn done(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_to_string(effects(folder)) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A step: there is a line, or there is not.
struct Lay {
    id: &'static str,
    folder: PathBuf,
}

/// The steps of the host in this folder, for as long as the process lives.
pub(crate) fn steps(folder: &Path) -> Vec<&'static dyn Step> {
    let lay = |id| -> &'static dyn Step {
        Box::leak(Box::new(Lay {
            id,
            folder: folder.to_owned(),
        }))
    };
    STEPS.map(lay).to_vec()
}

#[async_trait]
impl Step for Lay {
    fn id(&self) -> &'static str {
        self.id
    }

    fn title(&self) -> &'static str {
        "lay a line"
    }

    fn effects(&self, _: &Intent<'_>) -> Vec<String> {
        vec![format!("lays {}", self.id)]
    }

    async fn check(&self, _: &Cx<'_>) -> Result<Verdict, StepError> {
        let done = done(&self.folder).map_err(|source| HostError::File {
            verb: "read",
            path: effects(&self.folder),
            source,
        })?;
        Ok(if done.iter().any(|line| line == self.id) {
            Verdict::satisfied("it is there")
        } else {
            Verdict::needed("it is not there")
        })
    }
}

/// What a unit does: reads its job file, has its effect, leaves output and result beside it.
pub(crate) fn apply(folder: &Path, deployment: DeploymentId, stream: u32) -> io::Result<()> {
    let files = JobFolder::of(&folder.join("state"), deployment, stream);
    if files.read_result()?.is_some() {
        return Ok(());
    }
    let job = files.read_job()?;
    let outcome = match lay(folder, &job.step.to_string()) {
        Ok(()) => Outcome::Done {
            remember: BTreeMap::new(),
        },
        Err(error) => Outcome::Failed {
            why: error.to_string(),
        },
    };
    files.finish(&Ended {
        outcome,
        output_bytes: files.output_bytes(),
    })
}

fn lay(folder: &Path, step: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(effects(folder))?;
    file.write_all(format!("{step}\n").as_bytes())?;
    file.sync_all()?;
    File::open(folder)?.sync_all()
}

/// Applies steps: in processes that outlive the agent, or in the agent itself, as if each reboot came with its death.
pub(crate) struct Units {
    pub(crate) folder: PathBuf,
    pub(crate) seat: Seat,
}

impl Units {
    fn files(&self, deployment: DeploymentId, stream: u32) -> JobFolder {
        JobFolder::of(&self.folder.join("state"), deployment, stream)
    }

    /// Whoever holds this file's lock is the unit: its process inherits it and gives it back when it ends.
    fn lock(&self, deployment: DeploymentId, stream: u32) -> PathBuf {
        self.folder.join(format!("unit-{deployment}-{stream}"))
    }

    fn begin(&self, job: &EffectJob) -> Anything<()> {
        let (deployment, stream) = (job.deployment, job.stream);
        self.files(deployment, stream).prepare(job)?;
        if self.seat != Seat::Units {
            return Ok(apply(&self.folder, deployment, stream)?);
        }
        let lock = File::create(self.lock(deployment, stream))?;
        lock.lock()?;
        Command::new(std::env::current_exe()?)
            .args([
                "unit",
                &self.folder.display().to_string(),
                &deployment.to_string(),
                &stream.to_string(),
            ])
            .stdin(Stdio::from(lock))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(())
    }

    fn end(&self, deployment: DeploymentId, stream: u32) -> Anything<Ended> {
        if let Ok(lock) = File::open(self.lock(deployment, stream)) {
            lock.lock_shared()?;
        }
        let found = self.files(deployment, stream).read_result()?;
        found.ok_or_else(|| "no such unit".into())
    }
}

fn ended(end: Anything<Ended>) -> Ended {
    end.unwrap_or_else(|error| Ended {
        outcome: Outcome::Lost {
            why: error.to_string(),
        },
        output_bytes: 0,
    })
}

#[async_trait]
impl Runner for Units {
    async fn start(&self, job: &EffectJob, _: &CancellationToken) -> Ended {
        ended(
            self.begin(job)
                .and_then(|()| self.end(job.deployment, job.stream)),
        )
    }

    async fn adopt(&self, deployment: DeploymentId, stream: u32, _: &CancellationToken) -> Ended {
        ended(self.end(deployment, stream))
    }
}
