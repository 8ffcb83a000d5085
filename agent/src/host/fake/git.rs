//! git on a fake host.

use super::world::{Checkout, Remote, World, output};
use crate::host::{Command, Output};
use std::collections::BTreeMap;
use std::path::Path;

/// Where chatalot's source is, unless a site says otherwise.
const CHATALOT: &str = "https://forgejo.seglamater.app/seglamater/chatalot.git";

/// An installer's text that knows of unattended runs; what it does is [`super::installer`].
const SCRIPT: &str = "#!/usr/bin/env bash\n# usage: install.sh --non-interactive …\n";

/// The repositories that a fresh world knows.
pub(super) fn remotes() -> BTreeMap<String, Remote> {
    let commit = "1f".repeat(20);
    let tree = BTreeMap::from([
        ("scripts/install.sh".to_owned(), SCRIPT.to_owned()),
        ("docker-compose.yml".to_owned(), "services: {}\n".to_owned()),
    ]);
    let remote = Remote {
        refs: BTreeMap::from([
            ("refs/heads/main".to_owned(), commit.clone()),
            ("refs/tags/v0.24.0".to_owned(), commit.clone()),
        ]),
        trees: BTreeMap::from([(commit, tree)]),
    };
    BTreeMap::from([(CHATALOT.to_owned(), remote)])
}

/// A git command taken apart: the folder, and what is left without `-c` settings.
fn parts(command: &Command) -> Option<(Option<String>, Vec<&str>)> {
    if command.program != "git" {
        return None;
    }
    let mut words = command.args.iter().map(String::as_str);
    let mut folder = None;
    let mut rest = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "-c" if rest.is_empty() => _ = words.next(),
            "-C" if rest.is_empty() => folder = words.next().map(str::to_owned),
            word => rest.push(word),
        }
    }
    Some((folder, rest))
}

impl World {
    fn reachable(&self, url: &str) -> Option<&Remote> {
        let remote = self.remotes.get(url)?;
        (self.network || url.starts_with("file://")).then_some(remote)
    }

    pub(super) fn git_query(&self, command: &Command) -> Option<Output> {
        let (folder, words) = parts(command)?;
        if !self.programs.contains("git") {
            return Some(output(127, "git: not found"));
        }
        if let ["ls-remote", "--", url, names @ ..] = words.as_slice() {
            return Some(self.ls_remote(url, names));
        }
        let checkout = self.checkouts.get(Path::new(&folder?));
        match words.as_slice() {
            ["config", "--get", "chatalot.made-by"] => {
                let made = checkout.is_some_and(|one| one.made);
                Some(output(i32::from(!made), if made { "chatalot-agent" } else { "" }))
            }
            ["config", "--get", "remote.origin.url"] => {
                let url = checkout.and_then(|one| one.url.clone());
                Some(url.map_or_else(|| output(1, ""), |url| output(0, &url)))
            }
            ["rev-parse", "--verify", "--quiet", name] => {
                let name = name.trim_end_matches("^{commit}");
                let commit = checkout.and_then(|one| match name {
                    "HEAD" => one.head.clone(),
                    name => one.commit(name),
                });
                Some(commit.map_or_else(|| output(1, ""), |commit| output(0, &commit)))
            }
            ["status", ..] => {
                let changed = checkout.map(|one| one.changed.clone()).unwrap_or_default();
                let lines: Vec<String> = changed.iter().map(|name| format!(" M {name}")).collect();
                Some(output(0, &lines.join("\n")))
            }
            _ => None,
        }
    }

    fn ls_remote(&self, url: &str, names: &[&str]) -> Output {
        let Some(remote) = self.reachable(url) else {
            return output(128, "fatal: Could not resolve host");
        };
        let lines: Vec<String> = remote
            .refs
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()))
            .map(|(name, commit)| format!("{commit}\t{name}"))
            .collect();
        output(0, &lines.join("\n"))
    }

    pub(super) fn git_change(&mut self, command: &Command) -> Option<Output> {
        let (folder, words) = parts(command)?;
        if let ["init", "--quiet", "--", folder] = words.as_slice() {
            self.put(Path::new(folder).join(".git/config"), "");
            self.checkouts.entry((*folder).into()).or_default();
            return Some(output(0, ""));
        }
        let folder = folder?;
        let path = Path::new(&folder);
        match words.as_slice() {
            ["config", "remote.origin.url", url] => {
                self.checkouts.get_mut(path)?.url = Some((*url).to_owned());
                Some(output(0, ""))
            }
            ["config", "chatalot.made-by", _] => {
                self.checkouts.get_mut(path)?.made = true;
                Some(output(0, ""))
            }
            ["rm", "-rfq", "--ignore-unmatch", "--", "."] => {
                self.remove_tracked(path);
                Some(output(0, ""))
            }
            ["clean", "-ffdXq"] | ["config", "remote.origin.fetch", _] => Some(output(0, "")),
            ["fetch", ..] => Some(self.fetch_into(path)),
            ["checkout", options @ .., commit] => {
                let force = options.contains(&"--force");
                Some(self.check_out(path, commit, force))
            }
            _ => None,
        }
    }

    fn fetch_into(&mut self, folder: &Path) -> Output {
        let url = self.checkouts.get(folder).and_then(|one| one.url.clone());
        let Some(remote) = url.as_deref().and_then(|url| self.reachable(url)) else {
            return output(128, "fatal: unable to access: Could not resolve host");
        };
        let fetched = remote
            .refs
            .iter()
            .map(|(name, commit)| {
                (
                    name.replace("refs/heads/", "refs/remotes/origin/"),
                    commit.clone(),
                )
            })
            .collect();
        if let Some(checkout) = self.checkouts.get_mut(folder) {
            checkout.fetched = fetched;
        }
        output(0, "")
    }

    fn check_out(&mut self, folder: &Path, commit: &str, force: bool) -> Output {
        if self.files.contains_key(&folder.join(".git/index.lock")) {
            return output(128, "fatal: Unable to create '.git/index.lock': File exists.");
        }
        let Some(checkout) = self.checkouts.get(folder) else {
            return output(128, "fatal: not a git repository");
        };
        let url = checkout.url.clone().unwrap_or_default();
        let tree = self
            .remotes
            .get(&url)
            .and_then(|remote| remote.trees.get(commit))
            .cloned();
        let Some(tree) = tree else {
            return output(128, "fatal: reference is not a tree");
        };
        let moves = checkout.head.as_deref() != Some(commit);
        if moves && !force && !checkout.changed.is_empty() {
            return output(
                1,
                "error: Your local changes to the following files would be overwritten by checkout",
            );
        }
        for (name, text) in tree {
            self.put(folder.join(name), text);
        }
        self.put(folder.join(".git/index"), "");
        if let Some(checkout) = self.checkouts.get_mut(folder) {
            checkout.head = Some(commit.to_owned());
        }
        output(0, "")
    }
}

impl Checkout {
    fn commit(&self, name: &str) -> Option<String> {
        let by_commit = self.fetched.values().find(|commit| commit.starts_with(name));
        self.fetched.get(name).or(by_commit).cloned()
    }
}
