//! What a running Traefik says of itself: its network, entrypoint and resolver, from its arguments, its environment
//! and its file.

use super::yaml::{LONGEST_PATH, Lines};
use crate::host::{Container, plain_line};
use chatalot_protocol::advice::Advice;
use std::path::Path;

/// What is to be known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    /// The network that it finds containers in; none where it is on the host's own.
    pub(super) network: Option<String>,
    /// The entrypoint for HTTPS.
    pub(super) entrypoint: String,
    /// The resolver that gets certificates.
    pub(super) resolver: String,
    /// What it calls the middleware that lets in a few addresses only.
    pub(super) allow_list: &'static str,
}

/// Whether a container is a Traefik, by its image.
pub(super) fn is_traefik(container: &Container) -> bool {
    let last = container.image.rsplit('/').next().unwrap_or_default();
    last.split([':', '@']).next() == Some("traefik")
}

/// Where its file may be, inside.
pub(super) fn config_files(container: &Container) -> Vec<String> {
    let named = settings_of(container, None)
        .into_iter()
        .find(|(key, _)| key.eq_ignore_ascii_case("configfile"))
        .map(|(_, value)| value);
    let usual = ["yml", "yaml", "toml"].map(|end| format!("/etc/traefik/traefik.{end}"));
    named.into_iter().chain(usual).collect()
}

/// Where a file inside is on the host, if it is mounted.
pub(super) fn on_the_host(container: &Container, inside: &str) -> Option<String> {
    if inside.split('/').any(|part| part == "..") {
        return None;
    }
    let below = |(source, target): &(String, String)| {
        let rest = inside.strip_prefix(target.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("{source}{rest}"))
    };
    container.mounts.iter().filter_map(below).min_by_key(String::len)
}

/// Reads them, or says what is missing; `oldest` is the oldest version of its API that the Engine speaks.
pub(super) fn settings(
    container: &Container,
    file: Option<(&str, &str)>,
    oldest: Option<&str>,
) -> Result<Settings, Box<Advice>> {
    if let Some(advice) = bad_pair(container, oldest) {
        return Err(advice.into());
    }
    let known = settings_of(container, file);
    if !known
        .iter()
        .any(|(key, _)| without_prefix(key, "providers.docker").is_some())
    {
        return Err(lacks(
            container,
            "TRAEFIK_WITHOUT_DOCKER",
            "the docker provider",
            "`--providers.docker=true`",
        )
        .into());
    }
    // Inside it may be another one, where Traefik is not root.
    let https = container.inside.get(&443).copied().unwrap_or(443);
    let entrypoint = entrypoint(&known, https).ok_or_else(|| {
        Box::new(lacks(
            container,
            "TRAEFIK_WITHOUT_HTTPS",
            "an entrypoint on port 443",
            "`--entrypoints.websecure.address=:443`",
        ))
    })?;
    let resolver = resolver(&known).ok_or_else(|| {
        let example = "`--certificatesresolvers.letsencrypt.acme.tlschallenge=true` with an e-mail address and a storage file";
        Box::new(lacks(container, "TRAEFIK_WITHOUT_RESOLVER", "a certificate resolver", example))
    })?;
    let network = network(container, &known)?;
    Ok(Settings {
        network,
        entrypoint,
        resolver,
        allow_list: allow_list(container),
    })
}

/// Keys with dots, and their values, whichever way they were given; what is a name in them keeps its case, as Traefik
/// keeps it, but in a variable, where it has none.
fn settings_of(container: &Container, file: Option<(&str, &str)>) -> Vec<(String, String)> {
    let flag = |arg: &String| {
        let text = arg.strip_prefix("--")?;
        let (key, value) = text.split_once('=').unwrap_or((text, "true"));
        Some((key.to_owned(), value.to_owned()))
    };
    let variable = |entry: &String| {
        let (key, value) = entry.strip_prefix("TRAEFIK_")?.split_once('=')?;
        Some((key.to_ascii_lowercase().replace('_', "."), value.to_owned()))
    };
    let mut known: Vec<(String, String)> = container.command.iter().filter_map(flag).collect();
    known.extend(container.environment.iter().filter_map(variable));
    match file {
        Some((name, text)) if Path::new(name).extension().is_some_and(|end| end == "toml") => {
            if let Ok(table) = text.parse::<toml::Table>() {
                flatten(&table, "", &mut known);
            }
        }
        Some((_, text)) => known.extend(Lines::of(text).flat()),
        None => {}
    }
    known
}

fn flatten(table: &toml::Table, path: &str, known: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let path = format!("{path}{key}");
        if path.len() > LONGEST_PATH {
            continue;
        }
        match value {
            toml::Value::Table(below) => {
                known.push((path.clone(), String::new()));
                flatten(below, &format!("{path}."), known);
            }
            toml::Value::String(text) => known.push((path, text.clone())),
            other => known.push((path, other.to_string())),
        }
    }
}

/// What follows a prefix in any case.
fn without_prefix<'a>(key: &'a str, prefix: &str) -> Option<&'a str> {
    let start = key.get(..prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then(|| &key[prefix.len()..])
}

/// The names below a group of settings, with the rest of each key and its value.
fn below<'a>(
    known: &'a [(String, String)],
    group: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
    known.iter().filter_map(move |(key, value)| {
        let rest = without_prefix(key, group)?.strip_prefix('.')?;
        let (name, rest) = rest.split_once('.').unwrap_or((rest, ""));
        Some((name, rest, value.as_str()))
    })
}

fn entrypoint(known: &[(String, String)], https: u16) -> Option<String> {
    let ending = format!(":{https}");
    let is_https = |value: &str| {
        value
            .split('/')
            .next()
            .is_some_and(|address| address.ends_with(&ending))
    };
    let mut points = below(known, "entrypoints");
    points
        .find(|(_, rest, value)| rest.eq_ignore_ascii_case("address") && is_https(value))
        .map(|(name, ..)| plain_line(name))
}

fn resolver(known: &[(String, String)]) -> Option<String> {
    let names: Vec<&str> = below(known, "certificatesresolvers")
        .map(|(name, ..)| name)
        .collect();
    let usual = names.iter().find(|name| name.eq_ignore_ascii_case("letsencrypt"));
    usual.or_else(|| names.first()).map(|name| plain_line(name))
}

fn network(container: &Container, known: &[(String, String)]) -> Result<Option<String>, Box<Advice>> {
    let on = &container.networks;
    if on.iter().any(|name| name == "host") {
        return Ok(None);
    }
    let told = known
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case("providers.docker.network"))
        .map(|(_, name)| name);
    let own = on.iter().find(|name| Some(*name) == told);
    let own = own.or_else(|| on.iter().find(|name| !matches!(name.as_str(), "bridge" | "none")));
    own.map(|name| Some(plain_line(name))).ok_or_else(|| {
        Box::new(Advice::new(
            "TRAEFIK_ON_BRIDGE",
            format!(
                "the container `{}` on Docker's default network only, which compose cannot join",
                container.name
            ),
            "a network of its own, which chatalot can join",
            format!(
                "run `docker network create traefik && docker network connect traefik {}`, then deploy again",
                container.name
            ),
        ))
    })
}

fn lacks(container: &Container, code: &'static str, what: &str, example: &str) -> Advice {
    Advice::new(
        code,
        format!(
            "no {what} in the arguments, the environment or the mounted file of the container `{}`",
            container.name
        ),
        what,
        format!("give Traefik one, such as {example}, and start it again; then deploy again"),
    )
}

/// The version of the Engine's API that Traefiks asked in, whatever the Engine spoke, until they learned to agree on one.
const ASKED_IN: (u32, u32) = (1, 24);
/// The lines that did, and the first Traefik of each that agrees.
const AGREES_SINCE: &[(&[u64], [u64; 3])] = &[(&[1, 2], [2, 11, 31]), (&[3], [3, 6, 1])];

/// A Traefik that speaks one version of the API only: its own version, and the first of its line that agrees on one.
fn of_one_api(container: &Container) -> Option<([u64; 3], [u64; 3])> {
    let tag = container.image.rsplit_once(':').map(|(_, tag)| tag);
    let version = [container.version.as_str(), tag.unwrap_or_default()]
        .into_iter()
        .find_map(numbers)?;
    let (_, good) = AGREES_SINCE
        .iter()
        .find(|(lines, good)| lines.contains(&version[0]) && version < *good)?;
    Some((version, *good))
}

/// Whether it is to be known which versions of its API the Engine speaks.
pub(super) fn speaks_one_api(container: &Container) -> bool {
    of_one_api(container).is_some()
}

fn bad_pair(container: &Container, oldest: Option<&str>) -> Option<Advice> {
    let ([a, b, c], good) = of_one_api(container)?;
    let (major, minor) = oldest?.trim().split_once('.')?;
    if (major.parse().ok()?, minor.parse().ok()?) <= ASKED_IN {
        return None;
    }
    Some(Advice::new(
        "TRAEFIK_ENGINE_MISMATCH",
        format!(
            "Traefik {a}.{b}.{c} asks in version {}.{} of the Docker Engine's API, and the Engine speaks {major}.{minor} or newer: it sees no container",
            ASKED_IN.0, ASKED_IN.1
        ),
        format!("Traefik {}.{}.{} or newer", good[0], good[1], good[2]),
        format!(
            "give the container `{}` a newer image and start it again, then deploy again",
            container.name
        ),
    ))
}

/// Its name since 2.11; one that says no version is taken for a newer one, which serves nothing where that is wrong.
fn allow_list(container: &Container) -> &'static str {
    let tag = container.image.rsplit_once(':').map(|(_, tag)| tag);
    let version = [container.version.as_str(), tag.unwrap_or_default()]
        .into_iter()
        .find_map(|text| {
            let mut parts = text.trim_start_matches('v').split(['.', '-', '@']);
            let mut next = || parts.next()?.parse::<u64>().ok();
            Some([next()?, next()?])
        });
    match version {
        Some(old) if old < [2, 11] => "ipwhitelist",
        _ => "ipallowlist",
    }
}

/// `v3.6.1` and the like; a tag such as `v3.1` or `latest` does not say which.
fn numbers(text: &str) -> Option<[u64; 3]> {
    let mut parts = text.trim_start_matches('v').split(['.', '-', '@']);
    let mut next = || parts.next()?.parse().ok();
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traefik(command: &[&str]) -> Container {
        Container {
            name: "traefik".into(),
            image: "traefik:v3.6.1".into(),
            command: command.iter().map(|arg| (*arg).to_owned()).collect(),
            networks: vec!["bridge".into(), "edge".into()],
            ..Container::default()
        }
    }

    const FLAGS: &[&str] = &[
        "--providers.docker=true",
        "--entryPoints.web.address=:80",
        "--entryPoints.https.address=:443",
        "--certificatesResolvers.le.acme.tlsChallenge=true",
    ];

    fn wanted() -> Settings {
        Settings {
            network: Some("edge".into()),
            entrypoint: "https".into(),
            resolver: "le".into(),
            allow_list: "ipallowlist",
        }
    }

    #[test]
    fn settings_are_read_from_arguments_environment_or_file() {
        assert_eq!(settings(&traefik(FLAGS), None, None).unwrap(), wanted());
        let mut by_environment = traefik(&[]);
        by_environment.environment = vec![
            "TRAEFIK_PROVIDERS_DOCKER=true".into(),
            "TRAEFIK_ENTRYPOINTS_HTTPS_ADDRESS=:443".into(),
            "TRAEFIK_CERTIFICATESRESOLVERS_LE_ACME_EMAIL=a@b.c".into(),
        ];
        assert_eq!(settings(&by_environment, None, None).unwrap(), wanted());
        let yaml = "entryPoints:\n  https:\n    address: ':443'\nproviders:\n  docker: {}\ncertificatesResolvers:\n  le:\n    acme: {}\n";
        assert_eq!(
            settings(&traefik(&[]), Some(("t.yml", yaml)), None).unwrap(),
            wanted()
        );
        let toml = "[entryPoints.https]\naddress = ':443'\n[providers.docker]\n[certificatesResolvers.le.acme]\nemail = 'a'\n";
        assert_eq!(
            settings(&traefik(&[]), Some(("t.toml", toml)), None).unwrap(),
            wanted()
        );
    }

    #[test]
    fn names_keep_their_case_for_traefik_tells_them_apart_by_it() {
        let flags = [
            "--PROVIDERS.docker=true",
            "--entryPoints.webSecure.Address=:443",
            "--certificatesResolvers.letsEncrypt.acme.tlsChallenge=true",
        ];
        let yaml = "entryPoints:\n  webSecure:\n    address: ':443'\nproviders:\n  docker: {}\ncertificatesResolvers:\n  letsEncrypt:\n    acme: {}\n";
        let toml = "[entryPoints.webSecure]\naddress = ':443'\n[providers.docker]\n[certificatesResolvers.letsEncrypt.acme]\nemail = 'a'\n";
        for (command, file) in [
            (&flags[..], None),
            (&[], Some(("t.yml", yaml))),
            (&[], Some(("t.toml", toml))),
        ] {
            let found = settings(&traefik(command), file, None).unwrap();
            assert_eq!(
                (found.entrypoint.as_str(), found.resolver.as_str()),
                ("webSecure", "letsEncrypt")
            );
        }
    }

    #[test]
    fn a_port_inside_that_443_leads_to_is_where_browsers_come_in() {
        let flags = [
            FLAGS[0],
            "--entryPoints.other.address=:443",
            "--entryPoints.secure.address=:8443",
            FLAGS[3],
        ];
        let mut container = traefik(&flags);
        container.inside = [(80, 8080), (443, 8443)].into();
        assert_eq!(settings(&container, None, None).unwrap().entrypoint, "secure");
    }

    #[test]
    fn what_it_lacks_is_named() {
        let code = |command: &[&str]| {
            settings(&traefik(command), None, None)
                .unwrap_err()
                .code
                .to_string()
        };
        assert_eq!(code(&[]), "TRAEFIK_WITHOUT_DOCKER");
        assert_eq!(code(&FLAGS[..2]), "TRAEFIK_WITHOUT_HTTPS");
        assert_eq!(code(&FLAGS[..3]), "TRAEFIK_WITHOUT_RESOLVER");
        let mut alone = traefik(FLAGS);
        alone.networks = vec!["bridge".into()];
        assert_eq!(
            settings(&alone, None, None).unwrap_err().code,
            "TRAEFIK_ON_BRIDGE"
        );
        alone.networks = vec!["host".into()];
        assert_eq!(settings(&alone, None, None).unwrap().network, None);
    }

    #[test]
    fn a_traefik_that_cannot_talk_to_the_engine_is_named() {
        let with = |image: &str, oldest: &str| {
            let container = Container {
                image: image.into(),
                ..traefik(FLAGS)
            };
            settings(&container, None, Some(oldest)).is_ok()
        };
        assert!(!with("traefik:v3.6.0", "1.44\n") && !with("library/traefik:2.10.7", "1.25"));
        assert!(
            with("traefik:v3.6.0", "1.24")
                && with("traefik:v3.6.1", "1.44")
                && with("traefik:2.11.31", "1.44")
                && with("traefik:v3.6.0", "")
        );
        assert!(
            with("traefik:latest", "1.44"),
            "a tag that says nothing is no evidence"
        );
    }

    #[test]
    fn the_middleware_for_a_limit_is_called_as_the_version_does() {
        for (image, name) in [
            ("traefik:v2.10", "ipwhitelist"),
            ("traefik:2.10.7", "ipwhitelist"),
            ("traefik:v2.11.31", "ipallowlist"),
            ("traefik:v3.6.1", "ipallowlist"),
            ("traefik:latest", "ipallowlist"),
        ] {
            let container = Container {
                image: image.into(),
                ..traefik(FLAGS)
            };
            assert_eq!(
                settings(&container, None, None).unwrap().allow_list,
                name,
                "{image}"
            );
        }
    }

    #[test]
    fn a_mounted_file_is_found_on_the_host() {
        let mut container = traefik(&["--configFile=/conf/t.yml"]);
        container.mounts = vec![("/srv/t".into(), "/conf".into())];
        assert_eq!(config_files(&container)[0], "/conf/t.yml");
        assert_eq!(
            on_the_host(&container, "/conf/t.yml").as_deref(),
            Some("/srv/t/t.yml")
        );
        assert_eq!(on_the_host(&container, "/config/t.yml"), None);
        assert_eq!(on_the_host(&container, "/conf/../../etc/shadow"), None);
    }
}
