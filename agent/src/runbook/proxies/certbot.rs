//! Certificates by certbot, through a folder that the web server shows to the authority: got once, renewed by the
//! package's own timer, taken up by a hook of ours.

use super::note_asking;
use super::site_file::MARK;
use crate::host::{Command, HostError, Output};
use crate::runbook::{ActCx, Cx, StepError, made};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::{Acme, Site};
use std::path::{Path, PathBuf};
use std::time::Duration;
use x509_parser::pem::Pem;

pub(in crate::runbook) mod out;

/// What the authority asks for is put here.
pub(super) const WEBROOT: &str = "/var/www/chatalot-acme";
/// Run by certbot after each renewal.
pub const HOOK: &str = "/etc/letsencrypt/renewal-hooks/deploy/chatalot-agent";
const STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";
const PRODUCTION: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// The certificate with those that signed it.
pub(super) fn chain(site: &Site) -> PathBuf {
    live(site, "fullchain.pem")
}

/// Its key.
pub(super) fn key(site: &Site) -> PathBuf {
    live(site, "privkey.pem")
}

fn live(site: &Site, name: &str) -> PathBuf {
    Path::new("/etc/letsencrypt/live")
        .join(site.domain.as_str())
        .join(name)
}

fn hook() -> String {
    format!("#!/bin/sh\n{MARK}\nexec systemctl reload nginx.service\n")
}

fn directory(acme: &Acme) -> &str {
    match acme {
        Acme::Production => PRODUCTION,
        Acme::Staging => STAGING,
        Acme::Private { directory, .. } => directory.as_str(),
    }
}

/// How it is written down that a deployment has got a certificate, or started the timer.
const CERTIFICATE: &str = "certificate ";
const UNIT: &str = "unit ";

fn got(site: &Site) -> String {
    format!("{CERTIFICATE}{}", site.domain)
}

/// Where certbot keeps what it renews.
const RENEWAL: &str = "/etc/letsencrypt/renewal";

fn renewal(site: &Site) -> PathBuf {
    Path::new(RENEWAL).join(format!("{}.conf", site.domain))
}

/// What is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lacking {
    /// No certificate, or none that is valid.
    Certificate(String),
    /// A certificate, by another authority than the wanted one.
    Authority(String),
    /// It would not be renewed, or not be taken up.
    Renewal(String),
}

impl Lacking {
    /// In a few words.
    pub fn words(&self) -> &str {
        match self {
            Self::Certificate(why) | Self::Authority(why) | Self::Renewal(why) => why,
        }
    }
}

/// What is lacking, the most important first.
pub async fn lacking(cx: &Cx<'_>) -> Result<Option<Lacking>, StepError> {
    let Some(pem) = cx.host.read(&chain(cx.site)).await? else {
        return Ok(Some(Lacking::Certificate("no certificate yet".to_owned())));
    };
    if let Err(why) = valid(&pem, cx.host.now_ms()) {
        return Ok(Some(Lacking::Certificate(why)));
    }
    let text = cx.host.read(&renewal(cx.site)).await?.unwrap_or_default();
    let wanted = directory(&cx.site.acme);
    let text = String::from_utf8_lossy(&text).into_owned();
    let server = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| key.trim() == "server");
    if let Some((_, other)) = server.filter(|(_, server)| server.trim() != wanted) {
        return Ok(Some(Lacking::Authority(format!(
            "a certificate by {}",
            other.trim()
        ))));
    }
    let timer = cx.host.unit(cx.distro.certbot_timer).await?;
    if !(timer.enabled && timer.active) {
        let why = format!(
            "{} does not run, so nothing renews the certificate",
            cx.distro.certbot_timer
        );
        return Ok(Some(Lacking::Renewal(why)));
    }
    let there = cx.host.read(Path::new(HOOK)).await?;
    Ok((there.as_deref() != Some(hook().as_bytes()))
        .then(|| Lacking::Renewal("a renewed certificate would not be taken up".to_owned())))
}

/// Whether a certificate may be served: there, and not about to end.
fn valid(pem: &[u8], now_ms: i64) -> Result<(), String> {
    let odd = || "a certificate file that is none".to_owned();
    let first = Pem::iter_from_buffer(pem)
        .next()
        .ok_or_else(odd)?
        .map_err(|_| odd())?;
    let certificate = first.parse_x509().map_err(|_| odd())?;
    let hours = (certificate.validity().not_after.timestamp() - now_ms / 1000) / 3600;
    if hours < 1 {
        return Err(format!("a certificate that ends in {hours} hours"));
    }
    Ok(())
}

/// What getting it does, one line each.
pub fn plan(site: &Site, timer: &str) -> Vec<String> {
    let mut lines = vec![format!(
        "have nginx show {WEBROOT} to the authority at http://{}/.well-known/acme-challenge/",
        site.domain
    )];
    if site.acme == Acme::Production {
        lines.push(
            "have certbot try at Let's Encrypt's staging directory first (`certbot certonly --dry-run`)"
                .to_owned(),
        );
    }
    lines.push(format!(
        "have certbot ask {} for a certificate for {}, and so agree to the authority's terms",
        directory(&site.acme),
        site.domain
    ));
    lines.push(format!(
        "write {HOOK}, which reloads nginx after a renewal, and enable {timer}"
    ));
    lines
}

/// Gets the certificate where it is lacking, and sees to its renewal.
pub async fn get(cx: &ActCx<'_>, lacking: &Lacking) -> Result<(), StepError> {
    let hook = hook();
    if cx.host.read(Path::new(HOOK)).await?.as_deref() != Some(hook.as_bytes()) {
        cx.host.write(Path::new(HOOK), hook.as_bytes(), 0o755).await?;
    }
    enable_timer(cx).await?;
    let force = match lacking {
        Lacking::Renewal(_) => return Ok(()),
        Lacking::Authority(_) => true,
        Lacking::Certificate(_) => false,
    };
    let site = cx.look.site;
    cx.host.make_folder(Path::new(WEBROOT), 0o755).await?;
    let first = cx.host.read(&chain(site)).await?.is_none();
    // Whatever was signed before, by whomever, says nothing of what production would sign now.
    if site.acme == Acme::Production {
        ask(cx, &["--dry-run"]).await?;
    }
    if first {
        made::note(cx, [got(site)]).await?;
    }
    note_asking(cx).await?;
    let keep: &[&str] = if force {
        &["--force-renewal"]
    } else {
        &["--keep-until-expiring"]
    };
    let asked = ask(cx, &[keep, &["--server", directory(&site.acme)]].concat()).await;
    if asked.is_err() && first && cx.host.read(&renewal(site)).await?.is_none() {
        // Who gets it by hand now has got it.
        made::forget(cx, &got(site)).await?;
    }
    asked
}

async fn enable_timer(cx: &ActCx<'_>) -> Result<(), StepError> {
    let name = cx.look.distro.certbot_timer;
    let timer = cx.host.unit(name).await?;
    if timer.enabled && timer.active {
        return Ok(());
    }
    if !timer.enabled {
        made::note(cx, [format!("{UNIT}{name}")]).await?;
    }
    let output = cx
        .host
        .run(Command::new("systemctl", &["enable", "--now", name]))
        .await?;
    if output.ok() {
        return Ok(());
    }
    Err(StepError::last(
        Advice::new(
            "CERTBOT_TIMER_FAILED",
            format!(
                "`systemctl enable --now {name}` ended with exit code {}",
                output.code
            ),
            "a timer that renews the certificate",
            format!("look at `systemctl status {name}`, mend what it names, then deploy again"),
        )
        .with_evidence(output.last_lines(6)),
    ))
}

async fn ask(cx: &ActCx<'_>, more: &[&str]) -> Result<(), StepError> {
    let domain = cx.look.site.domain.as_str();
    let args = [
        "certonly",
        "--webroot",
        "--webroot-path",
        WEBROOT,
        "--domain",
        domain,
        "--cert-name",
        domain,
        "--non-interactive",
        "--agree-tos",
        "--register-unsafely-without-email",
    ];
    let command = Command::new("certbot", &[&args, more].concat()).deadline(Duration::from_mins(5));
    match cx.host.run(command).await {
        Ok(output) if output.ok() => Ok(()),
        Ok(output) => Err(failed(&cx.look, &output)),
        Err(HostError::Deadline { seconds, said, .. }) => Err(StepError::last(
            Advice::new(
                "CERTBOT_FAILED",
                format!("certbot came to no end within {seconds} s"),
                "a certificate",
                "see whether the authority can be reached from this host, then deploy again",
            )
            .with_evidence(said),
        )),
        Err(other) => Err(other.into()),
    }
}

/// What certbot's failure means.
fn failed(cx: &Cx<'_>, output: &Output) -> StepError {
    let site = cx.site;
    let says = |signs: &[&str]| {
        signs
            .iter()
            .any(|sign| output.stdout.contains(sign) || output.stderr.contains(sign))
    };
    let (code, saw, fix) = if says(&["too many", "rateLimited", "rate limit"]) {
        (
            "ACME_RATE_LIMITED",
            format!("the authority takes no more requests for {} now", site.domain),
            "wait as long as the lines below say, then deploy again; `--acme staging` may be tried meanwhile"
                .to_owned(),
        )
    } else if says(&["CERTIFICATE_VERIFY_FAILED"]) {
        (
            "ACME_DIRECTORY_UNTRUSTED",
            format!("certbot does not trust {}", directory(&site.acme)),
            format!(
                "add the root of your authority to this host's trust store ({}; its renewals need that too), then deploy again",
                cx.distro.manager.trust()
            ),
        )
    } else if says(&[
        "Some challenges have failed",
        "urn:ietf:params:acme:error",
        "unauthorized",
    ]) {
        (
            "ACME_FAILED",
            format!("the authority did not sign a certificate for {}", site.domain),
            format!(
                "the authority must reach this host at {} on port 80: open it in the provider's firewall, see that DNS leads here, then deploy again",
                site.domain
            ),
        )
    } else {
        (
            "CERTBOT_FAILED",
            format!("certbot ended with exit code {}", output.code),
            "read the lines below and /var/log/letsencrypt/letsencrypt.log, mend what they name, then deploy again".to_owned(),
        )
    };
    StepError::last(Advice::new(code, saw, "a certificate", fix).with_evidence(output.last_lines(8)))
}
