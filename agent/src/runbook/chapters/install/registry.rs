//! The private registry's credentials where the updater looks for them, and a registry that accepts them.
//!
//! An update that fails at the pull with 401 is the runbook's row: `secrets/registry_creds` is empty or wrong. The
//! file is written as the runbook says, and the updater restarted, which alone makes it look.

use super::super::super::{ActCx, Applied, Cx, Intent, Step, StepError};
use crate::host::{Command, Fetch, FetchError, Fetched, Look, Owner, plain_line};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::secret::Secret;
use chatalot_protocol::site::Site;
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the updater was last started with: the file's digest and the token's tag.
const TAKEN_UP: &str = "registry.taken_up";
const TOKEN: &str = "registry_token";
const UPDATER: &str = "chatalot-updater";
/// Docker Hub, as Docker's own login names it, and where it really answers.
const HUB: (&str, &str) = ("https://index.docker.io/v1/", "registry-1.docker.io");

/// The updater pulls with the site's credentials.
pub(super) struct Credentials;

#[async_trait]
impl Step for Credentials {
    fn id(&self) -> &'static str {
        "install.registry"
    }

    fn title(&self) -> &'static str {
        "Updates are pulled with the registry's credentials"
    }

    fn applies(&self, site: &Site) -> bool {
        site.registry_user.is_some() && site.updates
    }

    fn after(&self) -> Option<&'static str> {
        Some("install.run")
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        let folder = &intent.site.folder;
        vec![
            "ask the images' registry whether it accepts the credentials".to_owned(),
            format!("write them into {folder}/secrets/registry_creds and restart {UPDATER}"),
        ]
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let path = file(cx.site);
        let Some(content) = cx.host.read(&path).await? else {
            return Ok(Verdict::needed("no secrets/registry_creds"));
        };
        let Ok(kept) = serde_json::from_slice::<Kept>(&content) else {
            return Ok(Verdict::needed("secrets/registry_creds cannot be read"));
        };
        if cx.memory.get(TAKEN_UP) != Some(&mark(&content, cx)) {
            return Ok(Verdict::needed(
                "the updater was not started with these credentials yet",
            ));
        }
        if stranger(cx.host, cx.site).await?.is_some() {
            return Ok(Verdict::needed(
                "secrets/registry_creds belongs to another user than the updater's other secrets",
            ));
        }
        if !updater_runs(cx).await? {
            return Ok(Verdict::needed(format!("{UPDATER} does not run")));
        }
        let server = &kept.serveraddress;
        accepted(cx.host, server, &kept.username, &kept.password).await?;
        Ok(Verdict::satisfied(format!(
            "{} accepts {}, and the updater has the credentials",
            plain_line(server),
            plain_line(&kept.username)
        )))
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        let site = cx.look.site;
        let (Some(user), Some(token)) = (&site.registry_user, &cx.secrets.registry_token) else {
            return Err(StepError::last(Advice::new(
                "SECRET_MISSING",
                format!("no `{TOKEN}` with this deployment"),
                "the secret that belongs to the site",
                format!("deploy again with `{TOKEN}`"),
            )));
        };
        let server = server(&cx.look).await?;
        // Before anything is written: what the registry refuses must not replace what it may still accept.
        accepted(cx.host, &server, user.as_str(), token).await?;
        let path = file(site);
        let content = serde_json::json!({
            "username": user.as_str(),
            "password": token.expose(),
            "serveraddress": server,
        });
        let content = format!("{content}\n").into_bytes();
        if cx.host.read(&path).await?.is_some() {
            cx.host.rewrite(&path, &content).await?;
        } else {
            cx.host.write(&path, &content, 0o600).await?;
        }
        if let Some(like) = stranger(cx.host, site).await? {
            let reference = format!("--reference={}", like.display());
            let chown = Command::new("chown", &[&reference, "--"]).arg(path.display().to_string());
            told(cx, chown).await?;
        }
        let restart = Command::new("docker", &["compose", "restart", UPDATER]).within(site.folder.as_str());
        told(cx, restart).await?;
        Ok(Applied {
            remember: BTreeMap::from([(TAKEN_UP.to_owned(), mark(&content, &cx.look))]),
        })
    }
}

#[derive(Deserialize)]
struct Kept {
    username: String,
    password: Secret,
    serveraddress: String,
}

fn file(site: &Site) -> PathBuf {
    Path::new(site.folder.as_str()).join("secrets/registry_creds")
}

fn mark(content: &[u8], cx: &Cx<'_>) -> String {
    let tag = cx.secret_tags.get(TOKEN).map_or("", String::as_str);
    format!("{} {tag}", STANDARD.encode(digest(&SHA256, content)))
}

/// The updater's own token, if our file belongs to somebody else than it does.
async fn stranger(host: &dyn Look, site: &Site) -> Result<Option<PathBuf>, StepError> {
    let like = file(site).with_file_name("updater_token");
    let uid = |owner: Option<Owner>| owner.map(|owner| owner.uid);
    let (ours, theirs) = (uid(host.owner(&file(site)).await?), uid(host.owner(&like).await?));
    Ok((theirs.is_some() && ours != theirs).then_some(like))
}

async fn updater_runs(cx: &Cx<'_>) -> Result<bool, StepError> {
    let there = cx.host.containers(Some(cx.site.folder.as_str())).await?;
    Ok(there
        .iter()
        .any(|one| one.service == UPDATER && one.state == "running"))
}

/// The registry that the images came from, as the updater has to name it.
async fn server(cx: &Cx<'_>) -> Result<String, StepError> {
    let there = cx.host.containers(Some(cx.site.folder.as_str())).await?;
    let image = there.iter().find(|one| one.service == "chatalot");
    let host = image
        .and_then(|one| one.image.split_once('/'))
        .map(|(host, _)| host);
    let named = host.filter(|host| host.contains(['.', ':']) || *host == "localhost");
    Ok(named.unwrap_or(HUB.0).to_owned())
}

async fn told(cx: &ActCx<'_>, command: Command) -> Result<(), StepError> {
    let shown = format!("{} {}", command.program, command.args.join(" "));
    let output = cx.host.run(command).await?;
    if output.ok() {
        return Ok(());
    }
    Err(StepError::last(
        Advice::new(
            "UPDATER_NOT_RESTARTED",
            format!("`{shown}` ended with exit code {}", output.code),
            "an updater that is started with the registry's credentials",
            format!(
                "mend what the lines below name, then run `docker compose restart {UPDATER}` in {} or deploy again",
                cx.look.site.folder
            ),
        )
        .with_evidence(output.last_lines(6)),
    ))
}

/// Asks the registry itself, as Docker does: by name and password, or for a token by them.
async fn accepted(host: &dyn Look, server: &str, user: &str, password: &Secret) -> Result<(), StepError> {
    let base = address(server);
    let basic = format!(
        "Basic {}",
        STANDARD.encode(format!("{user}:{}", password.expose()))
    );
    let ask = |url: String| {
        let mut page = Fetch::page(url);
        page.headers.push(("authorization".to_owned(), basic.clone()));
        host.fetch(page)
    };
    let mut answer = ask(format!("{base}/v2/")).await;
    let challenge = answer.as_ref().ok().and_then(token_service);
    if let Some(service) = challenge {
        answer = ask(service).await;
    }
    match answer {
        Ok(page) if page.status == 200 => Ok(()),
        Ok(page) if matches!(page.status, 401 | 403) => {
            Err(StepError::last(denied(server, user, page.status)))
        }
        Ok(page) => Err(unreachable(server, &format!("status {}", page.status))),
        Err(error @ FetchError::Tls(_)) => {
            Err(StepError::last(unreachable_advice(server, &error.to_string())))
        }
        Err(error) => Err(unreachable(server, &error.to_string())),
    }
}

/// The registry's own address.
fn address(server: &str) -> String {
    if server == HUB.0 {
        return format!("https://{}", HUB.1);
    }
    let host = server
        .trim_start_matches("https://")
        .split('/')
        .next()
        .unwrap_or_default();
    // Docker asks for no certificate on the machine itself.
    let here = ["localhost", "127.0.0.1"].contains(&host.split(':').next().unwrap_or_default());
    format!("{}://{host}", if here { "http" } else { "https" })
}

/// Where a registry that refused sends us for a token, if it does, and over TLS.
fn token_service(page: &Fetched) -> Option<String> {
    let challenge = page.header("www-authenticate").filter(|_| page.status == 401)?;
    let rest = challenge
        .strip_prefix("Bearer ")
        .or_else(|| challenge.strip_prefix("bearer "))?;
    let value = |name: &str| {
        let (_, after) = rest.split_once(&format!("{name}=\""))?;
        after.split('"').next()
    };
    let realm = value("realm").filter(|realm| realm.starts_with("https://"))?;
    let service = value("service").unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:/".contains(c);
    service
        .chars()
        .all(plain)
        .then(|| format!("{realm}?service={service}"))
}

fn denied(server: &str, user: &str, status: u16) -> Advice {
    Advice::new(
        "REGISTRY_DENIED",
        format!(
            "{} refuses {} with status {status}",
            plain_line(server),
            plain_line(user)
        ),
        "a registry that accepts the site's credentials",
        "make a read-only token for that user at the registry, and deploy again with registry_user and registry_token",
    )
}

fn unreachable_advice(server: &str, saw: &str) -> Advice {
    Advice::new(
        "REGISTRY_UNREACHABLE",
        format!("{}: {saw}", plain_line(server)),
        "an answer of the images' registry",
        "see that this host reaches the registry (name resolution, firewall, proxy, certificate), then deploy again",
    )
}

fn unreachable(server: &str, saw: &str) -> StepError {
    StepError::passing(unreachable_advice(server, saw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_asked_where_docker_would_ask_it() {
        assert_eq!(address(HUB.0), "https://registry-1.docker.io");
        assert_eq!(address("registry.example.net"), "https://registry.example.net");
        assert_eq!(address("127.0.0.1:5000"), "http://127.0.0.1:5000");
    }

    #[test]
    fn a_challenge_leads_to_a_token_service_only_over_tls() {
        let refused = |challenge: &str| Fetched {
            status: 401,
            headers: vec![("www-authenticate".into(), challenge.into())],
            ..Fetched::default()
        };
        let bearer = r#"Bearer realm="https://a.example/token",service="registry",scope="x""#;
        assert_eq!(
            token_service(&refused(bearer)).unwrap(),
            "https://a.example/token?service=registry"
        );
        assert_eq!(token_service(&refused(&bearer.replace("https", "http"))), None);
        assert_eq!(
            token_service(&refused(&bearer.replace("\"registry\"", "\"a&b=c\""))),
            None
        );
        assert_eq!(token_service(&refused("Basic realm=\"x\"")), None);
    }
}
