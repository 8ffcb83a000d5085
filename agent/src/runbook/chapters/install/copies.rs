//! What an installer that writes `.env` anew must not lose: a copy first, and what belongs to existing data put back.

use crate::host::{Command, Look};
use crate::runbook::{ActCx, Cx, StepError};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::Site;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the copies are, beside what they are copies of.
pub(in crate::runbook::chapters) const FOLDER: &str = "copies";
const PENDING: &str = "pending";
const ENV: &str = ".env";
/// A variable with any of these in its name belongs to data that is there already, as the database's password does.
const BELONGS: &[&str] = &["PASSWORD", "SECRET", "KEY", "DATABASE_URL"];
/// These are inputs, and change when the inputs do.
const INPUTS: &[&str] = &["OIDC_", "CLOUDFLARE", "REGISTRY", "PASSWORD_LOGIN"];
/// These too; where the new file lacks one, it was switched off.
const PLAIN_INPUTS: &[&str] = &[
    "ADMIN_USERNAME",
    "COMPOSE_PROFILES",
    "DOMAIN",
    "PUBLIC_URL",
    "REGISTRATION_MODE",
    "TURN_EXTERNAL_IP",
];

/// A shorter value may stand for something else in another line.
const SHORTEST: usize = 8;

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
    Path::new(site.folder.as_str()).join(FOLDER).join(PENDING)
}

/// What deployments have put into the folder of copies: those by their stamps, and which of them is pending.
pub(in crate::runbook::chapters) async fn ours(
    host: &dyn Look,
    site: &Site,
) -> Result<Vec<String>, StepError> {
    let mut names = host.list(&Path::new(site.folder.as_str()).join(FOLDER)).await?;
    names.retain(|name| name == PENDING || name.bytes().all(|c| c.is_ascii_digit()));
    Ok(names)
}

/// Notes that nothing is to be put back any more.
pub(super) async fn settled(cx: &ActCx<'_>) -> Result<(), StepError> {
    Ok(cx.host.remove(&pending(cx.look.site)).await?)
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
    /// Whether a file is the public half of a key pair whose private one was missing and is a new one now: the old half
    /// would be of no use to it.
    async fn is_of_a_new_pair(&self, cx: &ActCx<'_>, name: &Path) -> Result<bool, StepError> {
        let Some(private) = private_half(name).filter(|half| self.files.iter().all(|(name, _)| name != half))
        else {
            return Ok(false);
        };
        let root = Path::new(cx.look.site.folder.as_str());
        Ok(cx.host.read(&root.join(private)).await?.is_some())
    }

    /// Takes the public half of a pair away whose private one is gone: an installer that keeps what is there would leave it
    /// beside a new one. Where it makes none it is put back.
    pub(super) async fn clear_way(&self, cx: &ActCx<'_>) -> Result<(), StepError> {
        let root = Path::new(cx.look.site.folder.as_str());
        for (name, _) in &self.files {
            let Some(private) = private_half(name) else {
                continue;
            };
            if cx.host.read(&root.join(private)).await?.is_none() {
                cx.host.remove(&root.join(name)).await?;
            }
        }
        Ok(())
    }

    /// Puts back what has to be, and has compose start what it changes for.
    pub(super) async fn put_back_and_start(&self, cx: &ActCx<'_>) -> Result<(), StepError> {
        const UP: [&str; 3] = ["compose", "up", "-d"];
        if !self.put_back(cx).await? {
            return Ok(());
        }
        let site = cx.look.site;
        let up = Command::new("docker", &UP).within(site.folder.as_str());
        let up = cx.host.run(up.deadline(Duration::from_mins(5))).await?;
        if up.ok() {
            return Ok(());
        }
        let why = "secrets were put back";
        Err(not_started(site, &UP, why, up.last_lines(8)))
    }

    /// Puts back what the installer has made anew although data depends on it; whether there was anything.
    async fn put_back(&self, cx: &ActCx<'_>) -> Result<bool, StepError> {
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
            } else if !name.ends_with("registry_creds")
                && new.as_ref() != Some(old)
                && !(new.is_some() && self.is_of_a_new_pair(cx, name).await?)
            {
                cx.host.rewrite(&path, old).await?;
                restored.push(name.display().to_string());
            }
        }
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

/// The private half of a key pair, by the name of its public one.
fn private_half(name: &Path) -> Option<PathBuf> {
    let name = name.to_str().filter(|name| name.contains("public"))?;
    Some(name.replace("public", "private").into())
}

/// The variables of a file that have a value.
fn set(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .filter(|(_, value)| !value.trim().is_empty())
        .map(|(name, value)| (name.trim(), value))
}

/// The new file with the old values of what belongs to existing data, wherever they stand, and with what somebody had
/// added; the names of what is not as the installer has made it.
fn merged(old: &str, new: &str) -> (String, Vec<String>) {
    let mut lines: Vec<String> = new.lines().map(str::to_owned).collect();
    let mut names = Vec::new();
    let mut restored = Vec::new();
    for line in &mut lines {
        let (name, made) = line.split_once('=').unwrap_or_default();
        let before = last(old, name.trim());
        if let Some((name, value)) = before.filter(|(name, value)| belongs(name) && *value != made) {
            restored.push((bare(made).to_owned(), bare(value)));
            names.push(name.to_owned());
            *line = format!("{name}={value}");
        }
    }
    // What was made of a secret that is the old one again is made of that one.
    for (made, value) in restored
        .iter()
        .filter(|(made, value)| is_fresh(made, value, old, new))
    {
        for line in &mut lines {
            *line = line.replace(made, value);
        }
    }
    let has = |name: &str| {
        let mut all = new.lines().filter_map(|line| line.split_once('='));
        all.any(|(each, _)| each.trim() == name)
    };
    // How a TURN server that is gone was reached.
    let turn = value_of(old, "TURN_EXTERNAL_IP").filter(|_| value_of(new, "TURN_EXTERNAL_IP").is_none());
    let is_of_it = |name: &str, value: &str| {
        turn.is_some_and(|ip| name == "ICE_SERVERS" || (name.contains("TURN") && bare(value) == ip))
    };
    for (name, value) in set(old).filter(|(name, value)| !is_of_it(name, value)) {
        if !has(name) && !is_input(name) && !PLAIN_INPUTS.contains(&name) {
            names.push(name.to_owned());
            lines.push(format!("{name}={value}"));
        }
    }
    (lines.join("\n") + "\n", names)
}

/// Whether a value is a secret that the installer has just made, and nothing else where it stands: one that the old file
/// knows is none, and under several names it is one only if all of them had the same before.
fn is_fresh(made: &str, value: &str, old: &str, new: &str) -> bool {
    let had = |name: &str| match value_of(old, name) {
        Some(before) => before == value,
        None => belongs(name),
    };
    let mut same = set(new).filter(|(_, each)| bare(each) == made);
    made.len() >= SHORTEST && !old.contains(made) && same.all(|(name, _)| had(name))
}

fn belongs(name: &str) -> bool {
    BELONGS.iter().any(|word| name.contains(word)) && !is_input(name)
}

fn is_input(name: &str) -> bool {
    INPUTS.iter().any(|word| name.contains(word))
}

/// A variable with its value: of two lines compose goes by the last.
fn last<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    set(text).filter(|(each, _)| *each == name).last()
}

fn value_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    last(text, name).map(|(_, value)| bare(value))
}

/// A value of `.env` without the quotes that compose takes off it.
pub(in crate::runbook) fn bare(value: &str) -> &str {
    value.trim().trim_matches(['"', '\''])
}

/// What to do where the containers cannot be started with what is other than it was.
pub(super) fn not_started(site: &Site, args: &[&str], why: &str, evidence: Vec<String>) -> StepError {
    let command = format!("docker {}", args.join(" "));
    StepError::last(
        Advice::new(
            "ENV_NOT_TAKEN_UP",
            format!("`{command}` failed in {} after {why}", site.folder),
            "containers that run with the secrets that belong to their data",
            format!(
                "mend what the lines below name, then run `{command}` in {}",
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

    #[test]
    fn what_is_made_of_a_secret_goes_with_it() {
        let old = "TURN_PASSWORD=first\nTURN_PASSWORD='old-secret'\n";
        let new = "TURN_PASSWORD=new-secret\nICE_SERVERS=[{\"credential\":\"new-secret\"}]\n";
        let (text, names) = merged(old, new);
        assert_eq!(
            text,
            "TURN_PASSWORD='old-secret'\nICE_SERVERS=[{\"credential\":\"old-secret\"}]\n"
        );
        assert_eq!(names, ["TURN_PASSWORD"]);
        // Of a TURN server that is gone nothing stays; one of somebody else's does.
        let gone = "TURN_EXTERNAL_IP=203.0.113.9\nICE_SERVERS=[]\n";
        assert_eq!(merged(gone, "A=b\n"), ("A=b\n".into(), Vec::new()));
        assert_eq!(merged("ICE_SERVERS=[]\n", "A=b\n").0, "A=b\nICE_SERVERS=[]\n");
    }

    #[test]
    fn a_value_that_is_no_secret_made_just_now_is_put_back_in_its_own_line_alone() {
        // One that the old file knows, one that is put under names of all kinds, one that stands in for several secrets.
        for (old, new, whole) in [
            (
                "X_PASSWORD_RESET=enabled\nMODES=guests:disabled\n",
                "X_PASSWORD_RESET=disabled\nMODES=guests:disabled\n",
                "X_PASSWORD_RESET=enabled\nMODES=guests:disabled\n",
            ),
            (
                "X_PASSWORD_RESET=enabled\n",
                "X_PASSWORD_RESET=disabled\nTELEMETRY=disabled\n",
                "X_PASSWORD_RESET=enabled\nTELEMETRY=disabled\n",
            ),
            (
                "DB_PASSWORD=first-one\nMAIL_PASSWORD=second-one\n",
                "DB_PASSWORD=change_me_now\nMAIL_PASSWORD=change_me_now\nHINT=not change_me_now\n",
                "DB_PASSWORD=first-one\nMAIL_PASSWORD=second-one\nHINT=not change_me_now\n",
            ),
        ] {
            assert_eq!(merged(old, new).0, whole);
        }
        // Another name for one secret is that secret.
        let new = "DB_PASSWORD=made-just-now\nPOSTGRES_PASSWORD=made-just-now\n";
        let whole = "DB_PASSWORD=first-one\nPOSTGRES_PASSWORD=first-one\n";
        assert_eq!(merged("DB_PASSWORD=first-one\n", new).0, whole);
    }

    #[test]
    fn of_a_turn_server_that_is_gone_no_address_comes_back() {
        let old = "TURN_EXTERNAL_IP=203.0.113.9\nTURN_RELAY_IP='203.0.113.9'\nTURN_REALM=mine\nMY_ADDRESS=203.0.113.9\n";
        assert_eq!(
            merged(old, "A=b\n").0,
            "A=b\nTURN_REALM=mine\nMY_ADDRESS=203.0.113.9\n"
        );
        let still = "TURN_EXTERNAL_IP=203.0.113.42\n";
        assert!(merged(old, still).0.contains("TURN_RELAY_IP='203.0.113.9'"));
    }

    #[test]
    fn what_somebody_had_added_is_not_lost_and_what_was_switched_off_does_not_come_back() {
        let old = "DB_PASSWORD=p\nSMTP_PASSWORD=mine\nLOG_LEVEL=debug\n#SMTP_HOST=x\nEMPTY=\n\
            DATABASE_URL=postgres://chatalot:p@db/chatalot\nTURN_EXTERNAL_IP=203.0.113.9\nOIDC_ISSUER=https://a/\n";
        let new = "DB_PASSWORD=q\nDATABASE_URL=postgres://chatalot:q@db/chatalot\n";
        let (text, names) = merged(old, new);
        assert_eq!(
            text,
            "DB_PASSWORD=p\nDATABASE_URL=postgres://chatalot:p@db/chatalot\nSMTP_PASSWORD=mine\nLOG_LEVEL=debug\n"
        );
        assert_eq!(
            names,
            ["DB_PASSWORD", "DATABASE_URL", "SMTP_PASSWORD", "LOG_LEVEL"]
        );
        assert_eq!(merged(&text, &text), (text.clone(), Vec::new()));
    }
}
