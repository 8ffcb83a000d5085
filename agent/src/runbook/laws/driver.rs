//! The engine's loop in small: check, apply, check again, with simulated patience and no ledger.

use crate::host::fake::{FakeHost, World};
use crate::host::{HostError, Unit};
use crate::runbook::chapters::handover::handover;
use crate::runbook::distro::Distro;
use crate::runbook::drift::{BASELINE, Baseline};
use crate::runbook::{ActCx, Cx, Intent, Step, StepError, gone, step, steps};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::handover::Handover;
use chatalot_protocol::inputs::Inputs;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::secret::Secret;
use chatalot_protocol::site::{Secrets, Site};
use futures_util::FutureExt;
use std::collections::BTreeMap;

/// Why a run ended early.
#[derive(Debug)]
pub(super) enum Stop {
    Advice(Box<Advice>),
    Passing(Box<Advice>),
    Unmet(&'static str, String),
    Host(HostError),
    Probe,
    Killed,
}

impl From<StepError> for Stop {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Final(advice) => Self::Advice(advice),
            StepError::Passing(advice) => Self::Passing(advice),
            StepError::Probe(_) => Self::Probe,
            StepError::Host(error) => Self::Host(error),
        }
    }
}

impl Stop {
    /// The code of the finding that it ended with.
    pub(super) fn code(&self) -> String {
        match self {
            Self::Advice(advice) => advice.code.to_string(),
            Self::Passing(advice) => format!("passing {}", advice.code),
            Self::Host(error) => error.to_string(),
            other => format!("{other:?}"),
        }
    }
}

/// A site with what is remembered of it.
pub(super) struct Run {
    pub(super) site: Site,
    pub(super) secrets: Secrets,
    pub(super) distro: &'static Distro,
    pub(super) memory: BTreeMap<String, String>,
    /// What is on the host before us.
    pub(super) before: fn(&mut World),
}

fn run(distro: &'static Distro, inputs: Inputs) -> Run {
    let (site, secrets) = inputs.complete().unwrap();
    Run {
        site,
        secrets,
        distro,
        memory: BTreeMap::new(),
        before: |_| {},
    }
}

fn least_inputs() -> Inputs {
    Inputs {
        domain: Some("chat.example.com".into()),
        admin_username: Some("alice".into()),
        ..Inputs::default()
    }
}

/// The site with nothing but what is required.
pub(super) fn least(distro: &'static Distro) -> Run {
    let inputs = Inputs {
        updates: Some(false),
        ..least_inputs()
    };
    run(distro, inputs)
}

/// The runbook's example with every feature.
pub(super) fn full(distro: &'static Distro) -> Run {
    run(distro, full_inputs())
}

fn full_inputs() -> Inputs {
    Inputs {
        turn_external_ip: Some("203.0.113.42".into()),
        registry_user: Some("deploy-alice".into()),
        registry_token: Some(Secret::new("registry-token-1")),
        oidc_issuer: Some("https://auth.example.com/application/o/chatalot/".into()),
        oidc_client_id: Some("chatalot-prod".into()),
        oidc_client_secret: Some(Secret::new("oidc-secret-1")),
        ..least_inputs()
    }
}

/// The same, with a staging certificate, a tag, another folder and a login in the docker group.
pub(super) fn with_everything(distro: &'static Distro) -> Run {
    let inputs = Inputs {
        oidc_disable_password_login: Some(true),
        acme: Some("staging".into()),
        reference: Some("v0.24.0".into()),
        folder: Some("/opt/apps/chat".into()),
        docker_group: Some("alice".into()),
        loopback_only: Some(true),
        ..full_inputs()
    };
    run(distro, inputs)
}

/// With voice, behind nginx, on a host with ufw at work and `SELinux` enforced.
pub(super) fn behind_nginx(distro: &'static Distro) -> Run {
    let inputs = Inputs {
        proxy: Some("nginx".into()),
        turn_external_ip: Some("203.0.113.42".into()),
        ..least_inputs()
    };
    Run {
        before: |world| {
            world.put("/etc/ufw/ufw.conf", "ENABLED=yes\n");
            world.programs.insert("ufw".into());
            world.put("/sys/fs/selinux/enforce", "1");
            world.put("/sys/fs/selinux/booleans/httpd_can_network_connect", "0 0");
        },
        ..run(distro, inputs)
    }
}

/// Behind a Traefik that runs already, with firewalld at work and an override of the operator's own.
pub(super) fn behind_traefik(distro: &'static Distro) -> Run {
    let inputs = Inputs {
        proxy: Some("traefik".into()),
        updates: Some(false),
        ..least_inputs()
    };
    Run {
        before: |world| {
            super::bad_inputs::foreign_engine(world);
            world.run_traefik();
            let unit = Unit {
                exists: true,
                active: true,
                enabled: true,
            };
            world.units.insert("firewalld.service".into(), unit);
        },
        ..run(distro, inputs)
    }
}

/// The same site, with strangers kept out until its administrator has registered.
pub(super) fn limited(run: Run) -> Run {
    let mut run = run;
    run.site.limit_until_admin = "198.51.100.7,2001:db8::/48".parse().unwrap();
    run
}

/// A site behind a Cloudflare Tunnel.
pub(super) fn tunnelled(distro: &'static Distro) -> Run {
    let inputs = Inputs {
        domain: Some("tunnel.example.com".into()),
        cloudflare_token: Some(Secret::new("tunnel-token-1")),
        updates: Some(false),
        ..least_inputs()
    };
    run(distro, inputs)
}

impl Run {
    /// The host that it begins on.
    pub(super) fn host(&self) -> FakeHost {
        let host = FakeHost::fresh(self.distro);
        host.world(self.before);
        host
    }

    pub(super) fn intent(&self) -> Intent<'_> {
        Intent {
            site: &self.site,
            distro: self.distro,
        }
    }

    fn tags(&self) -> BTreeMap<String, String> {
        let tag = |secret: &Secret| format!("tag-{}", secret.expose().len());
        self.secrets
            .present()
            .map(|(name, secret)| (name.to_owned(), tag(secret)))
            .collect()
    }

    fn cx<'a>(&'a self, host: &'a FakeHost, secret_tags: &'a BTreeMap<String, String>) -> Cx<'a> {
        Cx {
            site: &self.site,
            distro: self.distro,
            host,
            memory: &self.memory,
            secret_tags,
        }
    }

    /// Runs every step in order. The fake answers at once, so what has to be waited for never comes.
    pub(super) fn deploy(&mut self, host: &FakeHost) -> Result<(), Stop> {
        self.all(host).now_or_never().unwrap_or(Err(Stop::Killed))
    }

    /// The same with other steps.
    pub(super) fn walk(&mut self, host: &FakeHost, steps: &[&'static dyn Step]) -> Result<(), Stop> {
        let all = async {
            for step in steps
                .iter()
                .copied()
                .filter(|step| step.applies_to(&self.intent()))
                .collect::<Vec<_>>()
            {
                self.one(host, step).await?;
            }
            Ok(())
        };
        all.now_or_never().unwrap_or(Err(Stop::Killed))
    }

    async fn all(&mut self, host: &FakeHost) -> Result<(), Stop> {
        for step in steps() {
            if step.applies_to(&self.intent()) {
                self.one(host, step).await?;
            }
        }
        Ok(())
    }

    async fn one(&mut self, host: &FakeHost, step: &'static dyn Step) -> Result<(), Stop> {
        let tags = self.tags();
        if !step.effects(&self.intent()).is_empty() {
            match step.check(&self.cx(host, &tags)).await? {
                Verdict::Satisfied { .. } => return Ok(()),
                Verdict::Blocked { advice } => return Err(Stop::Advice(advice.into())),
                Verdict::Needed { .. } => {}
            }
            let remember = step.apply(&self.act(host, &tags)).await?.remember;
            self.memory.extend(remember);
        }
        self.settle(host, step, &tags).await
    }

    fn act<'a>(&'a self, host: &'a FakeHost, tags: &'a BTreeMap<String, String>) -> ActCx<'a> {
        ActCx {
            look: self.cx(host, tags),
            host,
            secrets: &self.secrets,
        }
    }

    async fn settle(
        &self,
        host: &FakeHost,
        step: &'static dyn Step,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), Stop> {
        let mut patience = step.patience().as_secs();
        loop {
            let verdict = step.check(&self.cx(host, tags)).await?;
            match verdict {
                Verdict::Satisfied { .. } => return Ok(()),
                Verdict::Blocked { advice } if patience == 0 => return Err(Stop::Advice(advice.into())),
                Verdict::Needed { why } if patience == 0 => return Err(Stop::Unmet(step.id(), why)),
                Verdict::Blocked { .. } | Verdict::Needed { .. } => {}
            }
            host.advance(5);
            patience = patience.saturating_sub(5);
        }
    }

    /// Asks one step, by its name.
    pub(super) fn check(&self, host: &FakeHost, id: &str) -> Result<Verdict, Stop> {
        let tags = self.tags();
        let step = step(id).unwrap();
        let verdict = step.check(&self.cx(host, &tags)).now_or_never();
        Ok(verdict.ok_or(Stop::Killed)??)
    }

    /// Applies one step, whatever its check says.
    pub(super) fn apply_alone(&self, host: &FakeHost, step: &'static dyn Step) -> Result<(), Stop> {
        let tags = self.tags();
        let applied = step.apply(&self.act(host, &tags)).now_or_never();
        applied.ok_or(Stop::Killed)??;
        Ok(())
    }

    /// Remembers what a good deployment has left below `secrets/`.
    pub(super) fn keep_baseline(&mut self, host: &FakeHost) {
        let tags = self.tags();
        let there = gone::below(&self.cx(host, &tags)).now_or_never();
        let mut baseline = Baseline::default();
        baseline.secrets = there.unwrap().unwrap();
        self.memory.insert(BASELINE.to_owned(), baseline.text());
    }

    /// What applying one step leaves to be remembered.
    pub(super) fn remembered(&self, host: &FakeHost, step: &'static dyn Step) -> BTreeMap<String, String> {
        let tags = self.tags();
        let applied = step.apply(&self.act(host, &tags)).now_or_never();
        applied.unwrap().unwrap().remember
    }

    pub(super) fn handover(&self, host: &FakeHost) -> Handover {
        let tags = self.tags();
        handover(&self.cx(host, &tags)).now_or_never().unwrap().unwrap()
    }
}
