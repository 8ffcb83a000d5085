//! Site files and policies, and what a site may hold whoever wrote it.

use super::texts;
use chatalot_agent::policy::{Effect, Policy};
use chatalot_console::flags::SiteFlags;
use chatalot_protocol::inputs::Inputs;
use chatalot_protocol::site::{Acme, LoginName, Site, Word};
use chatalot_protocol::work::Work;
use std::io::Write as _;
use std::path::{Component, Path};
use std::sync::LazyLock;
use std::time::Duration;
use tempfile::NamedTempFile;
use toml::{Table, Value};

static FILE: LazyLock<NamedTempFile> =
    LazyLock::new(|| NamedTempFile::new_in(super::scratch("site")).unwrap());

pub(super) fn open() {
    LazyLock::force(&FILE);
}

pub(super) fn site_file(input: &[u8]) {
    let mut file = FILE.as_file();
    file.set_len(0).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    file.write_all(input).unwrap();
    let flags = SiteFlags {
        site: Some(FILE.path().to_owned()),
        ..SiteFlags::default()
    };
    match flags.collect() {
        Ok(inputs) => completed(inputs),
        // No error shows a line of the file, for it may hold a secret; what it shows is no more than a page.
        Err(failure) => assert!(failure.to_string().len() < 4096),
    }
}

fn completed(inputs: Inputs) {
    let given = inputs.clone();
    // Without the secrets: what else was given may be the same text.
    let elsewhere = format!("{given:?}");
    match inputs.complete() {
        Ok((site, secrets)) => {
            judge_site(&site);
            for (_, secret) in secrets.present() {
                assert!(
                    secret.expose().chars().count() >= 4 && !secret.expose().contains(char::is_whitespace)
                );
            }
            let text = serde_json::to_vec(&site).unwrap();
            assert_eq!(serde_json::from_slice::<Site>(&text).unwrap(), site);
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "a refusal says why");
            for problem in problems {
                assert!(!problem.why.contains(|c: char| c.is_control()), "{problem:?}");
                for secret in [
                    &given.registry_token,
                    &given.oidc_client_secret,
                    &given.cloudflare_token,
                ] {
                    let shown = secret.as_ref().is_some_and(|secret| {
                        secret.expose().len() > 8
                            && problem.why.contains(secret.expose())
                            && !elsewhere.contains(secret.expose())
                    });
                    assert!(!shown, "a problem never shows a secret");
                }
            }
        }
    }
}

/// No value of a site is a trick on a shell, a path, an option or a template, however it got in.
pub(super) fn judge_site(site: &Site) {
    let domain = site.domain.as_str();
    assert!(domain.contains('.') && domain.len() <= 253, "{domain:?}");
    assert!(
        domain
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b))
    );
    assert!(
        domain.split('.').all(|label| {
            (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
        }),
        "{domain:?}"
    );
    let mut words = vec![
        domain,
        site.admin.as_str(),
        site.source.repository.as_str(),
        site.source.reference.as_str(),
        site.folder.as_str(),
    ];
    words.extend(site.registry_user.as_ref().map(Word::as_str));
    words.extend(site.docker_group.as_ref().map(LoginName::as_str));
    words.extend(
        site.oidc
            .iter()
            .flat_map(|oidc| [oidc.issuer.as_str(), oidc.client_id.as_str()]),
    );
    let mut paths = vec![site.folder.as_str()];
    if let Acme::Private { directory, root } = &site.acme {
        words.extend([directory.as_str(), root.as_str()]);
        paths.push(root.as_str());
    }
    for word in words {
        assert!(
            !word.is_empty() && !word.starts_with('-') && word.len() <= 1024,
            "{word:?}"
        );
        assert!(
            word.bytes()
                .all(|b| b.is_ascii_graphic() && !b"\"'`\\$".contains(&b)),
            "{word:?}"
        );
    }
    for path in paths {
        let plain = Path::new(path)
            .components()
            .skip(1)
            .all(|part| matches!(part, Component::Normal(_)));
        assert!(path.starts_with('/') && plain && !path.contains("//"), "{path:?}");
        assert!(
            !["/proc", "/sys", "/dev", "/run", "/tmp"]
                .iter()
                .any(|bad| Path::new(path).starts_with(bad))
        );
    }
    let reference = site.source.reference.as_str();
    assert!(
        !reference.contains("..") && !reference.starts_with(['/', '.']),
        "{reference:?}"
    );
    let (_, rest) = site.source.repository.as_str().split_once("://").unwrap();
    let host = rest.split('/').next().unwrap_or_default();
    let bare = host.rsplit('@').next().unwrap_or_default();
    assert!(
        !bare.starts_with('-'),
        "no option of ssh's in place of a host: {host:?}"
    );
}

/// Two sites of which a policy may allow one, both or none.
static SITES: LazyLock<[Site; 2]> = LazyLock::new(|| {
    ["chat.example.com", "other.example.org"].map(|domain| {
        let inputs = Inputs {
            domain: Some(domain.to_owned()),
            admin_username: Some("alice".to_owned()),
            proxy: Some(
                if domain.starts_with("chat") {
                    "caddy"
                } else {
                    "nginx"
                }
                .to_owned(),
            ),
            folder: Some(
                if domain.starts_with("chat") {
                    "/srv/chatalot"
                } else {
                    "/opt/chat"
                }
                .to_owned(),
            ),
            ..Inputs::default()
        };
        inputs.complete().unwrap().0
    })
});

/// A policy that cannot be read denies; one that can allows only what the same text says to somebody else's reader.
pub(super) fn policy(input: &[u8]) {
    let [text] = texts(input);
    let policy = match Policy::parse(&text) {
        Ok(policy) => policy,
        Err(advice) if text.len() > 64 << 10 => return assert_eq!(advice.code, "POLICY_TOO_LONG"),
        Err(advice) => return assert_eq!(advice.code, "POLICY_INVALID"),
    };
    assert!(!policy.words().is_empty());
    let table: Table = text.parse().expect("what was read is TOML");
    for site in &*SITES {
        for work in [
            Work::Deploy,
            Work::Uninstall,
            Work::UninstallWithData,
            Work::Unknown,
        ] {
            for now_ms in [0, 1_790_000_000_000, i64::MAX, i64::MIN] {
                if policy.judge_work(site, work, now_ms).is_ok() {
                    allowed(&table, site, work);
                }
                let effect = Effect {
                    work,
                    packages: &["caddy", "docker.io"],
                    repositories: &["docker"],
                    running: Duration::from_secs(u64::from(u32::MAX)),
                };
                if policy.judge_effect(site, effect, now_ms).is_ok() {
                    allowed(&table, site, work);
                    for (key, names) in [
                        ("packages", &["caddy", "docker.io"][..]),
                        ("repositories", &["docker"]),
                    ] {
                        let all = listed(&table, key);
                        assert!(
                            all.is_none_or(|all| names.iter().all(|name| all.iter().any(|one| one == name)))
                        );
                    }
                }
            }
        }
    }
}

fn allowed(table: &Table, site: &Site, work: Work) {
    assert_eq!(table.get("enabled"), Some(&Value::Boolean(true)));
    assert!(
        listed(table, "verbs")
            .unwrap()
            .iter()
            .any(|verb| verb == work.word())
    );
    if !work.is_deploy() {
        return;
    }
    let names =
        |key: &str, name: &str| listed(table, key).is_none_or(|all| all.iter().any(|one| one == name));
    // A policy may name a domain as people write it, with a dot at its end or in capitals.
    let domains = listed(table, "domains");
    assert!(domains.is_none_or(|all| all.iter().any(|one| {
        one.parse::<chatalot_protocol::site::Domain>()
            .is_ok_and(|one| one == site.domain)
    })));
    assert!(names("proxies", site.proxy.as_str()));
    if let Some(Value::String(folder)) = table.get("install_dir") {
        assert!(Path::new(site.folder.as_str()).starts_with(folder));
    }
}

fn listed(table: &Table, key: &str) -> Option<Vec<String>> {
    let all = table.get(key)?.as_array()?;
    Some(all.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}
