//! What an installer that writes `.env` anew must not lose: a copy first, and what belongs to existing data put back.

use crate::host::Look;
use crate::runbook::{ActCx, Cx, StepError};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::Site;
use std::path::{Path, PathBuf};

/// Where the copies are, beside what they are copies of.
const FOLDER: &str = "copies";
const ENV: &str = ".env";
/// A variable with any of these in its name belongs to data that is there already, as the database's password does.
const BELONGS: &[&str] = &["PASSWORD", "SECRET", "KEY"];
/// These are inputs, and change when the inputs do.
const INPUTS: &[&str] = &["OIDC_", "CLOUDFLARE", "REGISTRY"];

/// What was there before.
pub(super) struct Copies {
    folder: PathBuf,
    files: Vec<(PathBuf, Vec<u8>)>,
}

/// Whether a run that was cut off has left something to be put back.
pub(super) async fn are_pending(cx: &Cx<'_>) -> Result<bool, StepError> {
    Ok(cx.host.read(&pending(cx.site)).await?.is_some())
}

/// Copies `.env` and what is below `secrets/` into a folder of its own that only root can read. After a run that was
/// cut off its copy is the one that counts, for what is there now may be new.
pub(super) async fn take(cx: &ActCx<'_>) -> Result<Copies, StepError> {
    let site = cx.look.site;
    let root = Path::new(site.folder.as_str());
    if let Some(stamp) = cx.host.read(&pending(site)).await? {
        let folder = root.join(FOLDER).join(String::from_utf8_lossy(&stamp).trim());
        return load(cx.host, &folder).await;
    }
    let stamp = cx.host.now_ms().to_string();
    let folder = root.join(FOLDER).join(&stamp);
    let now = load(cx.host, root).await?;
    cx.host.make_folder(&root.join(FOLDER), 0o700).await?;
    for (name, content) in &now.files {
        cx.host.write(&folder.join(name), content, 0o600).await?;
    }
    // From here on the copy is whole.
    cx.host.write(&pending(site), stamp.as_bytes(), 0o600).await?;
    cx.host
        .say(&format!("Copied .env and secrets/ to {}", folder.display()))
        .await;
    Ok(Copies { folder, ..now })
}

fn pending(site: &Site) -> PathBuf {
    Path::new(site.folder.as_str()).join(FOLDER).join("pending")
}

/// What is in a folder with an `.env` and `secrets/`, by the names within it.
async fn load(host: &dyn Look, root: &Path) -> Result<Copies, StepError> {
    let mut names = vec![PathBuf::from(ENV)];
    for name in host.list(&root.join("secrets")).await? {
        if !name.ends_with(".example") {
            names.push(Path::new("secrets").join(name));
        }
    }
    let mut files = Vec::new();
    for name in names {
        if let Some(content) = host.read(&root.join(&name)).await? {
            files.push((name, content));
        }
    }
    Ok(Copies {
        folder: root.to_owned(),
        files,
    })
}

impl Copies {
    /// Puts back what the installer has made anew although data depends on it; whether there was anything.
    pub(super) async fn put_back(self, cx: &ActCx<'_>) -> Result<bool, StepError> {
        let root = Path::new(cx.look.site.folder.as_str());
        let mut restored = Vec::new();
        for (name, old) in &self.files {
            let path = root.join(name);
            let new = cx.host.read(&path).await?;
            if name == Path::new(ENV) {
                let now = new.as_ref().unwrap_or(old);
                let (text, names) = merged(&String::from_utf8_lossy(old), &String::from_utf8_lossy(now));
                if new.is_none() || !names.is_empty() {
                    cx.host.rewrite(&path, text.as_bytes()).await?;
                    restored.push(format!("{ENV} {}", names.join(" ")));
                }
            } else if !name.ends_with("registry_creds") && new.as_ref() != Some(old) {
                cx.host.rewrite(&path, old).await?;
                restored.push(name.display().to_string());
            }
        }
        cx.host.remove(&pending(cx.look.site)).await?;
        if restored.is_empty() {
            return Ok(false);
        }
        cx.host
            .say(&format!(
                "Put back from {}, for existing data depends on it: {}",
                self.folder.display(),
                restored.join(", ")
            ))
            .await;
        Ok(true)
    }
}

/// The new file with the old values of what belongs to existing data, and their names.
fn merged(old: &str, new: &str) -> (String, Vec<String>) {
    let belongs = |name: &str| {
        BELONGS.iter().any(|word| name.contains(word)) && !INPUTS.iter().any(|word| name.contains(word))
    };
    let before = |name: &str| {
        let lines = old.lines().filter(|line| !line.trim_start().starts_with('#'));
        let mut pairs = lines.filter_map(|line| line.split_once('='));
        pairs
            .find(|(each, value)| each.trim() == name && !value.trim().is_empty())
            .map(|(_, value)| value)
    };
    let mut names = Vec::new();
    let lines: Vec<String> = new
        .lines()
        .map(|line| {
            let name = line.split_once('=').map_or("", |(name, _)| name.trim());
            match before(name).filter(|_| belongs(name)) {
                Some(value) if line != format!("{name}={value}") => {
                    names.push(name.to_owned());
                    format!("{name}={value}")
                }
                _ => line.to_owned(),
            }
        })
        .collect();
    (lines.join("\n") + "\n", names)
}

/// What to do where the containers cannot be started with what was put back.
pub(super) fn not_started(site: &Site, evidence: Vec<String>) -> StepError {
    StepError::last(
        Advice::new(
            "ENV_NOT_TAKEN_UP",
            format!(
                "`docker compose up -d` failed in {} after secrets were put back",
                site.folder
            ),
            "containers that run with the secrets that belong to their data",
            format!(
                "mend what the lines below name, then run `docker compose up -d` in {}",
                site.folder
            ),
        )
        .with_evidence(evidence),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_existing_data_keeps_its_value_and_inputs_do_not() {
        let old = "# DB_PASSWORD=comment\nDB_PASSWORD=old\nOIDC_CLIENT_SECRET=old\nTOTP_ENCRYPTION_KEY=\nREGISTRATION_MODE=open\n";
        let new =
            "DB_PASSWORD=new\nOIDC_CLIENT_SECRET=new\nTOTP_ENCRYPTION_KEY=made\nREGISTRATION_MODE=closed\n";
        let (text, names) = merged(old, new);
        assert_eq!(names, ["DB_PASSWORD"]);
        assert_eq!(
            text,
            "DB_PASSWORD=old\nOIDC_CLIENT_SECRET=new\nTOTP_ENCRYPTION_KEY=made\nREGISTRATION_MODE=closed\n"
        );
        assert!(merged(old, old).1.is_empty());
    }
}
