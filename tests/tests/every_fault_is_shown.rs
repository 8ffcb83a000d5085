//! `docs/faults.md`: each fault that must be survived, and the tests that are named after its row.

#![allow(
    clippy::unwrap_used,
    reason = "a test whose helpers are outside of test functions"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PAGE: &str = "docs/faults.md";
/// Where the reasons begin.
const REASONS: &str = "## Without a test";
/// How many rows may have a reason instead of a test.
const MOST_REASONS: usize = 4;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The tests of each row, as `name` in its file.
fn tests() -> BTreeMap<u32, BTreeSet<(String, String)>> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
        .current_dir(root())
        .output()
        .unwrap();
    let mut tests: BTreeMap<u32, BTreeSet<(String, String)>> = BTreeMap::new();
    for path in String::from_utf8(listed.stdout).unwrap().lines() {
        let text = fs::read_to_string(root().join(path)).unwrap_or_default();
        let names = text
            .lines()
            .filter_map(|line| line.trim_start().trim_start_matches("async ").strip_prefix("fn "))
            .filter_map(|rest| rest.split_once('(').map(|(name, _)| name));
        for name in names {
            for row in rows_of(name) {
                tests
                    .entry(row)
                    .or_default()
                    .insert((path.to_owned(), name.to_owned()));
            }
        }
    }
    tests
}

/// The rows that a name begins with: `f42_f43_…`, or `f52_to_f57_…` for all between.
fn rows_of(name: &str) -> Vec<u32> {
    let number =
        |word: &str| -> Option<u32> { word.strip_prefix('f').filter(|n| n.len() == 2)?.parse().ok() };
    let (mut rows, mut to) = (Vec::new(), false);
    for word in name.split('_') {
        match (number(word), rows.last().copied()) {
            (Some(row), Some(first)) if to => rows.extend(first + 1..=row),
            (Some(row), _) => rows.push(row),
            (None, Some(_)) if word == "to" && !to => {
                to = true;
                continue;
            }
            (None, _) => break,
        }
        to = false;
    }
    rows
}

/// A row of the page: its number, the fault, and what is expected.
fn row(line: &str) -> Option<(u32, &str)> {
    let cells = line.strip_prefix("| ")?;
    let number = cells.split_once(" |")?.0.parse().ok()?;
    let told = line.match_indices(" | ").nth(2).map_or(line.len(), |(at, _)| at);
    Some((number, &line[..told]))
}

/// The rows that have a reason: the numbers in bold.
fn reasons(page: &str) -> BTreeSet<u32> {
    let reasons = page.split_once(REASONS).map_or("", |(_, after)| after);
    reasons.split("**").filter_map(|word| word.parse().ok()).collect()
}

fn made_anew(page: &str, tests: &BTreeMap<u32, BTreeSet<(String, String)>>) -> String {
    let mut made = String::new();
    for line in page.lines() {
        let Some((number, told)) = row(line) else {
            made.push_str(line);
            made.push('\n');
            continue;
        };
        let names: Vec<String> = tests
            .get(&number)
            .into_iter()
            .flatten()
            .map(|(path, name)| format!("[`{name}`](../{path})"))
            .collect();
        let shown = if names.is_empty() {
            "see below".to_owned()
        } else {
            names.join("<br>")
        };
        writeln!(made, "{told} | {shown} |").unwrap();
    }
    made
}

#[test]
fn each_row_has_a_test_or_a_reason_and_the_page_names_them() {
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).unwrap();
    let (tests, reasons) = (tests(), reasons(&page));
    let rows: BTreeSet<u32> = page.lines().filter_map(row).map(|(number, _)| number).collect();
    assert_eq!(rows, (1..=72).collect(), "each row is there once");
    let bare: Vec<_> = rows
        .iter()
        .filter(|number| !tests.contains_key(number) && !reasons.contains(number))
        .collect();
    assert!(bare.is_empty(), "without test or reason: {bare:?}");
    let both: Vec<_> = reasons
        .iter()
        .filter(|number| tests.contains_key(number))
        .collect();
    assert!(both.is_empty(), "a reason beside a test: {both:?}");
    assert!(reasons.len() <= MOST_REASONS, "{reasons:?}");
    let unknown: Vec<_> = tests.keys().filter(|number| !rows.contains(number)).collect();
    assert!(unknown.is_empty(), "tests of no row: {unknown:?}");
    let made = made_anew(&page, &tests);
    if std::env::var_os("CHATALOT_WRITE_DOCS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap() == made,
        "stale: run this test with CHATALOT_WRITE_DOCS=1"
    );
}

#[test]
fn a_test_belongs_to_the_rows_that_its_name_begins_with() {
    assert_eq!(rows_of("f07_a_lost_reply"), [7]);
    assert_eq!(rows_of("f42_f43_f44_a_bad_repository"), [42, 43, 44]);
    assert_eq!(rows_of("f52_to_f57_a_deployment_stops"), [52, 53, 54, 55, 56, 57]);
    assert!(rows_of("a_function_of_f12").is_empty() && rows_of("f1_x").is_empty());
}
