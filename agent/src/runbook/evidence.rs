//! What a container's log says, as evidence: without the site's secrets.

use super::chapters::bare;
use super::output;
use crate::host::{HostError, Look, plain_line};
use chatalot_protocol::site::Site;
use serde_json::Value;
use std::path::Path;

/// Shorter values would blot out ordinary text.
const SHORTEST: usize = 6;
/// As short as a secret may be that a site is given: where the name says that it is one.
const SHORTEST_SECRET: usize = 4;
/// What such a name has in it.
const SECRETS: &[&str] = &["PASSWORD", "SECRET", "TOKEN", "KEY"];
/// What is in the name of every container, or switches something, and says nothing.
const PLAIN: &[&str] = &["chatalot", "postgres", "true", "false", "none", "null"];

/// The last lines of a log that say something, without what is in the site's `.env` and below its `secrets/`.
pub(super) async fn masked(
    host: &dyn Look,
    site: &Site,
    log: &[String],
    most: usize,
) -> Result<Vec<String>, HostError> {
    let secrets = secrets(host, site).await?;
    let lines: Vec<String> = output::mask(secrets.iter().map(String::as_str), &log.join("\n"))
        .lines()
        .map(plain_line)
        .filter(|line| !line.is_empty())
        .collect();
    Ok(lines[lines.len().saturating_sub(most)..].to_vec())
}

async fn secrets(host: &dyn Look, site: &Site) -> Result<Vec<String>, HostError> {
    let folder = Path::new(site.folder.as_str());
    let env = host.read(&folder.join(".env")).await?.unwrap_or_default();
    let mut found = Found::default();
    found.add_env(&String::from_utf8_lossy(&env));
    let keys = folder.join("secrets");
    for name in host.list(&keys).await? {
        // A folder in there cannot be read as a file, and an example is no secret.
        if !name.ends_with(".example")
            && let Ok(Some(content)) = host.read(&keys.join(&name)).await
        {
            found.add(&name, String::from_utf8_lossy(&content).trim());
            if let Ok(content) = serde_json::from_slice(&content) {
                found.add_json(&name, &content);
            }
        }
    }
    let Found(mut found) = found;
    let domain = site.domain.as_str();
    let says_nothing =
        |value: &str| PLAIN.contains(&value) || value.strip_prefix("https://").unwrap_or(value) == domain;
    found.retain(|value| !says_nothing(value));
    Ok(found)
}

/// Values that are not to be shown.
#[derive(Default)]
struct Found(Vec<String>);

impl Found {
    /// One, if it is long enough for what it is called.
    fn add(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_uppercase();
        let is_secret = SECRETS.iter().any(|word| name.contains(word));
        let shortest = if is_secret { SHORTEST_SECRET } else { SHORTEST };
        if value.chars().count() >= shortest {
            self.0.push(value.to_owned());
        }
    }

    /// Those of an environment file, also without what is written behind them.
    fn add_env(&mut self, env: &str) {
        let lines = env.lines().filter(|line| !line.trim_start().starts_with('#'));
        for (name, value) in lines.filter_map(|line| line.split_once('=')) {
            self.add(name, bare(value));
            if let Some((value, _)) = value.split_once(" #") {
                self.add(name, bare(value));
            }
        }
    }

    /// Those within a file, such as a registry's token beside the user that it is of.
    fn add_json(&mut self, name: &str, content: &Value) {
        match content {
            Value::String(text) => self.add(name, text),
            Value::Array(all) => all.iter().for_each(|one| self.add_json(name, one)),
            Value::Object(all) => all.iter().for_each(|(name, one)| self.add_json(name, one)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeHost;
    use crate::runbook::distro::DISTROS;
    use chatalot_protocol::inputs::Inputs;

    /// A site, on a host with this `.env` and this file below `secrets/`.
    fn site(env: &str, name: &str, content: &str) -> (Site, FakeHost) {
        let inputs = Inputs {
            domain: Some("chat.example.com".into()),
            admin_username: Some("alice".into()),
            ..Inputs::default()
        };
        let site = inputs.complete().unwrap().0;
        let host = FakeHost::fresh(&DISTROS[0]);
        host.world(|world| {
            world.put("/srv/chatalot/.env", env);
            world.put(format!("/srv/chatalot/secrets/{name}"), content);
        });
        (site, host)
    }

    async fn shown(env: &str, name: &str, content: &str, line: &str) -> String {
        let (site, host) = site(env, name, content);
        let log = [line.to_owned()];
        masked(&host, &site, &log, 9).await.unwrap().concat()
    }

    #[tokio::test]
    async fn f59_a_containers_log_is_shown_without_the_sites_secrets() {
        let env = "# a=comment-stays\nDB_PASSWORD='correct-horse'\nDOMAIN=chat.example.com\nBIT=1\n";
        let (site, host) = site(env, "totp_key", "battery-staple\n");
        let log = [
            "an early line".to_owned(),
            "\u{1b}[31mcannot reach postgres://chatalot:correct-horse@db/1\u{1b}[0m".to_owned(),
            String::new(),
            "comment-stays: key battery-staple of chat.example.com".to_owned(),
        ];
        assert_eq!(
            masked(&host, &site, &log, 2).await.unwrap(),
            [
                "cannot reach postgres://chatalot:[secret]@db/1",
                "comment-stays: key [secret] of chat.example.com"
            ]
        );
    }

    #[tokio::test]
    async fn f59_what_a_secret_file_says_in_json_is_masked_by_itself() {
        let creds =
            r#"{"auths": [{"username": "al", "password": "t0k3n"}, {"note": "of/old", "port": 5000}]}"#;
        let line = "al was refused with t0k3n and of/old at port 5000, password";
        assert_eq!(
            shown("", "registry_creds", creds, line).await,
            "al was refused with [secret] and [secret] at port 5000, password"
        );
    }

    #[tokio::test]
    async fn f59_a_secret_by_its_name_is_masked_however_short_and_a_switch_is_not() {
        let env =
            "TURN_PASSWORD=ab12\nMODE=open\nMAIL_KEY='k-9x' # of mine\nAPI_TOKEN=abc\nPASSWORD_LOGIN=true\n";
        let line = "true: ab12 and k-9x and t-42 are open, abc is no secret";
        assert_eq!(
            shown(env, "updater_token", "t-42\n", line).await,
            "true: [secret] and [secret] and [secret] are open, abc is no secret"
        );
    }
}
