//! The house rules that a machine can read.

#![allow(
    clippy::unwrap_used,
    reason = "a test whose helpers are outside of test functions"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn tracked(pattern: &str) -> Vec<(String, String)> {
    let listed = Command::new("git")
        .args(["ls-files", pattern])
        .current_dir(root())
        .output()
        .unwrap();
    String::from_utf8(listed.stdout)
        .unwrap()
        .lines()
        .filter_map(|path| Some((path.to_owned(), fs::read_to_string(root().join(path)).ok()?)))
        .collect()
}

#[test]
fn no_file_is_longer_than_450_lines() {
    let files = tracked("*.rs");
    assert!(files.len() > 50, "git lists the sources");
    let long: Vec<_> = files
        .iter()
        .filter(|(_, text)| text.lines().count() > 450)
        .map(|(path, text)| format!("{path}: {}", text.lines().count()))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn the_protocol_needs_no_runtime_unless_it_is_asked_for() {
    let tree = Command::new("cargo")
        .args([
            "tree",
            "--offline",
            "--locked",
            "-p",
            "chatalot-protocol",
            "--no-default-features",
            "-e",
            "normal",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("serde_json") && !tree.contains("tokio"), "{tree}");
}

#[test]
fn only_the_host_starts_processes_in_the_agent() {
    for (path, text) in tracked("agent/src/*.rs") {
        let allowed = path.starts_with("agent/src/host/linux");
        assert!(
            allowed || !text.contains("process::Command"),
            "{path} starts a process"
        );
        let shell = ["sh", "bash", "/bin/sh"]
            .iter()
            .any(|shell| text.contains(&format!("Command::new(\"{shell}\"")));
        assert!(
            !shell || path.ends_with("tests.rs"),
            "{path} may hand text to a shell"
        );
    }
}

#[test]
fn nothing_that_is_shipped_knows_of_the_stand_in_or_the_sandbox() {
    for folder in [
        "agent/*",
        "controller/*",
        "protocol/*",
        "console/*",
        "packaging/*",
    ] {
        for (path, text) in tracked(folder) {
            let text = text.to_lowercase();
            for word in ["stand-in", "stand_in", "sandbox", "203.0.113.1/", "pebble"] {
                assert!(!text.contains(word), "{path} knows of `{word}`");
            }
        }
    }
}

#[test]
fn no_file_names_a_machine_or_carries_a_key() {
    for (path, text) in tracked("*") {
        // Tests of what recognises a key have to show one.
        if path.ends_with("tests.rs") || path.ends_with("house_rules.rs") {
            continue;
        }
        for word in [
            "/work/",
            "/root/.cargo",
            "/root/.rustup",
            "BEGIN PRIVATE KEY",
            "BEGIN EC PRIVATE KEY",
        ] {
            assert!(!text.contains(word), "{path} contains `{word}`");
        }
    }
}

#[test]
fn every_test_is_run_and_none_sleeps() {
    for (path, text) in tracked("*.rs") {
        if path == "tests/tests/house_rules.rs" {
            continue;
        }
        assert!(!text.contains("#[ignore"), "{path} ignores a test");
        assert!(!text.contains("thread::sleep"), "{path} sleeps");
    }
}

/// What the runbook tells without a row of docs/diagnosis.md, and why that is no cause on a host.
const NO_CAUSES: &[(&str, &str)] = &[
    ("CERTIFICATE_STAYS", "what `uninstall` ends with"),
    ("NOT_REMOVED", "what `uninstall` ends with"),
    ("OUTSIDE_NAME_UNKNOWN", "nothing was seen from outside"),
    ("OUTSIDE_NO_ANSWER", "nothing was seen from outside"),
    ("OUTSIDE_OTHER_CONTROLLER", "nothing was seen from outside"),
    ("OUTSIDE_PARTLY_UNTOLD", "nothing was seen from outside"),
    ("OUTSIDE_PRIVATE", "nothing was seen from outside"),
    ("PLAN_CHANGED_UNDERWAY", "a refusal"),
    ("PORT_8080_PUBLIC", "a note of a check that is satisfied"),
    ("PORT_PUBLIC", "a note of a check that is satisfied"),
    ("SYSTEM_UNREADABLE", "nothing is diagnosed without it"),
    ("VOLUMES_STAY", "what `uninstall` ends with"),
];

#[test]
fn every_code_that_the_runbook_tells_has_its_row_or_says_why_not() {
    let page = fs::read_to_string(root().join("docs/diagnosis.md")).unwrap();
    let mut without = BTreeSet::new();
    for (path, text) in tracked("agent/src/runbook/*.rs") {
        if ["/diagnosis/", "/laws/", "/tests", "tests.rs"]
            .iter()
            .any(|part| path.contains(part))
        {
            continue;
        }
        let text = text.replace(".env(", "").replace("code: ", "(");
        let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for first in shipped
            .split('(')
            .filter_map(|rest| rest.trim_start().strip_prefix('"'))
        {
            let (code, after) = first.split_once('"').unwrap_or_default();
            let is_code = code.contains('_')
                && code
                    .bytes()
                    .all(|b| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b'_'));
            if is_code && after.starts_with(',') && !page.contains(&format!("| `{code}` |")) {
                without.insert(code.to_owned());
            }
        }
    }
    let known = NO_CAUSES.iter().map(|(code, _)| (*code).to_owned());
    assert_eq!(
        without,
        known.collect::<BTreeSet<_>>(),
        "a row in the agent's diagnosis, or a reason here"
    );
}
