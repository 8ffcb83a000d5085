//! `docs/protocol.md` is what another controller could be written from: it names every message and its numbers are ours.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test cannot do is a failed test"
)]

use chatalot_protocol::identity::{ALPN_CHANNEL, ALPN_HTTP, CONTROLLER_NAME, agent_uri};
use chatalot_protocol::message::RejectReason;
use chatalot_protocol::version::{NEWEST, OLDEST};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    fs::read_to_string(root().join("docs/protocol.md")).unwrap()
}

#[test]
fn the_page_names_every_message_and_no_other() {
    let page = page();
    let mut golden = Vec::new();
    for version in OLDEST..=NEWEST {
        let folder = root().join(format!("protocol/tests/golden/v{version}"));
        for file in fs::read_dir(folder).unwrap() {
            golden.push(
                file.unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
    assert!(golden.len() > 40, "the golden files are found");
    for name in &golden {
        assert!(page.contains(&format!("`{name}`")), "{name} is not in the page");
    }
    let kinds = ["to_agent", "to_controller", "ask", "answer", "event", "http"];
    let named = page.split('`').skip(1).step_by(2);
    for name in named.filter(|name| {
        name.split_once('.')
            .is_some_and(|(kind, _)| kinds.contains(&kind))
    }) {
        assert!(
            golden.iter().any(|known| known == name),
            "there is no message {name}"
        );
    }
}

#[test]
fn the_page_tells_names_versions_and_reasons_as_they_are() {
    let page = page();
    let uuid = "<cluster>/agent/<host>";
    let uri = agent_uri(
        uuid::Uuid::nil(),
        "00000000-0000-0000-0000-000000000000".parse().unwrap(),
    );
    assert_eq!(
        uri.replace("00000000-0000-0000-0000-000000000000", ""),
        "spiffe:///agent/"
    );
    let versions = format!("The oldest is {OLDEST}, the newest is {NEWEST};");
    let alpn = [ALPN_CHANNEL, ALPN_HTTP].map(|protocol| std::str::from_utf8(protocol).unwrap());
    for word in [
        alpn[0],
        alpn[1],
        CONTROLLER_NAME,
        &format!("spiffe://{uuid}"),
        &versions,
    ] {
        assert!(page.contains(word), "{word}");
    }
    let rows: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")).collect();
    for reason in [
        RejectReason::Revoked,
        RejectReason::Locked,
        RejectReason::Version,
        RejectReason::Superseded,
        RejectReason::Busy,
        RejectReason::Stopping,
        RejectReason::Malformed,
    ] {
        // Another reason does not compile without its place here.
        match reason {
            RejectReason::Revoked
            | RejectReason::Locked
            | RejectReason::Version
            | RejectReason::Superseded
            | RejectReason::Busy
            | RejectReason::Stopping
            | RejectReason::Malformed
            | RejectReason::Other => {}
        }
        let word = serde_json::to_value(reason).unwrap();
        let row = format!("{}` |", word.as_str().unwrap());
        assert!(
            rows.iter().any(|line| line.starts_with(&row)),
            "{word} has no row"
        );
    }
}

/// A number of the page as the sources write it.
fn as_written(amount: &str) -> String {
    match amount.split_once(' ') {
        None => amount.to_owned(),
        Some((number, "s")) => format!("Duration::from_secs({number})"),
        Some((number, "min")) => format!("Duration::from_mins({number})"),
        Some((number, "h")) => format!("Duration::from_hours({number})"),
        Some((number, "KiB")) => format!("{number} << 10"),
        Some((number, "MiB")) => format!("{number} << 20"),
        Some((_, unit)) => panic!("what is a {unit}?"),
    }
}

#[test]
fn every_number_of_the_page_is_the_one_in_the_code() {
    let page = page();
    let table = page.split("## Limits and times").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let mut judged = 0;
    for row in table.lines().filter(|line| line.contains(".rs`")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [_, amount, place] = cells.as_slice() else {
            panic!("not three cells: {row}")
        };
        let mut place = place.split('`').skip(1).step_by(2);
        let (file, name) = (place.next().unwrap(), place.next().unwrap());
        let source = fs::read_to_string(root().join(file)).unwrap();
        let found = source.lines().find_map(|line| {
            let (head, value) = line.trim_end_matches(';').split_once(" = ")?;
            head.contains(&format!("const {name}:")).then_some(value)
        });
        let found = found.unwrap_or_else(|| panic!("there is no {name} in {file}"));
        assert_eq!(
            found.replace('_', ""),
            as_written(amount).replace('_', ""),
            "{row}"
        );
        judged += 1;
    }
    assert!(judged > 30, "the rows are found");
}
