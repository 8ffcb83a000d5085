//! What a container's log says, as evidence: without the site's secrets.

use super::output;
use crate::host::{HostError, Look, plain_line};
use chatalot_protocol::site::Site;
use std::path::Path;

/// Shorter values would blot out ordinary text.
const SHORTEST: usize = 6;
/// What is in the name of every container and says nothing.
const PLAIN: &[&str] = &["chatalot", "postgres"];

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
    let mut found = values(&String::from_utf8_lossy(&env));
    let keys = folder.join("secrets");
    for name in host.list(&keys).await? {
        // A folder in there cannot be read as a file, and an example is no secret.
        if !name.ends_with(".example")
            && let Ok(Some(content)) = host.read(&keys.join(name)).await
        {
            found.push(String::from_utf8_lossy(&content).trim().to_owned());
        }
    }
    let domain = site.domain.as_str();
    let says_nothing =
        |value: &str| PLAIN.contains(&value) || value.strip_prefix("https://").unwrap_or(value) == domain;
    found.retain(|value| value.len() >= SHORTEST && !says_nothing(value));
    Ok(found)
}

/// The values of an environment file.
fn values(env: &str) -> Vec<String> {
    env.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(_, value)| value.trim().trim_matches(['"', '\'']).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeHost;
    use crate::runbook::distro::DISTROS;
    use chatalot_protocol::inputs::Inputs;

    #[tokio::test]
    async fn f59_a_containers_log_is_shown_without_the_sites_secrets() {
        let inputs = Inputs {
            domain: Some("chat.example.com".into()),
            admin_username: Some("alice".into()),
            ..Inputs::default()
        };
        let site = inputs.complete().unwrap().0;
        let host = FakeHost::fresh(&DISTROS[0]);
        host.world(|world| {
            let env = "# a=comment-stays\nDB_PASSWORD='correct-horse'\nDOMAIN=chat.example.com\nBIT=1\n";
            world.put("/srv/chatalot/.env", env);
            world.put("/srv/chatalot/secrets/totp_key", "battery-staple\n");
        });
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
}
