//! Taking the checkout away again: what git tracks and git's own folder, and only where we made it.

use super::super::install::copies;
use super::git::Git;
use crate::host::Command;
use crate::runbook::{ActCx, Cx, StepError};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::Site;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the repository's own configuration says of one that we made: a name and its value.
pub(super) const MADE: (&str, &str) = ("chatalot.made-by", "chatalot-agent");

/// What deployments have made in a site's folder and users have put their data in.
const DATA: &[&str] = &[".env", "secrets"];

/// How a site's folder stands.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::runbook::chapters) enum Left {
    /// There is something of ours in it.
    Ours(String),
    /// It is gone, or what is in it is not ours to take away.
    Nothing(String),
}

fn folder(site: &Site) -> &Path {
    Path::new(site.folder.as_str())
}

/// What is left of ours; with `data`, what users have put in counts too.
pub(in crate::runbook::chapters) async fn left(cx: &Cx<'_>, data: bool) -> Result<Left, StepError> {
    let names = cx.host.list(folder(cx.site)).await?;
    let there = |name: &str| names.iter().any(|one| one == name);
    if there(".git") {
        // An empty one is what is left where the last run was cut off.
        let empty = cx.host.list(&folder(cx.site).join(".git")).await?.is_empty();
        if empty || is_ours(cx).await? {
            return Ok(Left::Ours(format!("chatalot's source in {}", cx.site.folder)));
        }
        return Ok(Left::Nothing(format!(
            "{} was a checkout before the agent came; left alone",
            cx.site.folder
        )));
    }
    let mut kept: Vec<&str> = DATA.iter().copied().filter(|name| there(name)).collect();
    if there(copies::FOLDER) && !copies::ours(cx.host, cx.site).await?.is_empty() {
        kept.push(copies::FOLDER);
    }
    if data && !kept.is_empty() {
        return Ok(Left::Ours(format!(
            "{} in {}",
            kept.join(" and "),
            cx.site.folder
        )));
    }
    if !names.is_empty() {
        let names: Vec<String> = names
            .iter()
            .take(8)
            .map(|name| crate::host::plain_line(name))
            .collect();
        let saw = format!("left in {}: {}", cx.site.folder, names.join(", "));
        return Ok(Left::Nothing(saw));
    }
    Ok(match cx.host.owner(folder(cx.site)).await? {
        Some(_) => Left::Ours(format!("the empty folder {}", cx.site.folder)),
        None => Left::Nothing(format!("{} is gone", cx.site.folder)),
    })
}

async fn is_ours(cx: &Cx<'_>) -> Result<bool, StepError> {
    let git = Git::of(cx.site);
    let said = cx.host.query(git.inside(&["config", "--get", MADE.0])).await?;
    Ok(said.stdout.trim() == MADE.1)
}

/// Takes it away, in an order in which every cut leaves something that the next run recognises as ours.
pub(in crate::runbook::chapters) async fn take_away(cx: &ActCx<'_>, data: bool) -> Result<(), StepError> {
    let site = cx.look.site;
    let dot_git = folder(site).join(".git");
    let git_is_there = cx.host.owner(&dot_git).await?.is_some();
    if git_is_there && is_ours(&cx.look).await? {
        let git = Git::of(site);
        git.remove_stale_lock(cx).await?;
        if data {
            // What the checkout ignores is what installer and chatalot have made in it.
            run(cx, git.inside(&["clean", "-ffdXq"])).await?;
        }
        let index = dot_git.join("index");
        if cx.host.owner(&index).await?.is_some() {
            run(cx, git.inside(&["rm", "-rfq", "--ignore-unmatch", "--", "."])).await?;
            cx.host.remove(&index).await?;
        }
        // The configuration, which says whose it is, goes last.
        let sweep = Command::new("find", &[&text(&dot_git), "-mindepth", "1", "-depth"]);
        run(
            cx,
            sweep
                .arg("!")
                .arg("-path")
                .arg(text(&dot_git.join("config")))
                .arg("-delete"),
        )
        .await?;
    }
    if git_is_there {
        cx.host.remove(&dot_git.join("config")).await?;
        run(cx, rmdir(&dot_git)).await?;
    }
    if data {
        let folder_of_copies = folder(site).join(copies::FOLDER);
        for name in copies::ours(cx.host, site).await? {
            remove_all(cx, &folder_of_copies.join(name)).await?;
        }
        if cx.host.owner(&folder_of_copies).await?.is_some() {
            run(cx, rmdir(&folder_of_copies)).await?;
        }
        for name in DATA {
            remove_all(cx, &folder(site).join(name)).await?;
        }
    }
    if cx.host.owner(folder(site)).await?.is_some() {
        run(cx, rmdir(folder(site))).await?;
    }
    Ok(())
}

async fn remove_all(cx: &ActCx<'_>, path: &Path) -> Result<(), StepError> {
    let remove = Command::new("rm", &["-rf", "--one-file-system", "--", &text(path)]);
    run(cx, remove).await
}

fn text(path: &Path) -> String {
    PathBuf::from(path).display().to_string()
}

/// Removes a folder that is empty, and leaves one that is not.
fn rmdir(path: &Path) -> Command {
    Command::new("rmdir", &["--ignore-fail-on-non-empty", "--", &text(path)])
}

async fn run(cx: &ActCx<'_>, command: Command) -> Result<(), StepError> {
    let program = command.program.clone();
    let output = cx.host.run(command.deadline(Duration::from_mins(5))).await?;
    if output.ok() {
        return Ok(());
    }
    let site = cx.look.site;
    Err(StepError::last(
        Advice::new(
            "NOT_REMOVED",
            format!(
                "`{program}` ended with exit code {} in {}",
                output.code, site.folder
            ),
            "chatalot's source taken away",
            "mend what the lines below name, then run `uninstall` again: it goes on from there",
        )
        .with_evidence(output.last_lines(5)),
    ))
}
