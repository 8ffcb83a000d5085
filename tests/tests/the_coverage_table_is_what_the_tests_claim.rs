//! `docs/coverage.md`: what was shown, for which distribution, proxy and option, and how. It is made of the claims that
//! stand above the tests, `// coverage: LEVEL · DISTRIBUTIONS · PROXIES · OPTIONS`, one line a kind of site; a claim that
//! its own test does not bear out fails here.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test whose helpers are outside of test functions"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use chatalot_agent::runbook::distro::{DISTROS, Manager};

const PAGE: &str = "docs/coverage.md";
/// What is in front: a proxy that a deployment sets up, one that is the operator's own affair, or a tunnel.
const PROXIES: &[&str] = &["caddy", "nginx", "traefik", "own proxy", "tunnel"];
/// What a test has to say to have it; caddy is what is had without a word.
const IN_FRONT: &[(&str, &str)] = &[
    ("caddy", ""),
    ("nginx", "\"--proxy\", \"nginx\""),
    ("traefik", "\"--proxy\", \"traefik\""),
    ("own proxy", "\"--proxy\", \"none\""),
    ("tunnel", "\"--cloudflare-token-file\""),
];
/// Each option with what a test has to say to have it, and what it must not say.
const OPTIONS: &[(&str, &str, &str)] = &[
    ("TURN", "--turn-external-ip", ""),
    ("updater on", "", "--no-updates"),
    ("updater off", "--no-updates", ""),
    ("registry", "--registry-user", ""),
    ("OIDC", "--oidc-issuer", ""),
    ("SSO only", "--oidc-disable-password-login", ""),
    ("limited until admin", "--limit-until-admin", ""),
    ("overwrite-env", "--overwrite-env", ""),
    ("loopback-only", "--loopback-only", ""),
];
/// Options that are refused with what is in front: without a proxy of ours nobody keeps strangers out.
const NEVER: &[(&str, &[&str])] = &[("limited until admin", &["own proxy", "tunnel"])];
/// What makes a VPS of a distribution.
const MADE_BY: &[(&str, &[&str])] = &[
    (
        "Debian 13",
        &["Journey::joined(", "Journey::looked_at(", "Vps::fresh("],
    ),
    ("Debian 12", &["Vps::fresh_debian12("]),
    ("Ubuntu 24.04", &["Vps::fresh_ubuntu("]),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    None,
    Assumed,
    Packages,
    Real,
}

impl Level {
    const fn words(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Assumed => "assumed",
            Self::Packages => "real package manager",
            Self::Real => "**run for real**",
        }
    }
}

/// What a test says that it shows.
#[derive(Debug)]
struct Claim {
    level: Level,
    rows: BTreeSet<String>,
    proxies: BTreeSet<String>,
    options: BTreeSet<String>,
    file: String,
    test: String,
    /// The text of the file and of its modules, for what bears the claim out.
    source: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rows() -> impl Iterator<Item = &'static str> {
    DISTROS
        .iter()
        .filter(|row| row.refused.is_none())
        .map(|row| row.name)
}

fn claims() -> Vec<Claim> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
        .current_dir(root())
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut claims = Vec::new();
    for file in listed.lines() {
        let own = read(file);
        let lines: Vec<&str> = own.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            if let Some(text) = line.strip_prefix("// coverage: ") {
                claims.push(claim(text, file, &lines[at..], &with_modules(file, &listed)));
            }
        }
    }
    claims
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_default()
}

/// The text of a test and of its modules, which are in the folder of its name.
fn with_modules(file: &str, listed: &str) -> String {
    let folder = format!("{}/", file.trim_end_matches(".rs"));
    let modules = listed.lines().filter(|other| other.starts_with(&folder));
    std::iter::once(file).chain(modules).map(read).collect()
}

fn claim(text: &str, file: &str, below: &[&str], source: &str) -> Claim {
    let mut below = below.iter().skip_while(|line| line.starts_with("//"));
    assert_eq!(
        below.next(),
        Some(&"#[test]"),
        "{file}: `{text}` stands above no test"
    );
    let name = below.find_map(|line| line.strip_prefix("fn ")).unwrap();
    let mut words = text.split(" · ");
    let level = match words.next() {
        Some("real") => Level::Real,
        Some("real-packages") => Level::Packages,
        Some("assumed") => Level::Assumed,
        other => panic!("{file}: {other:?} is no level"),
    };
    let mut list = |known: Vec<&str>, every: bool| -> BTreeSet<String> {
        let named: Vec<&str> = words
            .next()
            .unwrap_or_default()
            .split(", ")
            .filter(|word| !word.is_empty())
            .collect();
        if every && named == ["every row"] {
            return known.into_iter().map(str::to_owned).collect();
        }
        let unknown: Vec<_> = named.iter().filter(|word| !known.contains(word)).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
        named.into_iter().map(str::to_owned).collect()
    };
    Claim {
        level,
        rows: list(rows().collect(), true),
        proxies: list(PROXIES.to_vec(), false),
        options: list(OPTIONS.iter().map(|(name, ..)| *name).collect(), false),
        file: file.to_owned(),
        test: name.split('(').next().unwrap_or_default().to_owned(),
        source: source.to_owned(),
    }
}

/// The best level that any claim has for what `holds` says.
fn best(claims: &[Claim], holds: impl Fn(&Claim) -> bool) -> &'static str {
    let levels = claims.iter().filter(|one| holds(one)).map(|one| one.level);
    levels.max().unwrap_or(Level::None).words()
}

fn table(corner: &str, across: &[&str], down: &[&str], cell: impl Fn(&str, &str) -> &'static str) -> String {
    let mut text = format!(
        "| {corner} | {} |\n|---|{}\n",
        across.join(" | "),
        "---|".repeat(across.len())
    );
    for row in down {
        let cells: Vec<&str> = across.iter().map(|column| cell(row, column)).collect();
        let _ = writeln!(text, "| {row} | {} |", cells.join(" | "));
    }
    text
}

fn page(claims: &[Claim]) -> String {
    let rows: Vec<&str> = rows().collect();
    let options: Vec<&str> = OPTIONS.iter().map(|(name, ..)| *name).collect();
    let mut text = include_str!("coverage/head.md").to_owned();
    text += "\n## Distributions and proxies\n\n";
    text += &table("", PROXIES, &rows, |row, proxy| {
        best(claims, |one| {
            one.rows.contains(row) && one.proxies.contains(proxy)
        })
    });
    text += "\n## Distributions and options\n\n";
    text += &table("", &options, &rows, |row, option| {
        best(claims, |one| {
            one.rows.contains(row) && one.options.contains(option)
        })
    });
    text += "\n## Options and proxies\n\n";
    text += &table("", PROXIES, &options, |option, proxy| {
        let refused = |(of, with): &&(&str, &[&str])| *of == option && with.contains(&proxy);
        if NEVER.iter().any(|never| refused(&never)) {
            return "refused";
        }
        best(claims, |one| {
            one.options.contains(option) && one.proxies.contains(proxy)
        })
    });
    text += "\n## Which test shows what\n\n| test | level | distributions | proxies | options |\n|---|---|---|---|---|\n";
    for one in claims {
        let list = |all: &BTreeSet<String>| all.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let all = if one.rows.len() == rows.len() {
            "every one".to_owned()
        } else {
            list(&one.rows)
        };
        let _ = writeln!(
            text,
            "| `{}` in `{}` | {} | {all} | {} | {} |",
            one.test,
            one.file,
            one.level.words(),
            list(&one.proxies),
            list(&one.options)
        );
    }
    text
}

#[test]
fn the_page_is_up_to_date() {
    let mut claims = claims();
    claims.sort_by(|one, other| {
        (other.level, &one.file, &one.test).cmp(&(one.level, &other.file, &other.test))
    });
    let (path, wanted) = (root().join(PAGE), page(&claims));
    if std::env::var_os("CHATALOT_WRITE_DOCS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        found, wanted,
        "{PAGE} is stale: run this test with CHATALOT_WRITE_DOCS=1"
    );
}

#[test]
fn a_journey_has_the_distribution_the_proxy_and_the_options_that_it_claims() {
    let real: Vec<_> = claims()
        .into_iter()
        .filter(|one| one.level == Level::Real)
        .collect();
    assert!(real.len() > 3, "{real:?}");
    for one in real {
        assert!(one.file.starts_with("tests/tests/"), "{one:?}");
        for row in &one.rows {
            let made_by = MADE_BY
                .iter()
                .find(|(name, _)| name == row)
                .map_or(&[][..], |(_, by)| by);
            assert!(
                made_by.iter().any(|by| one.source.contains(by)),
                "{}: {row}",
                one.file
            );
        }
        assert_eq!(one.proxies.len(), 1, "{}: one proxy a line", one.file);
        for (proxy, says) in IN_FRONT.iter().filter(|(name, _)| one.proxies.contains(*name)) {
            assert!(one.source.contains(says), "{}: {proxy}", one.file);
        }
        for (_, says, not) in OPTIONS.iter().filter(|(name, ..)| one.options.contains(*name)) {
            assert!(one.source.contains(says), "{}: {says}", one.file);
            assert!(not.is_empty() || !one.source.contains(not), "{}: {not}", one.file);
        }
    }
}

#[test]
fn a_real_package_manager_is_claimed_only_where_one_runs() {
    for one in claims().iter().filter(|one| one.level == Level::Packages) {
        assert!(
            one.file == "tests/tests/journeys/real_dnf_and_pacman_obey_the_rows.rs",
            "{}",
            one.file
        );
        assert!(one.options.is_empty(), "{}: no option is part of it", one.test);
        for row in DISTROS.iter().filter(|row| one.rows.contains(row.name)) {
            let word = match row.manager {
                Manager::Apt => "apt",
                Manager::Dnf => "real_dnf",
                Manager::Pacman => "real_pacman",
            };
            assert!(one.test.starts_with(word), "{}: {}", one.test, row.name);
        }
        for proxy in &one.proxies {
            let case = format!("Case::new(row.name, \"{proxy}\", packages).journey()");
            assert!(one.source.contains(&case), "{}: {proxy}", one.test);
        }
    }
}

#[test]
fn what_is_assumed_is_claimed_by_the_laws_only() {
    let claims = claims();
    let mut assumed = claims.iter().filter(|one| one.level == Level::Assumed);
    assert!(assumed.all(|one| one.file.starts_with("agent/src/runbook/laws/")));
}
