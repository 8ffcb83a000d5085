//! What a host does: steps whose effect is a file, applied by units that outlive the agent.

use crate::chance::{among, in_hundred, millis};
use crate::trace::Trace;
use async_trait::async_trait;
use chatalot_agent::effect::folder::JobFolder;
use chatalot_agent::effect::{EffectJob, Ended, Outcome, Runner};
use chatalot_agent::host::fake::FakeHost;
use chatalot_agent::runbook::{Cx, Intent, Step, StepError};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A step: there is a file for the site, or there is not.
struct Lay(&'static str);

/// The steps of every simulated host.
pub(crate) fn steps() -> Vec<&'static dyn Step> {
    vec![&Lay("install.one"), &Lay("install.two"), &Lay("install.three")]
}

fn place(step: &str, site: &Site) -> PathBuf {
    PathBuf::from(format!("/sim/{}/{step}", site.domain))
}

#[async_trait]
impl Step for Lay {
    fn id(&self) -> &'static str {
        self.0
    }

    fn title(&self) -> &'static str {
        "lay a file"
    }

    fn effects(&self, _: &Intent<'_>) -> Vec<String> {
        vec![format!("lays {}", self.0)]
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        tokio::time::sleep(millis(0..30)).await;
        let there = cx.host.read(&place(self.0, cx.site)).await?.is_some();
        Ok(if there {
            Verdict::satisfied("it is there")
        } else {
            Verdict::needed("it is not there")
        })
    }
}

/// What a unit did.
#[derive(Default)]
pub(crate) struct Done {
    /// How often a step of a deployment had its effect.
    pub(crate) effects: BTreeMap<(DeploymentId, String), u32>,
    /// What each unit wrote.
    pub(crate) output: BTreeMap<(DeploymentId, u32), Vec<u8>>,
}

type Ends = HashMap<(DeploymentId, u32), watch::Receiver<Option<Ended>>>;

/// The units of one host.
pub(crate) struct Units {
    pub(crate) done: Arc<Mutex<Done>>,
    ends: Mutex<Ends>,
    host: FakeHost,
    state: PathBuf,
    trace: Trace,
    name: String,
}

impl Units {
    pub(crate) fn new(host: FakeHost, state: &Path, trace: Trace, name: String) -> Self {
        Self {
            done: Arc::default(),
            ends: Mutex::default(),
            host,
            state: state.to_owned(),
            trace,
            name,
        }
    }

    fn ends(&self) -> std::sync::MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait(&self, key: (DeploymentId, u32)) -> Ended {
        let lost = Ended {
            outcome: Outcome::Lost {
                why: "no such unit".to_owned(),
            },
            output_bytes: 0,
        };
        let end = self.ends().get(&key).cloned();
        let Some(mut end) = end else { return lost };
        let found = end.wait_for(Option::is_some).await.map(|end| end.clone());
        found.ok().flatten().unwrap_or(lost)
    }
}

#[async_trait]
impl Runner for Units {
    async fn start(&self, job: &EffectJob, _: &CancellationToken) -> Ended {
        let key = (job.deployment, job.stream);
        let (tell, end) = watch::channel(None);
        self.ends().insert(key, end);
        let unit = Unit {
            job: job.clone(),
            done: self.done.clone(),
            host: self.host.clone(),
            output: JobFolder::of(&self.state, job.deployment, job.stream).output(),
        };
        self.trace
            .say(&format!("{}: a unit begins {}", self.name, job.step));
        tokio::spawn(async move {
            let ended = unit.run().await;
            tell.send_replace(ended);
        });
        self.wait(key).await
    }

    async fn adopt(&self, deployment: DeploymentId, stream: u32, _: &CancellationToken) -> Ended {
        self.wait((deployment, stream)).await
    }
}

struct Unit {
    job: EffectJob,
    done: Arc<Mutex<Done>>,
    host: FakeHost,
    output: PathBuf,
}

impl Unit {
    /// `None` where its files cannot be written: then the unit counts as lost.
    async fn run(self) -> Option<Ended> {
        std::fs::create_dir_all(self.output.parent()?).ok()?;
        let mut file = std::fs::File::create(&self.output).ok()?;
        let mut length = 0;
        let pieces = among(0..12);
        let most = if in_hundred(5) { 400_000 } else { 6_000 };
        for piece in 0..pieces {
            tokio::time::sleep(millis(1..900)).await;
            let size = usize::try_from(among(1..most)).unwrap_or(1);
            let bytes: Vec<u8> = (0..size)
                .map(|at| u8::try_from((at + usize::try_from(piece).unwrap_or(0)) % 251).unwrap_or(0))
                .collect();
            file.write_all(&bytes).ok()?;
            length += bytes.len() as u64;
            let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
            done.output
                .entry((self.job.deployment, self.job.stream))
                .or_default()
                .extend(bytes);
        }
        let outcome = if in_hundred(10) {
            Outcome::Passing {
                advice: Advice::new("SIM_PASSING", "it may pass", "that it passes", "wait"),
            }
        } else {
            let step = self.job.step.to_string();
            self.host
                .world(|world| world.put(place(&step, &self.job.site), b"laid"));
            let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
            *done.effects.entry((self.job.deployment, step)).or_default() += 1;
            Outcome::Done {
                remember: BTreeMap::new(),
            }
        };
        Some(Ended {
            outcome,
            output_bytes: length,
        })
    }
}
