//! The policy file's beginning and end. What an admin has made of it is theirs.

use super::SetupError;
use crate::host::linux::files::replace;
use crate::link::join::Granted;
use crate::policy::{Origin, written};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// A copy of what we wrote, in the state folder: a policy that differs from it was changed by an admin, and one that is
/// missing beside it was taken away by one.
const COPY: &str = "policy.written";

/// Writes the policy that this host begins with, once. A policy that is there stays, but for the one of a host that
/// stood alone and now joins, if nobody has changed it.
pub fn begin(path: &Path, state: &Path, say: &mut dyn FnMut(&str)) -> Result<(), SetupError> {
    let granted = Granted::load(state).map_err(|error| file("read", state, error))?;
    let remotes: Vec<String> = granted
        .iter()
        .flat_map(|granted| granted.git_remotes.iter().map(ToString::to_string))
        .collect();
    let text = written(match &granted {
        Some(granted) => Origin::Joining {
            domains: &granted.domains,
            remotes: &remotes,
        },
        None => Origin::Alone,
    });
    let copy = state.join(COPY);
    let (there, ours) = (read(path)?, read(&copy)?);
    let alone = Some(written(Origin::Alone).into_bytes());
    let stood_alone = there == alone && ours == alone && granted.is_some();
    if !stood_alone && (there.is_some() || ours.is_some()) {
        say(&format!("keeps the policy in {}", path.display()));
        return Ok(());
    }
    // The copy last: cut off before it, the policy that is there counts as an admin's.
    replace(path, text.as_bytes(), 0o644).map_err(|error| file("write", path, error))?;
    replace(&copy, text.as_bytes(), 0o600).map_err(|error| file("write", &copy, error))?;
    say(&format!("wrote what may be done here into {}", path.display()));
    Ok(())
}

/// Removes the policy, unless an admin has changed it.
pub(super) fn end(path: &Path, state: &Path, say: &mut dyn FnMut(&str)) -> Result<(), SetupError> {
    let copy = state.join(COPY);
    let (there, ours) = (read(path)?, read(&copy)?);
    if there.is_none() || there == ours {
        super::leave::remove(path, fs::remove_file)?;
    } else {
        say(&format!("kept {}, which was changed here", path.display()));
    }
    super::leave::remove(&copy, fs::remove_file)
}

/// A file's content; `None` if there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, SetupError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file("read", path, error)),
    }
}

fn file(verb: &'static str, path: &Path, source: io::Error) -> SetupError {
    SetupError::File {
        verb,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use tempfile::TempDir;

    struct Here(TempDir);

    impl Here {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn policy(&self) -> PathBuf {
            self.0.path().join("policy.toml")
        }

        fn joins(&self, domains: &[&str]) {
            let granted = Granted {
                domains: domains.iter().map(|name| name.parse().unwrap()).collect(),
                git_remotes: Vec::new(),
            };
            fs::write(
                self.0.path().join("granted.json"),
                serde_json::to_vec(&granted).unwrap(),
            )
            .unwrap();
        }

        fn begins(&self) -> String {
            begin(&self.policy(), self.0.path(), &mut |_| {}).unwrap();
            fs::read_to_string(self.policy()).unwrap_or_default()
        }

        fn ends(&self) -> bool {
            end(&self.policy(), self.0.path(), &mut |_| {}).unwrap();
            !self.policy().exists()
        }
    }

    #[test]
    fn joining_writes_the_domains_that_the_host_was_added_with_and_never_again() {
        let here = Here::new();
        here.joins(&["chat.example.com"]);
        let first = here.begins();
        assert!(first.contains("\ndomains = [\"chat.example.com\"]"), "{first}");
        here.joins(&["other.example.com"]);
        assert_eq!(here.begins(), first);
        // An admin who takes it away means that nothing may be done.
        fs::remove_file(here.policy()).unwrap();
        assert_eq!(here.begins(), "");
    }

    #[test]
    fn a_host_that_stood_alone_and_joins_gets_the_stricter_policy_unless_an_admin_has_changed_it() {
        let here = Here::new();
        assert!(here.begins().contains("\ngit_remotes = [\"*\"]"));
        here.joins(&[]);
        assert!(!here.begins().contains("\ngit_remotes"));
        let changed = Here::new();
        let text = changed.begins().replace("true", "false");
        fs::write(changed.policy(), &text).unwrap();
        changed.joins(&[]);
        assert_eq!(changed.begins(), text);
    }

    #[test]
    fn leaving_takes_the_policy_away_unless_an_admin_has_changed_it() {
        let here = Here::new();
        here.begins();
        assert!(here.ends());
        here.begins();
        fs::write(here.policy(), "enabled = false\n").unwrap();
        assert!(!here.ends());
        // Whoever comes back finds it as it was left.
        assert_eq!(here.begins(), "enabled = false\n");
    }
}
