//! Wanted against actual: what the last good deployment left, and what is there now.
//!
//! After a good deployment a [`Baseline`] is remembered: names, digests and tags, never a value. Drift is the
//! difference between it and one that is taken now.

use super::chapters::checkout_stands;
use super::diagnosis::facts;
use super::{Cx, StepError, proxies, route};
use crate::host::{Engine, plain_line};
use chatalot_protocol::enrol::hex;
use chatalot_protocol::report::Drift;
use ring::{digest, hmac};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Where it is remembered.
pub const BASELINE: &str = "drift.baseline";
/// How much of a digest or tag people are shown.
const SHOWN: usize = 12;
const ABSENT: &str = "not there";
const UNTOLD: &str = "cannot be told: the Docker Engine does not run";

/// What was looked at, as names, digests and tags.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Baseline {
    /// What keys the tags: without it they are of no use.
    pub(super) salt: String,
    commit: Option<String>,
    /// How many tracked files differ from the commit.
    changed: usize,
    overriding: Option<String>,
    env: BTreeMap<String, String>,
    /// The names below `secrets/`, and those that are missing there since an earlier deployment.
    pub secrets: BTreeSet<String>,
    /// Those of the missing ones that the installer was to make anew and has not made.
    #[serde(default)]
    pub(super) not_made: BTreeSet<String>,
    proxy: Option<String>,
    /// Each service's state and image.
    containers: BTreeMap<String, (String, String)>,
}

impl Baseline {
    /// As it is remembered.
    pub fn of(memory: &BTreeMap<String, String>) -> Option<Self> {
        serde_json::from_str(memory.get(BASELINE)?).ok()
    }

    /// As it is to be remembered.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What is there now; tags are keyed like those of an earlier one.
    pub async fn now(cx: &Cx<'_>, salt: &str) -> Result<Self, StepError> {
        Self::seen(cx, salt, true).await
    }

    async fn seen(cx: &Cx<'_>, salt: &str, asked_of_engine: bool) -> Result<Self, StepError> {
        let folder = Path::new(cx.site.folder.as_str());
        let key = hmac::Key::new(hmac::HMAC_SHA256, salt.as_bytes());
        let tag = |value: String| hex(&hmac::sign(&key, value.as_bytes()).as_ref()[..16]);
        let env = facts::env(cx.host, folder).await.unwrap_or_default();
        let overriding = cx.host.read(&folder.join("docker-compose.override.yml")).await?;
        let secrets = cx.host.list(&folder.join("secrets")).await?;
        let (commit, changed) = checkout_stands(cx.host, cx.site).await?;
        let containers = if asked_of_engine {
            cx.host.containers(Some(cx.site.folder.as_str())).await?
        } else {
            Vec::new()
        };
        Ok(Self {
            salt: salt.to_owned(),
            commit,
            changed,
            overriding: overriding.map(|text| hex(digest::digest(&digest::SHA256, &text).as_ref())),
            env: env.into_iter().map(|(name, value)| (name, tag(value))).collect(),
            secrets: secrets
                .into_iter()
                .filter(|name| !name.ends_with(".example"))
                .collect(),
            not_made: BTreeSet::new(),
            proxy: in_front(cx).await?,
            containers: containers
                .into_iter()
                .map(|one| (one.service, (one.state, one.image_id)))
                .collect(),
        })
    }
}

/// What the proxy has of the site: its name where it serves the site and will after a restart.
async fn in_front(cx: &Cx<'_>) -> Result<Option<String>, StepError> {
    let Some(proxy) = proxies::chosen(cx.site) else {
        return Ok(None);
    };
    let serves = proxies::served(cx).await.is_ok() && proxy.keeps(cx).await?;
    let limited = route::limit(cx).map(|limit| format!(", limited to {limit}"));
    Ok(serves.then(|| format!("{} as it was set up{}", proxy.name(), limited.unwrap_or_default())))
}

/// Compares what is there now with what is remembered.
pub async fn drift(cx: &Cx<'_>, then: &Baseline) -> Result<Vec<Drift>, StepError> {
    let engine_is_up = matches!(cx.host.engine().await?, Engine::Up { .. });
    let mut now = Baseline::seen(cx, &then.salt, engine_is_up).await?;
    if !engine_is_up {
        // What nobody can tell is told as that, beside all that can be.
        let untold = |_: &(String, String)| (UNTOLD.to_owned(), UNTOLD.to_owned());
        let services = then.containers.iter();
        now.containers = services
            .map(|(name, both)| (name.clone(), untold(both)))
            .collect();
    }
    Ok(compare(then, &now))
}

fn compare(then: &Baseline, now: &Baseline) -> Vec<Drift> {
    let mut rows = vec![
        row("checkout", then.commit.as_deref(), now.commit.as_deref()),
        Drift {
            thing: "local changes in the checkout".to_owned(),
            wanted: files(then.changed),
            actual: files(now.changed),
            same: then.changed == now.changed,
        },
        row(
            "docker-compose.override.yml",
            then.overriding.as_deref(),
            now.overriding.as_deref(),
        ),
        row("reverse proxy", then.proxy.as_deref(), now.proxy.as_deref()),
    ];
    rows.extend(pairs(&then.env, &now.env, |name| format!(".env {name}")));
    let listed = |names: &BTreeSet<String>| -> BTreeMap<String, String> {
        names
            .iter()
            .map(|name| (name.clone(), "there".to_owned()))
            .collect()
    };
    let (secrets, actual) = (listed(&then.secrets), listed(&now.secrets));
    rows.extend(pairs(&secrets, &actual, |name| format!("secrets/{name}")));
    let of = |all: &BTreeMap<String, (String, String)>, first: bool| -> BTreeMap<String, String> {
        let part = |(state, image): &(String, String)| if first { state.clone() } else { image.clone() };
        all.iter()
            .map(|(service, both)| (service.clone(), part(both)))
            .collect()
    };
    for (first, word) in [(true, "container"), (false, "image of")] {
        let (wanted, actual) = (of(&then.containers, first), of(&now.containers, first));
        rows.extend(pairs(&wanted, &actual, |name| format!("{word} {name}")));
    }
    rows
}

fn files(count: usize) -> String {
    if count == 1 {
        "1 file".to_owned()
    } else {
        format!("{count} files")
    }
}

fn pairs(
    then: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
    called: impl Fn(&str) -> String,
) -> Vec<Drift> {
    let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    let one = |name: &String| {
        let (wanted, actual) = (then.get(name), now.get(name));
        row(
            &called(&plain_line(name)),
            wanted.map(String::as_str),
            actual.map(String::as_str),
        )
    };
    names.into_iter().map(one).collect()
}

fn row(thing: &str, wanted: Option<&str>, actual: Option<&str>) -> Drift {
    Drift {
        thing: thing.to_owned(),
        wanted: shown(wanted),
        actual: shown(actual),
        same: wanted == actual,
    }
}

/// Long digests are told by their beginning, words as they are.
fn shown(value: Option<&str>) -> String {
    let Some(value) = value else {
        return ABSENT.to_owned();
    };
    let digits = value.strip_prefix("sha256:").unwrap_or(value);
    let is_digest = digits.len() >= 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let shown = if is_digest { digits.get(..SHOWN) } else { None };
    plain_line(shown.unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::EngineState;
    use crate::runbook::distro::DISTROS;
    use crate::runbook::laws;

    #[tokio::test]
    async fn without_an_engine_its_containers_cannot_be_told_and_all_else_can() {
        let (host, site, memory) = laws::deployed();
        let cx = Cx {
            site: &site,
            distro: &DISTROS[0],
            host: &host,
            memory: &memory,
            secret_tags: &BTreeMap::new(),
        };
        let then = Baseline::now(&cx, "salt").await.unwrap();
        host.world(|world| {
            world.engine = EngineState::Down;
            let env = world.text("/srv/chatalot/.env").unwrap();
            world.put("/srv/chatalot/.env", format!("{env}NEW=1\n"));
        });
        let rows = drift(&cx, &then).await.unwrap();
        let of = |thing: &str| rows.iter().find(|row| row.thing == thing).unwrap();
        assert!(!of(".env NEW").same && of("checkout").same);
        assert_eq!(of("container chatalot").actual, UNTOLD);
    }

    fn baseline() -> Baseline {
        Baseline {
            commit: Some("1f".repeat(20)),
            env: BTreeMap::from([("DB_PASSWORD".into(), "aa".repeat(16))]),
            secrets: BTreeSet::from(["totp_key".into()]),
            proxy: Some("Caddy as it was set up".into()),
            containers: BTreeMap::from([(
                "chatalot".into(),
                ("running".into(), format!("sha256:{}", "0b".repeat(32))),
            )]),
            ..Baseline::default()
        }
    }

    #[test]
    fn what_is_as_it_was_has_not_drifted() {
        assert!(compare(&baseline(), &baseline()).iter().all(|row| row.same));
    }

    #[test]
    fn each_difference_is_named_and_no_value_is_shown_whole() {
        let mut now = baseline();
        now.env.insert("DB_PASSWORD".into(), "bb".repeat(16));
        now.env.insert("NEW".into(), "cc".repeat(16));
        now.secrets.clear();
        now.containers.insert(
            "chatalot".into(),
            ("exited".into(), format!("sha256:{}", "0c".repeat(32))),
        );
        now.commit = None;
        let rows = compare(&baseline(), &now);
        let told: Vec<String> = rows
            .iter()
            .filter(|row| !row.same)
            .map(|row| format!("{}: {} → {}", row.thing, row.wanted, row.actual))
            .collect();
        assert_eq!(
            told,
            [
                "checkout: 1f1f1f1f1f1f → not there",
                ".env DB_PASSWORD: aaaaaaaaaaaa → bbbbbbbbbbbb",
                ".env NEW: not there → cccccccccccc",
                "secrets/totp_key: there → not there",
                "container chatalot: running → exited",
                "image of chatalot: 0b0b0b0b0b0b → 0c0c0c0c0c0c",
            ]
        );
    }
}
