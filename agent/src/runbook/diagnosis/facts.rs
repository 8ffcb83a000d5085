//! The facts that the table judges by, gathered by looking: what cannot be asked is left out, and never an error.

use crate::host::{Container, Engine, Look, Owner};
use crate::runbook::chapters::{bare, checkout_others, opening, selinux_denies, to_install};
use crate::runbook::containers::least;
use crate::runbook::distro::{Distro, Manager};
use crate::runbook::drift::Baseline;
use crate::runbook::{Cx, Intent, evidence, firewalls, gone, packaging, plan, recent, steps};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

/// How long one check may take: a diagnosis of a host that is ill must end all the same.
const PATIENCE: Duration = Duration::from_secs(15);
/// The chapters whose checks are asked.
const CHAPTERS: &[&str] = &["preflight", "proxy", "verify"];

/// A file below `secrets/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub owner: Owner,
    /// Whether there is nothing in it.
    pub empty: bool,
    /// Whether it looks like a key in PEM.
    pub pem: bool,
}

/// Everything that the rows look at.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The site.
    pub site: Site,
    /// The host's distribution, in whose commands a fix is told.
    pub distro: &'static Distro,
    /// Whether the installer has ever run to its end here.
    pub installed: bool,
    /// What the deployment that ended last ended with, where it did not end well.
    pub last: Option<Advice>,
    /// What the checks found that a person has to act on, by step.
    pub found: BTreeMap<String, Advice>,
    /// The Docker Engine.
    pub engine: Engine,
    /// Compose's version.
    pub compose: Option<String>,
    /// What the package manager says is half installed.
    pub half_installed: Vec<String>,
    /// The packages of the distribution's row that a deployment would install now.
    pub to_install: Vec<&'static str>,
    /// The site's containers.
    pub containers: Vec<Container>,
    /// The last lines of their logs by service, without secrets.
    pub logs: BTreeMap<String, Vec<String>>,
    /// The names of what is set in `.env`; `None` if there is none.
    pub env: Option<BTreeSet<String>>,
    /// The TURN server's external address as `.env` has it.
    pub turn_address: Option<Ipv4Addr>,
    /// What is below `secrets/`.
    pub secrets: Vec<SecretFile>,
    /// What was there after the last good deployment.
    pub secrets_wanted: BTreeSet<String>,
    /// What of it the installer was to make anew and has not made.
    pub secrets_not_made: BTreeSet<String>,
    /// What the examples name, some of which only some sites need.
    pub secrets_examples: BTreeSet<String>,
    /// The host's own addresses.
    pub addresses: Vec<IpAddr>,
    /// What the host's own firewall keeps shut of what the site needs.
    pub shut: Vec<firewalls::Closed>,
    /// Whether `SELinux` is enforcing.
    pub selinux: bool,
}

impl Facts {
    /// What a check says now, or what the last deployment ended with.
    pub fn told(&self, code: &str) -> Option<&Advice> {
        self.found
            .values()
            .find(|advice| advice.code == code)
            .or_else(|| self.ended(code))
    }

    /// What the last deployment ended with.
    pub fn ended(&self, code: &str) -> Option<&Advice> {
        self.last.as_ref().filter(|advice| advice.code == code)
    }

    /// A service's container.
    pub fn container(&self, service: &str) -> Option<&Container> {
        self.containers.iter().find(|one| one.service == service)
    }

    /// The error that chatalot has ended with last, if it has this sign: older ones in its log are older stories.
    pub fn ended_with(&self, sign: &str) -> Option<&String> {
        let log = self.logs.get("chatalot")?.iter();
        let last = log.rev().find(|line| line.trim_start().starts_with("Error"))?;
        last.contains(sign).then_some(last)
    }

    /// The last line of a service's log that has one of these words.
    pub fn said(&self, service: &str, signs: &[&str]) -> Option<&String> {
        let says = |line: &&String| signs.iter().any(|sign| line.contains(sign));
        self.logs.get(service)?.iter().rev().find(says)
    }
}

/// Looks at everything, within a minute or two even on a host that hardly answers.
pub async fn gather(cx: &Cx<'_>, last: Option<Advice>) -> Facts {
    let host = cx.host;
    let folder = Path::new(cx.site.folder.as_str());
    let engine = within(host.engine()).await.unwrap_or(Engine::Down {
        why: "it does not answer in time".to_owned(),
    });
    let containers = within(host.containers(Some(cx.site.folder.as_str())))
        .await
        .unwrap_or_default();
    let env = env(host, folder).await;
    let turn = env.as_ref().and_then(|env| env.get("TURN_EXTERNAL_IP"));
    Facts {
        site: cx.site.clone(),
        distro: cx.distro,
        installed: cx.memory.contains_key(recent::INSTALLED),
        last,
        found: found(cx).await,
        engine,
        compose: within(host.compose()).await.flatten(),
        half_installed: half_installed(cx).await,
        to_install: within(to_install(cx)).await.unwrap_or_default(),
        logs: logs(cx, &containers).await,
        containers,
        turn_address: turn.and_then(|text| bare(text).parse().ok()),
        env: env.map(|env| env.into_keys().collect()),
        secrets: secrets(host, folder).await,
        secrets_wanted: Baseline::of(cx.memory)
            .map(|then| then.secrets)
            .unwrap_or_default(),
        secrets_not_made: gone::not_made(cx.memory),
        secrets_examples: secrets_examples(host, folder).await,
        addresses: within(host.addresses()).await.unwrap_or_default(),
        shut: within(firewalls::closed(host, cx.site)).await.unwrap_or_default(),
        selinux: within(selinux_denies(host)).await.unwrap_or_default(),
    }
}

async fn within<T, E>(asked: impl Future<Output = Result<T, E>>) -> Option<T> {
    tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()
}

async fn found(cx: &Cx<'_>) -> BTreeMap<String, Advice> {
    let all: Vec<_> = steps().collect();
    let intent = Intent {
        site: cx.site,
        distro: cx.distro,
    };
    let chapters = plan::steps_of(&all, intent).filter(|step| CHAPTERS.contains(&step.step_id().chapter()));
    // Where something takes connections and says nothing, each of several checks waits for it: together, not in turn.
    let asked = chapters
        .chain(plan::steps_of(opening::WATCHED, intent))
        .map(|step| async move {
            let verdict = tokio::time::timeout(PATIENCE, plan::verdict(step, cx)).await;
            (step.id().to_owned(), verdict)
        });
    let mut found = BTreeMap::new();
    for (step, verdict) in join_all(asked).await {
        if let Ok(Verdict::Blocked { advice }) = verdict {
            found.insert(step, advice);
        }
    }
    if let Some(Some(advice)) = within(checkout_others(cx.host, cx.site)).await {
        found.insert("checkout.source".to_owned(), advice);
    }
    found
}

async fn half_installed(cx: &Cx<'_>) -> Vec<String> {
    let half = within(packaging::half_done(cx.host, cx.distro, PATIENCE)).await;
    let mut named = half.unwrap_or_default();
    // dpkg puts the names below a heading.
    named.retain(|line| cx.distro.manager != Manager::Apt || line.starts_with(' '));
    named.truncate(5);
    named
}

async fn logs(cx: &Cx<'_>, containers: &[Container]) -> BTreeMap<String, Vec<String>> {
    let mut logs = BTreeMap::new();
    for one in containers {
        let log = within(cx.host.container_log(&one.name, 40))
            .await
            .unwrap_or_default();
        let lines = within(evidence::masked(cx.host, cx.site, &log, 20)).await;
        logs.insert(one.service.clone(), lines.unwrap_or_default());
    }
    logs
}

/// The settings of `.env`; their values stay in here.
pub async fn env(host: &dyn Look, folder: &Path) -> Option<BTreeMap<String, String>> {
    let text = within(host.read(&folder.join(".env"))).await.flatten()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    Some(
        pairs
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect(),
    )
}

async fn secrets(host: &dyn Look, folder: &Path) -> Vec<SecretFile> {
    let keys = folder.join("secrets");
    let mut files = Vec::new();
    for name in within(host.list(&keys)).await.unwrap_or_default() {
        let path = keys.join(&name);
        let content = within(host.read(&path)).await.flatten().unwrap_or_default();
        if let Some(owner) = within(host.owner(&path)).await.flatten()
            && !name.ends_with(".example")
        {
            let pem = content.starts_with(b"-----BEGIN ");
            let empty = content.is_empty();
            files.push(SecretFile {
                name,
                owner,
                empty,
                pem,
            });
        }
    }
    files
}

async fn secrets_examples(host: &dyn Look, folder: &Path) -> BTreeSet<String> {
    let names = within(host.list(&folder.join("secrets")))
        .await
        .unwrap_or_default();
    let examples = names.iter().filter_map(|name| name.strip_suffix(".example"));
    examples.map(str::to_owned).collect()
}

/// The services that have no running container.
pub fn not_running(facts: &Facts) -> Vec<String> {
    let is_up = |service: &&str| facts.container(service).is_some_and(|one| one.state == "running");
    let seen = least(&facts.site).into_iter().filter(|service| !is_up(service));
    seen.map(|service| {
        let state = facts
            .container(service)
            .map_or("no container", |one| one.state.as_str());
        format!("{service} ({state})")
    })
    .collect()
}
