//! Files below `secrets/` that were there after the last good deployment and are gone. While chatalot runs nothing shows
//! it; at its next start it does.

use super::drift::Baseline;
use super::{Cx, StepError};
use chatalot_protocol::advice::Advice;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Where it is remembered what a run of the installer that was to make them anew has not made.
const NOT_MADE: &str = "install.not_made";

/// Has a step of its own, which writes it where the site has it.
const CREDENTIALS: &str = "registry_creds";

/// Their names.
pub type Names = BTreeSet<String>;

/// What such a run has left missing, of which baseline: after the next good deployment that one's own word counts.
#[derive(Serialize, Deserialize)]
struct NotMade {
    of: String,
    names: Names,
}

/// What is not there any more.
pub async fn gone(cx: &Cx<'_>) -> Result<Names, StepError> {
    let Some(then) = Baseline::of(cx.memory) else {
        return Ok(Names::new());
    };
    let mut gone = &then.secrets - &below(cx).await?;
    gone.remove(CREDENTIALS);
    Ok(gone)
}

/// What is below `secrets/` now.
pub async fn below(cx: &Cx<'_>) -> Result<Names, StepError> {
    let folder = Path::new(cx.site.folder.as_str()).join("secrets");
    Ok(cx.host.list(&folder).await?.into_iter().collect())
}

/// What the installer has been asked to make anew and has not made.
pub fn not_made(memory: &BTreeMap<String, String>) -> Names {
    let Some(then) = Baseline::of(memory) else {
        return Names::new();
    };
    let last: Option<NotMade> = memory
        .get(NOT_MADE)
        .and_then(|text| serde_json::from_str(text).ok());
    let mut names = then.not_made.clone();
    names.extend(
        last.filter(|last| last.of == then.salt)
            .into_iter()
            .flat_map(|last| last.names),
    );
    names
}

/// What a deployment that writes `.env` anew has the installer make.
pub async fn to_make(cx: &Cx<'_>) -> Result<Names, StepError> {
    if !cx.site.overwrite_env {
        return Ok(Names::new());
    }
    Ok(&gone(cx).await? - &not_made(cx.memory))
}

/// What is to be remembered after a run of the installer that was to make them.
pub async fn remember(cx: &Cx<'_>) -> Result<Option<(String, String)>, StepError> {
    let Some(then) = Baseline::of(cx.memory).filter(|_| cx.site.overwrite_env) else {
        return Ok(None);
    };
    let (of, names) = (then.salt, gone(cx).await?);
    let text = serde_json::to_string(&NotMade { of, names }).unwrap_or_default();
    Ok(Some((NOT_MADE.to_owned(), text)))
}

/// What a good deployment has left, with what it has left missing: that is told until it is there again, or until
/// somebody has asked in vain for it to be made anew and deploys with `--overwrite-env` once more, `anew`.
pub fn carried_over(cx: &Cx<'_>, mut now: Baseline, anew: bool) -> Baseline {
    let Some(then) = Baseline::of(cx.memory) else {
        return now;
    };
    let not_made = not_made(cx.memory);
    for name in &then.secrets - &now.secrets {
        if name == CREDENTIALS || (anew && then.not_made.contains(&name)) {
            continue;
        }
        if not_made.contains(&name) {
            now.not_made.insert(name.clone());
        }
        now.secrets.insert(name);
    }
    now
}

/// What to say of it where all is well otherwise.
pub async fn told(cx: &Cx<'_>) -> Result<Option<Advice>, StepError> {
    let gone = gone(cx).await?;
    let folder = cx.site.folder.as_str();
    let Some(fix) = fix(folder, gone.iter(), &not_made(cx.memory)) else {
        return Ok(None);
    };
    Ok(Some(Advice::new(
        "SECRET_FILE_MISSING",
        missing(folder, gone.iter()),
        "what was there after an earlier deployment, for a container that starts anew",
        fix,
    )))
}

/// How it is told.
pub fn missing<'a>(folder: &str, names: impl Iterator<Item = &'a String>) -> String {
    format!("missing below {folder}/secrets: {}", listed(names))
}

/// Their names, for people.
pub fn listed<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<String> = names.map(|name| crate::host::plain_line(name)).collect();
    names.join(", ")
}

/// A service and its container.
pub type User = (&'static str, &'static str);

const SERVER: User = ("chatalot", "chatalot-server");
const TURN: User = ("coturn", "chatalot-turn");
const UPDATER: User = ("chatalot-updater", "chatalot-updater");

/// What reads these files.
pub fn users<'a>(names: impl Iterator<Item = &'a String>) -> BTreeSet<User> {
    let of = |name: &String| -> &[User] {
        match name.as_str() {
            "turn_secret" => &[SERVER, TURN],
            "updater_token" => &[SERVER, UPDATER],
            "cosign.pub" => &[UPDATER],
            _ => &[SERVER],
        }
    };
    names.flat_map(of).copied().collect()
}

/// What helps against those that are missing; nothing where none is.
pub fn fix<'a>(folder: &str, missing: impl Iterator<Item = &'a String>, not_made: &Names) -> Option<String> {
    let missing: Vec<&String> = missing.collect();
    let first = missing.first()?;
    let containers: Vec<&str> = users(missing.iter().copied()).iter().map(|user| user.1).collect();
    let restore = format!(
        "restore it alone from the backup (`install -o 999 -m 600 BACKUP/{first} {folder}/secrets/{first}`): the other \
         files stay as they are; then `docker restart {}`",
        containers.join(" ")
    );
    let (asked, new): (Vec<&String>, Vec<&String>) =
        missing.into_iter().partition(|name| not_made.contains(*name));
    let mut parts = vec![restore];
    if !new.is_empty() {
        parts.push(
            "Without a backup deploy again with --overwrite-env: what is missing is made anew, which ends what was made \
             with the old one, and the rest is kept"
                .to_owned(),
        );
    }
    if !asked.is_empty() {
        parts.push(format!(
            "The installer was asked to make {} anew and has not; if the site is to do without, deploy with \
             --overwrite-env once more",
            listed(asked.into_iter())
        ));
    }
    Some(parts.join(". "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_reads_a_restored_file_is_started_anew() {
        let restart = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            fix("/srv/chatalot", names.iter(), &Names::new()).unwrap()
        };
        for (names, containers) in [
            (&["jwt_private.pem"][..], "`docker restart chatalot-server`"),
            (&["turn_secret"], "`docker restart chatalot-server chatalot-turn`"),
            (
                &["cosign.pub", "totp_key"],
                "`docker restart chatalot-server chatalot-updater`",
            ),
        ] {
            assert!(restart(names).contains(containers), "{names:?}");
        }
    }
}
