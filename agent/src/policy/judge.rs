//! The rules. Each refusal names its key, and what would have been allowed.

use super::{PATH, Policy, Remotes};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::Site;
use chatalot_protocol::work::Work;
use std::path::Path;
use std::time::Duration;

/// A step that is about to change the host.
#[derive(Debug, Clone, Copy)]
pub struct Effect<'a> {
    /// What its deployment does with the site.
    pub work: Work,
    /// The packages that it may install.
    pub packages: &'a [&'static str],
    /// The package repositories of third parties that it may add.
    pub repositories: &'a [&'static str],
    /// How long its deployment has been running.
    pub running: Duration,
}

impl Policy {
    /// Whether a site may be deployed at this moment.
    pub fn judge(&self, site: &Site, now_ms: i64) -> Result<(), Advice> {
        self.judge_verb("deploy")?;
        if let Some(domains) = &self.domains
            && !domains.contains(&site.domain)
        {
            let listed = domains.iter().map(ToString::to_string);
            return Err(refusal(
                "POLICY_DOMAIN",
                "domains",
                &format!("the domain {}", site.domain),
                list(listed),
            ));
        }
        let repository = site.source.repository.as_str();
        if let Remotes::Only(remotes) = &self.remotes
            && !remotes.iter().any(|remote| plain(remote) == plain(repository))
        {
            return Err(refusal(
                "POLICY_GIT_REMOTE",
                "git_remotes",
                &format!("the repository {repository}"),
                list(remotes.iter().cloned()),
            ));
        }
        if let Some(dir) = &self.install_dir
            && !Path::new(site.folder.as_str()).starts_with(dir.as_str())
        {
            let seen = format!("the folder {}", site.folder);
            return Err(refusal(
                "POLICY_INSTALL_DIR",
                "install_dir",
                &seen,
                format!("{dir} or below"),
            ));
        }
        if let Some(proxies) = &self.proxies
            && !proxies.contains(&site.proxy)
        {
            let seen = format!("the reverse proxy `{}`", site.proxy.as_str());
            let listed = proxies.iter().map(|proxy| proxy.as_str().to_owned());
            return Err(refusal("POLICY_PROXY", "proxies", &seen, list(listed)));
        }
        self.judge_time(now_ms)
    }

    /// Whether this may be done with a site at this moment. Taking away puts nothing there that the rest would limit;
    /// opening a route is the end of a deployment.
    pub fn judge_work(&self, site: &Site, work: Work, now_ms: i64) -> Result<(), Advice> {
        if matches!(work, Work::Deploy | Work::Open) {
            return self.judge(site, now_ms);
        }
        self.judge_verb(work.word())?;
        self.judge_time(now_ms)
    }

    /// Whether a step of a deployment that was allowed may change the host at this moment.
    pub fn judge_effect(&self, site: &Site, effect: Effect<'_>, now_ms: i64) -> Result<(), Advice> {
        self.judge_work(site, effect.work, now_ms)?;
        for (code, key, doing, asked, allowed) in [
            (
                "POLICY_PACKAGES",
                "packages",
                "install",
                effect.packages,
                &self.packages,
            ),
            (
                "POLICY_REPOSITORIES",
                "repositories",
                "add the package repository",
                effect.repositories,
                &self.repositories,
            ),
        ] {
            let Some(allowed) = allowed else { continue };
            let other = asked.iter().copied();
            let other: Vec<&str> = other
                .filter(|name| !allowed.iter().any(|one| one == name))
                .collect();
            if !other.is_empty() {
                let seen = format!("a step that may {doing} {}", other.join(", "));
                return Err(refusal(code, key, &seen, list(allowed.iter().cloned())));
            }
        }
        match self.max_runtime {
            Some(most) if effect.running > most => Err(refusal(
                "POLICY_MAX_RUNTIME",
                "max_runtime_minutes",
                &format!(
                    "a deployment that has been running for {} min",
                    effect.running.as_secs() / 60
                ),
                format!("at most {} min", most.as_secs() / 60),
            )),
            _ => Ok(()),
        }
    }

    fn judge_verb(&self, verb: &str) -> Result<(), Advice> {
        if !self.enabled {
            let seen = format!("`{verb}` while `enabled` is not true");
            return Err(refusal(
                "POLICY_DISABLED",
                "enabled",
                &seen,
                "enabled = true".to_owned(),
            ));
        }
        if self.verbs.contains(&verb) {
            return Ok(());
        }
        let listed = self.verbs.iter().map(|known| (*known).to_owned());
        Err(refusal(
            "POLICY_VERB",
            "verbs",
            &format!("`{verb}`"),
            list(listed),
        ))
    }

    fn judge_time(&self, now_ms: i64) -> Result<(), Advice> {
        match &self.windows {
            Some(windows) if !windows.iter().any(|window| window.contains(now_ms)) => Err(refusal(
                "POLICY_WINDOW",
                "windows",
                "a change outside of the hours for it",
                format!("{}, in UTC", list(windows.iter().map(ToString::to_string))),
            )),
            _ => Ok(()),
        }
    }
}

/// An address without what makes no other repository of it.
fn plain(remote: &str) -> &str {
    let remote = remote.trim_end_matches('/');
    remote.strip_suffix(".git").unwrap_or(remote)
}

fn list(all: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = all.collect();
    if all.is_empty() {
        "none at all".to_owned()
    } else {
        all.join(", ")
    }
}

fn refusal(code: &'static str, key: &str, saw: &str, wanted: String) -> Advice {
    Advice::new(
        code,
        format!("{saw}, which the policy of this host does not allow (rule `{key}`)"),
        wanted,
        format!("ask for what is allowed, or change `{key}` in {PATH} as root on the host"),
    )
}
