//! Taking things away on a fake host: containers, volumes, folders, and what git tracks.

use super::world::{EngineState, World, output};
use crate::host::Output;
use crate::runbook::engine_version::major;
use std::path::Path;

impl World {
    pub(super) fn docker_query(&self, args: &[&str]) -> Option<Output> {
        if let [
            "exec",
            ..,
            "--",
            name,
            "psql",
            _,
            _,
            _,
            _,
            "-U",
            "chatalot",
            "-d",
            "chatalot",
            "-c",
            _,
        ] = args
        {
            return Some(self.psql(name));
        }
        if args == ["version", "--format", "{{.Server.MinAPIVersion}}"] {
            let is_new = major(&self.engine_version).is_some_and(|major| major >= 29);
            return Some(output(0, if is_new { "1.44\n" } else { "1.24\n" }));
        }
        let ["volume", "ls", "--quiet", "--filter", label] = args else {
            return None;
        };
        if self.engine != EngineState::Up {
            return Some(output(1, "Cannot connect to the Docker daemon"));
        }
        let project = label.rsplit('=').next().unwrap_or_default();
        let names = self
            .volumes
            .iter()
            .filter(|name| name.starts_with(&format!("{project}_")));
        Some(output(0, &names.cloned().collect::<Vec<_>>().join("\n")))
    }

    /// What the database says of its accounts.
    fn psql(&self, container: &str) -> Output {
        let runs = self
            .containers
            .get(container)
            .is_some_and(|one| one.state == "running");
        let Some(accounts) = self.accounts.as_ref().filter(|_| runs && self.database_up) else {
            return output(1, "ERROR:  relation \"users\" does not exist");
        };
        let admins: Vec<&String> = accounts
            .iter()
            .filter(|(_, admin)| *admin)
            .map(|(name, _)| name)
            .collect();
        let answer = serde_json::json!({"users": accounts.len(), "admins": admins, "marked": true});
        output(0, &answer.to_string())
    }

    pub(super) fn removal(&mut self, program: &str, args: &[&str]) -> Option<Output> {
        match (program, args) {
            ("docker", ["compose", "--project-name", project, "down", "--remove-orphans"]) => {
                self.containers.retain(|_, one| one.project != *project);
                Some(output(0, ""))
            }
            ("docker", ["volume", "rm", "--force", "--", names @ ..]) => {
                self.volumes.retain(|name| !names.contains(&name.as_str()));
                Some(output(0, ""))
            }
            ("find", [folder, "-mindepth", "1", "-depth", "!", "-path", kept, "-delete"]) => {
                let (folder, kept) = (Path::new(folder), Path::new(kept));
                let goes = |path: &Path| path.starts_with(folder) && path != folder && path != kept;
                self.files.retain(|path, _| !goes(path));
                self.folders.retain(|path| !goes(path));
                Some(output(0, ""))
            }
            ("rm", ["-rf", "--one-file-system", "--", path]) => {
                self.files.retain(|one, _| !one.starts_with(path));
                self.owners.retain(|one, _| !one.starts_with(path));
                self.folders.retain(|one| !one.starts_with(path));
                Some(output(0, ""))
            }
            ("rmdir", ["--ignore-fail-on-non-empty", "--", path]) => {
                self.remove_empty(Path::new(path));
                Some(output(0, ""))
            }
            _ => None,
        }
    }

    fn remove_empty(&mut self, folder: &Path) {
        if self.list(folder).is_empty() {
            self.folders.remove(folder);
            if let Some(checkout) = folder.parent().filter(|_| folder.ends_with(".git")) {
                self.checkouts.remove(checkout);
            }
        }
    }

    /// What git tracks, and the folders that nothing is left in.
    pub(super) fn remove_tracked(&mut self, folder: &Path) {
        let tracked = self.checkouts.get(folder).and_then(|one| {
            let remote = self.remotes.get(one.url.as_deref()?)?;
            remote.trees.get(one.head.as_deref()?).cloned()
        });
        for name in tracked.unwrap_or_default().keys() {
            self.files.remove(&folder.join(name));
        }
        let inside: Vec<_> = self
            .folders
            .iter()
            .filter(|one| one.starts_with(folder))
            .cloned()
            .collect();
        for one in inside
            .iter()
            .rev()
            .filter(|one| *one != folder && !one.ends_with(".git"))
        {
            if self.list(one).is_empty() {
                self.folders.remove(one);
            }
        }
    }
}
