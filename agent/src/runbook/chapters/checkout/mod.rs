//! chatalot's source, at the commit that was asked for.

pub(super) mod git;
mod owners;
pub(super) mod undo;

pub use owners::others;

use super::super::{ActCx, Applied, Cx, Intent, Limits, Step, StepError};
use super::install::copies;
use crate::host::Look;
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;
use git::{Asked, Git};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// The chapter.
pub(super) const STEPS: &[&dyn Step] = &[&Checkout];

/// The folder has the repository, at the commit that the reference means.
struct Checkout;

#[async_trait]
impl Step for Checkout {
    fn id(&self) -> &'static str {
        "checkout.clone"
    }

    fn title(&self) -> &'static str {
        "chatalot's source is checked out"
    }

    fn after(&self) -> Option<&'static str> {
        Some("packages.install")
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        let Site { source, folder, .. } = intent.site;
        vec![
            format!("fetch {} into {folder}", source.repository),
            format!(
                "check out {} there, leaving local changes alone",
                source.reference
            ),
        ]
    }

    fn limits(&self) -> Limits {
        Limits {
            deadline: Duration::from_mins(20),
            ..Limits::default()
        }
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        if let Some(advice) = others(cx.host, cx.site).await? {
            return Ok(advice.into());
        }
        let names = cx.host.list(Path::new(cx.site.folder.as_str())).await?;
        let taken: Vec<String> = names.iter().filter(|name| !is_kept(name)).cloned().collect();
        if taken.is_empty() {
            return Ok(Verdict::needed(format!("no source in {} yet", cx.site.folder)));
        }
        if !names.iter().any(|name| name == ".git") {
            return Ok(folder_taken(cx.site, &taken).into());
        }
        let git = Git::of(cx.site);
        let remote = git.remote(cx.host).await?;
        let head = git.head(cx.host).await?;
        // Without files beside it, a repository that never got a commit is what an earlier attempt of ours left.
        if head.is_none() && taken.len() == 1 {
            return Ok(Verdict::needed("nothing has been checked out yet"));
        }
        match remote {
            None => return Ok(folder_taken(cx.site, &taken).into()),
            Some(url) if url != cx.site.source.repository.as_str() => {
                return Ok(other_remote(cx.site, &url).into());
            }
            Some(_) => {}
        }
        let Some(head) = head else {
            return Ok(Verdict::needed("a checkout that was cut off"));
        };
        compare(cx, &git, &head).await
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        if let Some(advice) = others(cx.host, cx.look.site).await? {
            return Err(StepError::last(advice));
        }
        let git = Git::of(cx.look.site);
        git.prepare(cx).await?;
        git.fetch(cx).await?;
        let reference = cx.look.site.source.reference.as_str();
        let commit = git
            .resolve(cx.host, reference)
            .await?
            .ok_or_else(|| StepError::last(unknown_ref(cx.look.site)))?;
        git.check_out(cx, &commit).await?;
        let remember = BTreeMap::from([("commit".to_owned(), commit)]);
        Ok(Applied { remember })
    }
}

/// What stays in the folder when chatalot is taken away, and what a restored backup begins with.
const KEPT: &[&str] = &[".env", "secrets", "docker-compose.override.yml", copies::FOLDER];

fn is_kept(name: &str) -> bool {
    KEPT.contains(&name)
}

/// The commit that is checked out, which a check may ask for.
pub(super) async fn head(host: &dyn Look, site: &Site) -> Result<Option<String>, StepError> {
    Git::of(site).head(host).await
}

/// The commit that is checked out, and how many tracked files differ from it.
pub async fn stands(host: &dyn Look, site: &Site) -> Result<(Option<String>, usize), StepError> {
    let git = Git::of(site);
    Ok(match git.head(host).await? {
        Some(head) => (Some(head), git.changed(host).await?),
        None => (None, 0),
    })
}

async fn compare(cx: &Cx<'_>, git: &Git<'_>, head: &str) -> Result<Verdict, StepError> {
    let reference = cx.site.source.reference.as_str();
    let (wanted, source) = match git.ask(cx.host, reference).await? {
        Asked::Commit(commit) => (Some(commit), ""),
        Asked::Unknown => (git.resolve(cx.host, reference).await?, ""),
        Asked::NoAnswer => (
            git.resolve(cx.host, reference).await?,
            "; the repository could not be asked whether there is a newer one",
        ),
    };
    let Some(wanted) = wanted else {
        return Ok(Verdict::needed(format!("{reference} has not been fetched yet")));
    };
    if wanted != head {
        return Ok(Verdict::needed(format!(
            "{reference} is {}, the checkout is at {}",
            short(&wanted),
            short(head)
        )));
    }
    let changed = git.changed(cx.host).await?;
    let local = if changed == 0 {
        String::new()
    } else {
        format!("; {changed} files have local changes, which are left alone")
    };
    Ok(Verdict::satisfied(format!(
        "{reference} at {}{source}{local}",
        short(head)
    )))
}

/// As much of a commit's name as people read.
pub(super) fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

fn folder_taken(site: &Site, names: &[String]) -> Advice {
    let some: Vec<String> = names
        .iter()
        .take(5)
        .map(|name| crate::host::plain_line(name))
        .collect();
    Advice::new(
        "FOLDER_TAKEN",
        format!("{} with something else in it: {}", site.folder, some.join(", ")),
        "an empty folder, or a checkout of chatalot",
        format!(
            "move it away (`mv {0} {0}.old`), or deploy with another folder",
            site.folder
        ),
    )
}

fn other_remote(site: &Site, url: &str) -> Advice {
    Advice::new(
        "REMOTE_DIFFERS",
        format!(
            "{} is a checkout of {}",
            site.folder,
            crate::host::plain_line(url)
        ),
        site.source.repository.to_string(),
        format!(
            "deploy with that repository, or change it: `git -C {} remote set-url origin {}`",
            site.folder, site.source.repository
        ),
    )
}

fn unknown_ref(site: &Site) -> Advice {
    Advice::new(
        "REF_UNKNOWN",
        format!(
            "no branch, tag or commit `{}` in {}",
            site.source.reference, site.source.repository
        ),
        "an existing one",
        format!(
            "see which there are: `git ls-remote {}`; then deploy with one of them",
            site.source.repository
        ),
    )
}
