//! Caddy: a file of ours in `/etc/caddy/conf.d`, and one `import` line in an otherwise untouched Caddyfile.

use super::life::{take_up, told, unfit_domain};
use super::site_file::{Folder, MARK};
use super::{Part, Proxy, Refusal, Standing, Written};
use crate::host::{Command, PortOwner, plain_line};
use crate::runbook::distro::Distro;
use crate::runbook::route::{self, LetIn};
use crate::runbook::{ActCx, Cx, StepError};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::{Acme, Domain, ProxyChoice, Site};
use std::path::{Path, PathBuf};
use std::time::Duration;

const CADDYFILE: &str = "/etc/caddy/Caddyfile";
const SITES: Folder = Folder {
    path: "/etc/caddy/conf.d",
    begins: "",
    ends: ".caddy",
};
const IMPORT: &str = "import /etc/caddy/conf.d/*.caddy";
const UNIT: &str = "caddy.service";
const STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// What the package's own Caddyfile says, without comments: nobody's site.
const PRISTINE: &[&str] = &[":80 {", "root * /usr/share/caddy", "file_server", "}"];

/// The row.
pub struct Caddy;

#[async_trait]
impl Proxy for Caddy {
    fn name(&self) -> &'static str {
        "Caddy"
    }

    fn choice(&self) -> ProxyChoice {
        ProxyChoice::Caddy
    }

    fn parts(&self, distro: &Distro) -> Vec<Part> {
        vec![Part {
            program: "caddy",
            unit: UNIT,
            packages: distro.caddy,
        }]
    }

    fn unit(&self) -> Option<&'static str> {
        Some(UNIT)
    }

    fn journal(&self) -> &'static str {
        "`journalctl -u caddy.service -n 50`"
    }

    fn asks_where_told(&self) -> bool {
        true
    }

    async fn owns(&self, _cx: &Cx<'_>, owner: &PortOwner) -> Result<bool, StepError> {
        let unit = owner.unit.as_deref() == Some(UNIT);
        Ok(owner.container.is_none() && (unit || owner.process == "caddy"))
    }

    fn files(&self, site: &Site) -> Vec<PathBuf> {
        vec![SITES.file(&site.domain), PathBuf::from(CADDYFILE)]
    }

    async fn detect(&self, cx: &Cx<'_>) -> Result<Standing, StepError> {
        let main = cx.host.read(Path::new(CADDYFILE)).await?.unwrap_or_default();
        let lines = settings(&String::from_utf8_lossy(&main));
        if is_without_braces(&lines) {
            return Ok(Standing::Unfit(Box::new(without_braces())));
        }
        let content = SITES.content(cx.host, &cx.site.domain).await?;
        let mut foreign = Vec::new();
        if !lines.is_empty() && lines != PRISTINE {
            foreign.push((CADDYFILE.to_owned(), addresses(&lines)));
        }
        for (name, text) in &content.foreign {
            foreign.push((
                format!("{}/{}", SITES.path, plain_line(name)),
                addresses(&settings(text)),
            ));
        }
        if let Some((file, _)) = foreign.iter().find(|(_, sites)| serve(sites, &cx.site.domain)) {
            return Ok(Standing::Unfit(Box::new(unfit_domain(cx.site, file))));
        }
        Ok(match (content.ours, foreign.is_empty()) {
            (Some(_), _) => Standing::Ours,
            (None, true) => Standing::Untouched,
            (None, false) => Standing::Beside {
                serves: in_words(foreign.into_iter().flat_map(|(_, sites)| sites)),
            },
        })
    }

    fn plan(&self, site: &Site) -> Vec<String> {
        vec![
            format!("write {}", SITES.file(&site.domain).display()),
            format!("add `{IMPORT}` to {CADDYFILE}, unless it is there; other sites stay as they are"),
            format!("have Caddy validate it, then enable, start and reload {UNIT}"),
            format!(
                "Caddy asks {} for a certificate for {}",
                authority(&site.acme),
                site.domain
            ),
        ]
    }

    async fn write(&self, cx: &ActCx<'_>) -> Result<Written, StepError> {
        let limit = route::limit(&cx.look);
        let content = render(cx.look.site, limit.as_ref()).map_err(StepError::Final)?;
        let mut written = SITES.place(cx, &content).await?;
        let main = PathBuf::from(CADDYFILE);
        let present = cx.host.read(&main).await?;
        let text = present.clone().unwrap_or_default();
        if let Some(with_ours) = with_import(&String::from_utf8_lossy(&text)) {
            cx.host.rewrite(&main, with_ours.as_bytes()).await?;
            written.before.push((main, present));
        }
        Ok(written)
    }

    async fn validate(&self, cx: &ActCx<'_>) -> Result<(), StepError> {
        let args = ["validate", "--config", CADDYFILE, "--adapter", "caddyfile"];
        let output = cx.host.run(Command::new("caddy", &args)).await?;
        if output.ok() {
            return Ok(());
        }
        let site = cx.look.site;
        Err(StepError::last(
            Advice::new(
                "CADDY_INVALID",
                format!("Caddy refused its configuration with exit code {}", output.code),
                "a configuration that Caddy accepts with our site in it",
                format!(
                    "our part was taken out again; run `caddy validate --config {CADDYFILE} --adapter caddyfile`, mend what it names ({}), then deploy again",
                    if matches!(site.acme, Acme::Private { .. }) { "or the authority's root file" } else { "the rest of the file is not ours" }
                ),
            )
            .with_evidence(output.last_lines(8)),
        ))
    }

    async fn reload(&self, cx: &ActCx<'_>) -> Result<(), StepError> {
        take_up(cx, UNIT, "CADDY_RELOAD_FAILED").await
    }

    async fn keeps(&self, cx: &Cx<'_>) -> Result<bool, StepError> {
        let unit = cx.host.unit(UNIT).await?;
        let main = cx.host.read(Path::new(CADDYFILE)).await?.unwrap_or_default();
        let wanted = render(cx.site, route::limit(cx).as_ref()).map_err(StepError::Final)?;
        let imported = with_import(&String::from_utf8_lossy(&main)).is_none();
        let ours = SITES.holds(cx.host, &cx.site.domain, &wanted).await?;
        Ok(unit.enabled && unit.active && imported && ours)
    }

    fn plan_out(&self, site: &Site) -> Vec<String> {
        vec![
            format!("remove {}", SITES.file(&site.domain).display()),
            format!("remove `{IMPORT}` from {CADDYFILE}, unless it has other files to import"),
            format!("reload {UNIT}"),
        ]
    }

    async fn left(&self, cx: &Cx<'_>) -> Result<Option<String>, StepError> {
        out::left(cx).await
    }

    async fn take_out(&self, cx: &ActCx<'_>) -> Result<(), StepError> {
        out::take_out(cx).await?;
        if cx.host.unit(UNIT).await?.active {
            told(
                cx,
                UNIT,
                &["reload", UNIT],
                "CADDY_RELOAD_FAILED",
                "deploy or uninstall again",
            )
            .await?;
        }
        Ok(())
    }

    async fn refusals(&self, cx: &Cx<'_>) -> Result<Vec<Refusal>, StepError> {
        let args = [
            "-u",
            UNIT,
            "--since=-1h",
            "-n",
            "400",
            "-o",
            "short-unix",
            "--no-pager",
            "-q",
        ];
        let journal = Command::new("journalctl", &args).deadline(Duration::from_secs(15));
        let output = cx.host.query(journal).await?;
        let about = cx.site.domain.as_str();
        Ok(output
            .stdout
            .lines()
            .filter_map(|line| refusal(line, about))
            .collect())
    }
}

fn authority(acme: &Acme) -> &str {
    match acme {
        Acme::Production => "Let's Encrypt",
        Acme::Staging => "Let's Encrypt's staging authority (trusted by no browser)",
        Acme::Private { directory, .. } => directory.as_str(),
    }
}

/// The runbook's block, with the authority where it is not the usual one, and for a while a limit. The authority's
/// challenges are answered by Caddy itself, before any site.
fn render(site: &Site, limit: Option<&LetIn>) -> Result<String, Box<Advice>> {
    let tls = match &site.acme {
        Acme::Production => String::new(),
        Acme::Staging => issuer(STAGING, None),
        Acme::Private { directory, root } => {
            if directory.as_str().contains(['{', '}']) {
                return Err(Advice::new(
                    "ACME_DIRECTORY_ODD",
                    format!("braces in the directory's address {directory}"),
                    "an address without braces, which Caddy would fill in",
                    "give the directory's plain address",
                )
                .into());
            }
            issuer(directory.as_str(), Some(root.as_str()))
        }
    };
    let kept_out = limit.map(keeping_out).unwrap_or_default();
    Ok(format!(
        "{MARK}\n\
         {} {{\n\
         {kept_out}\tencode zstd gzip\n\
         \treverse_proxy 127.0.0.1:8080\n\
         \theader {{\n\
         \t\tStrict-Transport-Security \"max-age=31536000; includeSubDomains\"\n\
         \t\t-Server\n\
         \t}}\n\
         {tls}}}\n",
        site.domain
    ))
}

fn keeping_out(limit: &LetIn) -> String {
    let let_in: Vec<String> = limit.networks().iter().map(ToString::to_string).collect();
    format!(
        "\t@outsiders not remote_ip {}\n\trespond @outsiders \"This site opens once its administrator has registered.\" 403\n",
        let_in.join(" ")
    )
}

fn issuer(directory: &str, root: Option<&str>) -> String {
    let root = root
        .map(|root| format!("\t\t\ttrusted_roots \"{root}\"\n"))
        .unwrap_or_default();
    format!("\ttls {{\n\t\tissuer acme {{\n\t\t\tdir \"{directory}\"\n{root}\t\t}}\n\t}}\n")
}

/// The Caddyfile with our line at its end; `None` if it is there.
fn with_import(caddyfile: &str) -> Option<String> {
    const SAME: &[&str] = &[
        "/etc/caddy/conf.d/*.caddy",
        "/etc/caddy/conf.d/*",
        "conf.d/*.caddy",
        "conf.d/*",
    ];
    let imports = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        words.next() == Some("import") && words.next().is_some_and(|what| SAME.contains(&what))
    };
    if caddyfile.lines().any(imports) {
        return None;
    }
    let gap = if caddyfile.is_empty() || caddyfile.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    Some(format!("{caddyfile}{gap}{IMPORT}\n"))
}

/// The lines that say something, without our own.
fn settings(caddyfile: &str) -> Vec<String> {
    caddyfile
        .lines()
        .map(|line| line.split(" #").next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty() && !line.starts_with('#') && *line != IMPORT)
        .map(str::to_owned)
        .collect()
}

/// The addresses of the sites in a Caddyfile, as far as they can be told without Caddy.
fn addresses(lines: &[String]) -> Vec<String> {
    let mut depth = 0_usize;
    let mut found = Vec::new();
    for line in lines {
        if depth == 0 && line.ends_with('{') && !line.starts_with('(') {
            let words = line.trim_end_matches('{').split([',', ' ', '\t']);
            found.extend(words.filter(|word| !word.is_empty()).map(plain_line));
        }
        depth += usize::from(line.ends_with('{'));
        depth = depth.saturating_sub(usize::from(line.starts_with('}')));
    }
    found
}

/// Whether a Caddyfile is all of one site, in the short form in which nothing can stand beside it.
fn is_without_braces(lines: &[String]) -> bool {
    lines
        .first()
        .is_some_and(|line| !line.ends_with(['{', ',']) && !line.starts_with("import "))
}

fn without_braces() -> Advice {
    Advice::new(
        "CADDY_INVALID",
        format!("a {CADDYFILE} of one site without braces, which takes no other one"),
        "a configuration that Caddy accepts with our site in it",
        format!(
            "in {CADDYFILE} put ` {{` behind the addresses in its first line and `}}` below its last one, then deploy again"
        ),
    )
}

/// Whether one of these addresses is the domain, on the usual port.
fn serve(addresses: &[String], domain: &Domain) -> bool {
    addresses.iter().any(|address| {
        let name = address.strip_prefix("https://").unwrap_or(address);
        name.strip_suffix(":443")
            .unwrap_or(name)
            .eq_ignore_ascii_case(domain.as_str())
    })
}

fn in_words(addresses: impl Iterator<Item = String>) -> String {
    let some: Vec<String> = addresses.take(3).collect();
    if some.is_empty() {
        "other sites".to_owned()
    } else {
        some.join(", ")
    }
}

/// A line of Caddy's journal in which the authority did not sign for the domain.
fn refusal(line: &str, domain: &str) -> Option<Refusal> {
    // Of others' sites nothing follows for ours.
    let about = line.contains(&format!("\"identifier\":\"{domain}\""));
    if !about || !line.contains("could not get certificate from issuer") {
        return None;
    }
    let (seconds, rest) = line.split_once(' ')?;
    let whole: i64 = seconds.split('.').next()?.parse().ok()?;
    let words = rest.split_once("\"error\":\"").map_or(rest, |(_, error)| error);
    Some(Refusal {
        at_ms: whole * 1000,
        rate_limited: rest.contains("rateLimited") || rest.contains("HTTP 429"),
        counts: rest.contains("acme-v02.api.letsencrypt.org"),
        words: plain_line(words.split("\"}").next().unwrap_or(words)),
    })
}

mod out;
#[cfg(test)]
mod tests;
