//! git as a program: every command of it, and what its failures mean.
//!
//! Instead of `git clone`, whose half-made result nothing can finish, the repository is made, told its remote,
//! fetched and checked out: four commands that may be cut off anywhere and repeated.

use crate::host::{Command, HostError, Look, Output};
use crate::runbook::{ActCx, StepError};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::Site;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the repository itself says of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::runbook::chapters) enum Asked {
    /// It means this commit.
    Commit(String),
    /// It has no branch or tag of that name.
    Unknown,
    /// It did not answer.
    NoAnswer,
}

/// A site's checkout.
pub(in crate::runbook::chapters) struct Git<'a> {
    site: &'a Site,
}

impl<'a> Git<'a> {
    pub(in crate::runbook::chapters) const fn of(site: &'a Site) -> Self {
        Self { site }
    }

    /// A git that asks nobody and trusts this folder. What the folder's own configuration names (filters,
    /// credential helpers) it does run, as root: [`super::owners`] refuses a folder that others may write.
    fn command(&self, args: &[&str]) -> Command {
        let folder = self.site.folder.as_str();
        let safe = format!("safe.directory={folder}");
        let mut command = Command::new("git", &["-c", &safe, "-c", "core.hooksPath=/dev/null"])
            .arg("-c")
            .arg("core.fsmonitor=false")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=20")
            .env("LC_ALL", "C.UTF-8");
        command.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        command
    }

    /// The same, in the folder.
    pub(super) fn inside(&self, args: &[&str]) -> Command {
        let mut all = vec!["-C", self.site.folder.as_str()];
        all.extend(args);
        self.command(&all)
    }

    /// The address that the checkout was made from.
    pub(super) async fn remote(&self, host: &dyn Look) -> Result<Option<String>, StepError> {
        let output = host
            .query(self.inside(&["config", "--get", "remote.origin.url"]))
            .await?;
        Ok(output.ok().then(|| output.stdout.trim().to_owned()))
    }

    /// The commit that is checked out.
    pub(super) async fn head(&self, host: &dyn Look) -> Result<Option<String>, StepError> {
        self.commit(host, "HEAD").await
    }

    async fn commit(&self, host: &dyn Look, name: &str) -> Result<Option<String>, StepError> {
        let name = format!("{name}^{{commit}}");
        let output = host
            .query(self.inside(&["rev-parse", "--verify", "--quiet", &name]))
            .await?;
        let commit = output.stdout.trim();
        Ok((output.ok() && is_commit(commit)).then(|| commit.to_owned()))
    }

    /// What a reference means, by what was fetched: a branch before a tag before a commit.
    pub(super) async fn resolve(
        &self,
        host: &dyn Look,
        reference: &str,
    ) -> Result<Option<String>, StepError> {
        let mut names = vec![
            format!("refs/remotes/origin/{reference}"),
            format!("refs/tags/{reference}"),
        ];
        if reference.len() >= 7 && reference.bytes().all(|b| b.is_ascii_hexdigit()) {
            names.push(reference.to_owned());
        }
        for name in names {
            if let Some(commit) = self.commit(host, &name).await? {
                return Ok(Some(commit));
            }
        }
        Ok(None)
    }

    /// What the repository says that a reference means.
    pub(super) async fn ask(&self, host: &dyn Look, reference: &str) -> Result<Asked, StepError> {
        if is_commit(reference) {
            return Ok(Asked::Commit(reference.to_owned()));
        }
        let branch = format!("refs/heads/{reference}");
        let tag = format!("refs/tags/{reference}");
        let peeled = format!("{tag}^{{}}");
        let url = self.site.source.repository.as_str();
        let ask = self.command(&["ls-remote", "--", url, &branch, &tag, &peeled]);
        let output = match host.query(ask.deadline(Duration::from_secs(20))).await {
            Ok(output) if output.ok() => output,
            Ok(_) | Err(HostError::Deadline { .. }) => return Ok(Asked::NoAnswer),
            Err(other) => return Err(other.into()),
        };
        let means = |name: &str| {
            let line = output.stdout.lines().find_map(|line| line.strip_suffix(name));
            line.map(str::trim).filter(|commit| is_commit(commit))
        };
        let found = [&branch, &peeled, &tag].into_iter().find_map(|name| means(name));
        Ok(found.map_or(Asked::Unknown, |commit| Asked::Commit(commit.to_owned())))
    }

    /// How many tracked files differ from what was checked out.
    pub(super) async fn changed(&self, host: &dyn Look) -> Result<usize, StepError> {
        let status = self.inside(&["status", "--porcelain", "--untracked-files=no"]);
        Ok(host.query(status).await?.stdout.lines().count())
    }

    /// A repository that knows its remote.
    pub(super) async fn prepare(&self, cx: &ActCx<'_>) -> Result<(), StepError> {
        let folder = self.site.folder.as_str();
        let url = self.site.source.repository.as_str();
        let names = cx.host.list(Path::new(folder)).await?;
        let others = names.iter().any(|name| name == ".git") && self.head(cx.host).await?.is_some();
        cx.host.make_folder(Path::new(folder), 0o755).await?;
        // The check has refused a foreign checkout: a remote that is set again here never gave a commit.
        let mut commands = vec![
            self.command(&["init", "--quiet", "--", folder]),
            self.inside(&["config", "remote.origin.url", url]),
            self.inside(&[
                "config",
                "remote.origin.fetch",
                "+refs/heads/*:refs/remotes/origin/*",
            ]),
        ];
        // One that had a commit before us is not ours, and `uninstall` leaves it alone.
        if !others {
            commands.push(self.inside(&["config", super::undo::MADE.0, super::undo::MADE.1]));
        }
        for command in commands {
            let output = cx.host.run(command).await?;
            if !output.ok() {
                return Err(StepError::last(failed(self.site, &output)));
            }
        }
        Ok(())
    }

    /// Everything that the repository has.
    pub(super) async fn fetch(&self, cx: &ActCx<'_>) -> Result<(), StepError> {
        let fetch = self.inside(&["fetch", "--force", "--tags", "--prune", "--", "origin"]);
        let output = match cx.host.run(fetch.deadline(Duration::from_mins(15))).await {
            Ok(output) if output.ok() => return Ok(()),
            Ok(output) => output,
            Err(HostError::Deadline { seconds, .. }) => Output {
                code: 124,
                stdout: format!("no end within {seconds} s"),
                stderr: String::new(),
            },
            Err(other) => return Err(other.into()),
        };
        Err(fetch_failed(self.site, &output))
    }

    /// Puts a commit's files in place. Where nothing was ever checked out, there is nobody's change to lose.
    pub(super) async fn check_out(&self, cx: &ActCx<'_>, commit: &str) -> Result<(), StepError> {
        self.remove_stale_lock(cx).await?;
        let first = self.head(cx.host).await?.is_none();
        let mut args = vec!["checkout", "--quiet", "--detach"];
        args.extend(first.then_some("--force"));
        args.push(commit);
        let output = cx
            .host
            .run(self.inside(&args).deadline(Duration::from_mins(5)))
            .await?;
        if output.ok() {
            return Ok(());
        }
        let text = [output.stdout.as_str(), output.stderr.as_str()].concat();
        if text.contains("would be overwritten") {
            return Err(StepError::last(dirty(self.site, &output)));
        }
        Err(StepError::last(failed(self.site, &output)))
    }

    /// A git that was killed leaves its lock behind; it is stale if no git runs at all.
    pub(super) async fn remove_stale_lock(&self, cx: &ActCx<'_>) -> Result<(), StepError> {
        let lock = Path::new(self.site.folder.as_str()).join(".git/index.lock");
        let there = cx.host.read(&lock).await?.is_some();
        if there && !git_runs(cx.host).await? {
            cx.host.remove(&lock).await?;
        }
        Ok(())
    }
}

async fn git_runs(host: &dyn Look) -> Result<bool, StepError> {
    for name in host.list(Path::new("/proc")).await? {
        if name.bytes().all(|b| b.is_ascii_digit()) {
            let path = PathBuf::from(format!("/proc/{name}/comm"));
            // A process may end while it is looked at.
            let comm = host.read(&path).await.ok().flatten().unwrap_or_default();
            if comm.starts_with(b"git") {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn fetch_failed(site: &Site, output: &Output) -> StepError {
    const REFUSED: &[&str] = &[
        "Authentication failed",
        "could not read Username",
        "Permission denied",
        "not found",
        "does not appear to be a git repository",
        "does not exist",
    ];
    // The checkout is to blame, not the repository; in git's own words, of which it has more.
    const DAMAGED: &[&str] = &[
        INDEX,
        "No space left",
        "is corrupt",
        "object file",
        "bad config",
        "bad object",
        "unable to create temporary file",
        "insufficient permission",
    ];
    let text = [output.stdout.as_str(), output.stderr.as_str()].concat();
    if DAMAGED.iter().any(|sign| text.contains(sign)) {
        return StepError::last(failed(site, output));
    }
    let refused = REFUSED.iter().any(|sign| text.contains(sign));
    let advice = Advice::new(
        if refused {
            "REPOSITORY_REFUSED"
        } else {
            "REPOSITORY_UNREACHABLE"
        },
        format!("{} could not be fetched", site.source.repository),
        "a repository that this host may read",
        format!(
            "see that `git ls-remote {}` works on the host, then deploy again",
            site.source.repository
        ),
    )
    .with_evidence(output.last_lines(6));
    if refused {
        StepError::last(advice)
    } else {
        StepError::passing(advice)
    }
}

fn dirty(site: &Site, output: &Output) -> Advice {
    Advice::new(
        "CHECKOUT_DIRTY",
        format!(
            "local changes in {} that {} would overwrite",
            site.folder, site.source.reference
        ),
        "tracked files as they were checked out",
        format!(
            "keep them aside with `git -C {} stash`, or commit them elsewhere; then deploy again",
            site.folder
        ),
    )
    .with_evidence(output.last_lines(8))
}

/// How git begins to tell that the list of what is checked out is damaged, which it can make anew.
const INDEX: &str = "index file ";

fn failed(site: &Site, output: &Output) -> Advice {
    let fix = if [&output.stdout, &output.stderr]
        .iter()
        .any(|text| text.contains(INDEX))
    {
        format!(
            "run `rm {0}/.git/index && git -C {0} reset --quiet`, then deploy again",
            site.folder
        )
    } else {
        "read the lines below and mend what they name, then deploy again".to_owned()
    };
    Advice::new(
        "CHECKOUT_FAILED",
        format!("git ended with exit code {} in {}", output.code, site.folder),
        format!("{} checked out", site.source.reference),
        fix,
    )
    .with_evidence(output.last_lines(6))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatalot_protocol::inputs::Inputs;

    fn site() -> Site {
        let inputs = Inputs {
            domain: Some("chat.example.com".into()),
            admin_username: Some("alice".into()),
            ..Inputs::default()
        };
        inputs.complete().unwrap().0
    }

    fn said(text: &str) -> StepError {
        let output = Output {
            code: 128,
            stdout: text.into(),
            stderr: String::new(),
        };
        fetch_failed(&site(), &output)
    }

    #[test]
    fn a_repository_out_of_reach_passes_and_one_that_refuses_does_not() {
        let away = said("fatal: unable to access 'https://x/': Could not resolve host: x");
        assert!(matches!(&away, StepError::Passing(advice) if advice.code == "REPOSITORY_UNREACHABLE"));
        let refused = said("fatal: could not read Username for 'https://x': terminal prompts disabled");
        assert!(matches!(&refused, StepError::Final(advice) if advice.code == "REPOSITORY_REFUSED"));
        let damaged = said("fatal: .git/index: index file smaller than expected");
        let StepError::Final(advice) = damaged else {
            panic!("{damaged:?}");
        };
        assert_eq!(advice.code, "CHECKOUT_FAILED");
        assert!(advice.fix.contains("rm /srv/chatalot/.git/index"), "{advice}");
    }

    #[test]
    fn f61_no_argument_of_git_can_be_taken_for_an_option() {
        let site = site();
        let git = Git::of(&site);
        let ask = git.inside(&["fetch", "--", "origin"]);
        assert_eq!(ask.args.iter().filter(|arg| *arg == "--").count(), 1);
        assert!(
            ask.env
                .iter()
                .any(|(name, value)| name == "GIT_TERMINAL_PROMPT" && value == "0")
        );
        assert!(site.source.repository.as_str().starts_with("https://"));
    }
}
