//! Traefik, where one runs already: labels and its network in `docker-compose.override.yml`, merged into what is there.
//! Nothing of Traefik itself is changed.

mod inspect;
pub mod merge;
mod ours;
pub mod proof;
mod refusals;
mod yaml;

use super::{Part, Proxy, Refusal, Standing, Written, digest};
use crate::host::{Command, Container, Engine, HostError, Look, Output, PortOwner};
use crate::runbook::distro::Distro;
use crate::runbook::route::{self, LetIn};
use crate::runbook::{ActCx, Cx, StepError, made};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::{ProxyChoice, Site};
use inspect::{Settings, is_traefik};
use merge::Wanted;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a candidate is judged as, before the override is touched.
const CANDIDATE: &str = "docker-compose.chatalot-agent.yml";
const BASE: &str = "docker-compose.yml";

/// The row.
pub struct Traefik;

#[async_trait]
impl Proxy for Traefik {
    fn name(&self) -> &'static str {
        "Traefik"
    }

    fn choice(&self) -> ProxyChoice {
        ProxyChoice::Traefik
    }

    fn parts(&self, _distro: &Distro) -> Vec<Part> {
        Vec::new()
    }

    fn unit(&self) -> Option<&'static str> {
        None
    }

    fn journal(&self) -> &'static str {
        "the log of the Traefik container (`docker ps` shows its name, `docker logs --tail 50` its log)"
    }

    async fn owns(&self, cx: &Cx<'_>, owner: &PortOwner) -> Result<bool, StepError> {
        let Some(name) = &owner.container else {
            return Ok(false);
        };
        Ok(running(cx.host)
            .await?
            .is_some_and(|container| container.name == *name))
    }

    fn files(&self, site: &Site) -> Vec<PathBuf> {
        vec![override_file(site)]
    }

    async fn detect(&self, cx: &Cx<'_>) -> Result<Standing, StepError> {
        Ok(match known(cx).await? {
            Ok(_) if self.keeps(cx).await? => Standing::Ours,
            Ok(_) => Standing::Beside {
                serves: "what it finds by its labels".to_owned(),
            },
            Err(advice) => Standing::Unfit(advice),
        })
    }

    fn plan(&self, site: &Site) -> Vec<String> {
        vec![
            format!(
                "merge labels for {} and Traefik's network into {}; what else is in it stays as it is",
                site.domain,
                override_file(site).display()
            ),
            "have `docker compose config` judge it, then run `docker compose up -d chatalot`".to_owned(),
        ]
    }

    async fn write(&self, cx: &ActCx<'_>) -> Result<Written, StepError> {
        let site = cx.look.site;
        let settings = known(&cx.look).await?.map_err(StepError::Final)?;
        let path = override_file(site);
        let there = cx.host.read(&path).await?;
        let text = String::from_utf8_lossy(there.as_deref().unwrap_or_default()).into_owned();
        let seen = seen_by_compose(cx.host, site, &[]).await?;
        let wanted = wanted(&cx.look, &settings, proof::networks(&seen));
        let merged = merge::merge(&text, &wanted).map_err(|why| unreadable(site, &wanted, &why))?;
        cx.host.write(&candidate(site), merged.as_bytes(), 0o644).await?;
        let after = seen_by_compose(cx.host, site, &proposed()).await;
        cx.host.remove(&candidate(site)).await?;
        proof::same_but(&seen, &after?, &wanted).map_err(|why| unreadable(site, &wanted, &why))?;
        let before = vec![(path.clone(), there), made::file(cx.host).await?];
        ours::note(cx, &text, &merged).await?;
        cx.host.rewrite(&path, merged.as_bytes()).await?;
        // A limit that has gone, now or in a run that was cut off.
        let gone = &ours::noted(cx.host).await? - &merge::parts(&merged);
        ours::forget(cx, &gone).await?;
        Ok(Written {
            before,
            digest: digest(merged.as_bytes()),
        })
    }

    async fn validate(&self, cx: &ActCx<'_>) -> Result<(), StepError> {
        let site = cx.look.site;
        let settings = known(&cx.look).await?.map_err(StepError::Final)?;
        let seen = seen_by_compose(cx.host, site, &[]).await?;
        let wanted = wanted(&cx.look, &settings, proof::networks(&seen));
        proof::has(&seen, &wanted).map_err(|why| unreadable(site, &wanted, &why))
    }

    async fn reload(&self, cx: &ActCx<'_>) -> Result<(), StepError> {
        up(cx).await
    }

    async fn keeps(&self, cx: &Cx<'_>) -> Result<bool, StepError> {
        let Ok(settings) = known(cx).await? else {
            return Ok(false);
        };
        let labels = labels(cx.site, &settings, route::limit(cx).as_ref());
        let ours = cx.host.containers(Some(cx.site.folder.as_str())).await?;
        let served = ours.iter().filter(|one| one.service == "chatalot").any(|one| {
            let joined = settings.network.iter().all(|name| one.networks.contains(name));
            let wanted = |key: &String| labels.iter().any(|(ours, _)| ours == key);
            let stale = one
                .labels
                .keys()
                .any(|key| key.starts_with(merge::LIMIT) && !wanted(key));
            joined
                && !stale
                && labels
                    .iter()
                    .all(|(key, value)| one.labels.get(key) == Some(value))
        });
        Ok(served)
    }

    fn goes_with_container(&self) -> bool {
        true
    }

    fn plan_out(&self, site: &Site) -> Vec<String> {
        let file = override_file(site);
        vec![
            format!(
                "take our labels and network out of {}; what else is in it stays as it is",
                file.display()
            ),
            "run `docker stop` for chatalot's server, which Traefik sees by its labels until then".to_owned(),
        ]
    }

    async fn left(&self, cx: &Cx<'_>) -> Result<Option<String>, StepError> {
        let noted = ours::noted(cx.host).await?;
        if noted.is_empty() {
            return Ok(None);
        }
        let path = override_file(cx.site);
        let text = cx.host.read(&path).await?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        if merge::without(&text, &noted) != text {
            return Ok(Some(format!("our labels are in {}", path.display())));
        }
        let seen = labelled(cx).await?;
        let runs = seen.map(|name| format!("`{name}` runs with our labels"));
        Ok(runs.or_else(|| Some("labels are noted as ours".to_owned())))
    }

    async fn refusals(&self, cx: &Cx<'_>) -> Result<Vec<Refusal>, StepError> {
        refusals::within_an_hour(cx).await
    }

    async fn take_out(&self, cx: &ActCx<'_>) -> Result<(), StepError> {
        let noted = ours::noted(cx.host).await?;
        if noted.is_empty() {
            return Ok(());
        }
        let path = override_file(cx.look.site);
        let text = cx.host.read(&path).await?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let rest = merge::without(&text, &noted);
        if !text.is_empty() && rest.is_empty() {
            cx.host.remove(&path).await?;
        } else if rest != text {
            cx.host.rewrite(&path, rest.as_bytes()).await?;
        }
        // To start it anew without them, compose would need files that are valid and images that are there.
        if let Some(name) = labelled(&cx.look).await? {
            let output = cx
                .host
                .run(Command::new("docker", &["stop", "--", &name]))
                .await?;
            if !output.ok() {
                return Err(not_stopped(&name, &output));
            }
        }
        Ok(ours::forget(cx, &noted).await?)
    }
}

/// Starts chatalot's server with what the override now says.
pub(in crate::runbook) async fn up(cx: &ActCx<'_>) -> Result<(), StepError> {
    let up = Command::new("docker", &["compose", "up", "-d", "chatalot"])
        .within(cx.look.site.folder.as_str())
        .deadline(Duration::from_mins(5));
    let said = match cx.host.run(up).await {
        Ok(output) if output.ok() => return Ok(()),
        Ok(output) => output.last_lines(8),
        Err(HostError::Deadline { seconds, .. }) => vec![format!("no end within {seconds} s")],
        Err(other) => return Err(other.into()),
    };
    Err(StepError::last(
        Advice::new(
            "COMPOSE_UP_FAILED",
            "`docker compose up -d chatalot` failed with our part of the override",
            "a chatalot that runs with it",
            "mend what the lines below name, then deploy again",
        )
        .with_evidence(said),
    ))
}

/// The file that compose merges into its own, and people write.
pub(in crate::runbook) fn override_file(site: &Site) -> PathBuf {
    Path::new(site.folder.as_str()).join("docker-compose.override.yml")
}

/// Where a merged override is judged before it takes the place of the one that is there.
pub(in crate::runbook) fn candidate(site: &Site) -> PathBuf {
    Path::new(site.folder.as_str()).join(CANDIDATE)
}

/// What compose is told to read to judge it.
pub(in crate::runbook) const fn proposed() -> [&'static str; 4] {
    ["-f", BASE, "-f", CANDIDATE]
}

/// The Traefik that runs, if one does.
async fn running(host: &dyn Look) -> Result<Option<Container>, HostError> {
    // Without an engine no container of it runs.
    if !matches!(host.engine().await?, Engine::Up { .. }) {
        return Ok(None);
    }
    let all = host.containers(None).await?;
    Ok(all
        .into_iter()
        .find(|one| is_traefik(one) && one.state == "running"))
}

fn not_stopped(name: &str, output: &Output) -> StepError {
    StepError::last(
        Advice::new(
            "CONTAINERS_STAY",
            format!("`docker stop {name}` ended with exit code {}", output.code),
            "a chatalot that Traefik does not see",
            format!("run `docker stop {name}` by hand, mend what it names, then run `uninstall` again"),
        )
        .with_evidence(output.last_lines(4)),
    )
}

/// The site's server, while it runs with labels that Traefik routes by.
async fn labelled(cx: &Cx<'_>) -> Result<Option<String>, HostError> {
    if !matches!(cx.host.engine().await?, Engine::Up { .. }) {
        return Ok(None);
    }
    let ours = cx.host.containers(Some(cx.site.folder.as_str())).await?;
    let seen = ours
        .into_iter()
        .find(|one| one.state == "running" && one.labels.contains_key("traefik.http.routers.chatalot.rule"));
    Ok(seen.map(|one| one.name))
}

/// What the running Traefik says of itself.
async fn known(cx: &Cx<'_>) -> Result<Result<Settings, Box<Advice>>, StepError> {
    let Some(container) = running(cx.host).await? else {
        return Ok(Err(Box::new(Advice::new(
            "TRAEFIK_NOT_RUNNING",
            "no running container of Traefik's image",
            "the Traefik that the site is put behind",
            "start it, or deploy without `--proxy traefik`, which sets up Caddy",
        ))));
    };
    let mut file = None;
    for inside in inspect::config_files(&container) {
        if let Some(path) = inspect::on_the_host(&container, &inside)
            && let Some(text) = cx.host.read(Path::new(&path)).await?
        {
            file = Some((inside, String::from_utf8_lossy(&text).into_owned()));
            break;
        }
    }
    let oldest = if inspect::speaks_one_api(&container) {
        let ask = Command::new("docker", &["version", "--format", "{{.Server.MinAPIVersion}}"]);
        Some(cx.host.query(ask).await?.stdout)
    } else {
        None
    };
    let file = file.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
    Ok(inspect::settings(&container, file, oldest.as_deref()))
}

/// The runbook's labels with Traefik's own names, and what Caddy would do besides.
fn labels(site: &Site, settings: &Settings, limit: Option<&LetIn>) -> Vec<(String, String)> {
    const ROUTER: &str = "traefik.http.routers.chatalot";
    const HEADERS: &str = "traefik.http.middlewares.chatalot-headers.headers";
    let mut labels = vec![
        ("traefik.enable".to_owned(), "true".to_owned()),
        (format!("{ROUTER}.rule"), format!("Host(`{}`)", site.domain)),
        (format!("{ROUTER}.entrypoints"), settings.entrypoint.clone()),
        (format!("{ROUTER}.tls"), "true".to_owned()),
        (format!("{ROUTER}.tls.certresolver"), settings.resolver.clone()),
        (
            format!("{ROUTER}.middlewares"),
            [
                "chatalot-headers",
                if limit.is_some() { ",chatalot-limit" } else { "" },
                ",chatalot-compress",
            ]
            .concat(),
        ),
        (
            "traefik.http.services.chatalot.loadbalancer.server.port".to_owned(),
            "8080".to_owned(),
        ),
        (format!("{HEADERS}.stsseconds"), "31536000".to_owned()),
        (format!("{HEADERS}.stsincludesubdomains"), "true".to_owned()),
        (
            "traefik.http.middlewares.chatalot-compress.compress".to_owned(),
            "true".to_owned(),
        ),
    ];
    if let Some(network) = &settings.network {
        labels.push(("traefik.docker.network".to_owned(), network.clone()));
    }
    // The last one, where it is put again after it has gone.
    if let Some(limit) = limit {
        let let_in: Vec<String> = limit.networks().iter().map(ToString::to_string).collect();
        let key = format!("{}{}.sourcerange", merge::LIMIT, settings.allow_list);
        labels.push((key, let_in.join(",")));
    }
    labels
}

fn wanted(cx: &Cx<'_>, settings: &Settings, others: Vec<String>) -> Wanted {
    Wanted {
        labels: labels(cx.site, settings, route::limit(cx).as_ref()),
        network: settings.network.clone().map(|name| (name, others)),
    }
}

/// What compose makes of the site's files. It holds the site's secrets, so it is asked and never shown.
pub(in crate::runbook) async fn seen_by_compose(
    host: &dyn Look,
    site: &Site,
    files: &[&str],
) -> Result<Value, StepError> {
    let args = [&["compose"], files, &["config", "--format", "json"]].concat();
    let output = host
        .query(Command::new("docker", &args).within(site.folder.as_str()))
        .await?;
    let parsed = output
        .ok()
        .then(|| serde_json::from_str(&output.stdout).ok())
        .flatten();
    parsed.ok_or_else(|| {
        StepError::last(
            Advice::new(
                "COMPOSE_INVALID",
                format!(
                    "`docker {}` in {} ended with exit code {}",
                    args.join(" "),
                    site.folder,
                    output.code
                ),
                "compose files that compose accepts",
                format!("run it in {}, mend what it names, then deploy again", site.folder),
            )
            .with_evidence(output.stderr.lines().rev().take(4).map(crate::host::plain_line)),
        )
    })
}

fn unreadable(site: &Site, wanted: &Wanted, why: &str) -> StepError {
    let lines = wanted
        .labels
        .iter()
        .map(|(key, value)| format!("- \"{key}={value}\""));
    StepError::last(
        Advice::new(
            "OVERRIDE_UNREADABLE",
            format!("{}: {why}", override_file(site).display()),
            "an override that our labels can be added to, all else staying as it is",
            "add the labels below to the service chatalot by hand, and the service to Traefik's network; then deploy again",
        )
        .with_evidence(lines),
    )
}
