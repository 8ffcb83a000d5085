//! The file's words as types.

use super::window::Window;
use super::{PATH, Policy, Remotes};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::inputs::INPUTS;
use chatalot_protocol::site::Repository;
use serde::Deserialize;
use std::str::FromStr;
use std::time::Duration;

/// Everything that changes the host and can be asked for.
const VERBS: &[&str] = &["deploy", "uninstall", "uninstall_with_data"];
/// How long a policy may be: far more than there is to say. What reads files reads a megabyte of each, so that a rule
/// further down would be no rule.
pub(super) const LONGEST: usize = 64 << 10;
/// Instead of a list of remotes.
const ANY: &str = "*";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    enabled: bool,
    #[serde(default)]
    verbs: Vec<String>,
    domains: Option<Vec<String>>,
    git_remotes: Option<Vec<String>>,
    install_dir: Option<String>,
    proxies: Option<Vec<String>>,
    packages: Option<Vec<String>>,
    repositories: Option<Vec<String>>,
    max_runtime_minutes: Option<u32>,
    windows: Option<Vec<String>>,
}

/// Where chatalot itself comes from.
pub(super) fn own_remote() -> &'static str {
    let row = INPUTS.iter().find(|row| row.name == "repository");
    row.and_then(|row| row.default).unwrap_or_default()
}

pub(super) fn invalid(why: &str) -> Advice {
    Advice::new(
        "POLICY_INVALID",
        format!("{why}: nothing may be changed"),
        "a policy of known words",
        format!("as root on the host: mend {PATH}, and try it with `chatalot-agent policy check`"),
    )
}

fn too_long() -> Advice {
    Advice::new(
        "POLICY_TOO_LONG",
        format!(
            "more than {} KiB of policy: nothing may be changed",
            LONGEST >> 10
        ),
        "a shorter one",
        format!("as root on the host: shorten {PATH}, and try it with `chatalot-agent policy check`"),
    )
}

pub(super) fn policy(text: &str) -> Result<Policy, Advice> {
    if text.len() > LONGEST {
        return Err(too_long());
    }
    let raw: Raw = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| {
            let before = text.as_bytes().get(..span.start).unwrap_or(text.as_bytes());
            before.split(|byte| *byte == b'\n').count()
        });
        invalid(&format!("line {line}: {}", error.message()))
    })?;
    let verbs = raw.verbs.iter().map(|verb| {
        let known = VERBS.iter().find(|known| *known == verb);
        known.copied().ok_or_else(|| {
            let all = VERBS.join(", ");
            invalid(&format!("`verbs`: `{}` is none of {all}", shown(verb)))
        })
    });
    Ok(Policy {
        enabled: raw.enabled,
        verbs: verbs.collect::<Result<_, _>>()?,
        domains: raw.domains.map(|all| each("domains", &all)).transpose()?,
        remotes: raw
            .git_remotes
            .map_or_else(|| Ok(Remotes::default()), |all| remotes(&all))?,
        install_dir: raw.install_dir.map(|dir| one("install_dir", &dir)).transpose()?,
        proxies: raw.proxies.map(|all| each("proxies", &all)).transpose()?,
        packages: raw.packages,
        repositories: raw.repositories,
        max_runtime: raw
            .max_runtime_minutes
            .map(|minutes| Duration::from_secs(u64::from(minutes) * 60)),
        windows: raw
            .windows
            .map(|all| each::<Window>("windows", &all))
            .transpose()?,
    })
}

fn remotes(all: &[String]) -> Result<Remotes, Advice> {
    if all.iter().any(|one| one == ANY) {
        return Ok(Remotes::Any);
    }
    let parsed: Vec<Repository> = each("git_remotes", all)?;
    Ok(Remotes::Only(
        parsed.iter().map(|one| one.as_str().to_owned()).collect(),
    ))
}

fn each<T: FromStr<Err: ToString>>(key: &str, all: &[String]) -> Result<Vec<T>, Advice> {
    all.iter().map(|text| one(key, text)).collect()
}

fn one<T: FromStr<Err: ToString>>(key: &str, text: &str) -> Result<T, Advice> {
    text.parse()
        .map_err(|error: T::Err| invalid(&format!("`{key}`: {}", error.to_string())))
}

fn shown(text: &str) -> String {
    text.escape_debug().take(80).collect()
}
