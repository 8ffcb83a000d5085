//! Every message of every protocol version, as it was written then. A file here is never edited: when one is no longer
//! read, the other side of an upgrade is not understood any more. A new message gets a new file.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test cannot do is a failed test"
)]

use chatalot_protocol::approve::{EnrolReply, EnrolRequest};
use chatalot_protocol::enrol::{JoinReply, JoinRequest};
use chatalot_protocol::event::{Event, What};
use chatalot_protocol::frame::{self, HEADER, MAX_CONTROL};
use chatalot_protocol::message::{Answer, Ask, ToAgent, ToController};
use chatalot_protocol::renew::RenewRequest;
use chatalot_protocol::version::{NEWEST, OLDEST};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The name and content of each file of a version.
fn golden(version: u32) -> Vec<(String, Value)> {
    let folder = here().join(format!("tests/golden/v{version}"));
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_slice(&fs::read(&path).unwrap()).unwrap())
        })
        .collect()
}

/// Reads a value as this build does, and writes it again.
fn again<T: DeserializeOwned + Serialize + PartialEq>(name: &str, value: &Value, unknown: &T) -> Value {
    let read: T = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(read != *unknown, "{name} is not known any more");
    serde_json::to_value(read).unwrap()
}

fn through_this_build(name: &str, value: &Value) -> Value {
    match name.split_once('.').unwrap().0 {
        "to_agent" => again(name, value, &ToAgent::Unknown),
        "to_controller" => again(name, value, &ToController::Unknown),
        "ask" => again(name, value, &Ask::Unknown),
        "answer" => again(name, value, &Answer::Unknown),
        "http" => over_http(name, value),
        "event" => {
            let event: Event = serde_json::from_value(value.clone()).unwrap();
            assert_ne!(event.what, What::Unknown, "{name} is not known any more");
            serde_json::to_value(event).unwrap()
        }
        other => panic!("a file of the unknown kind {other}"),
    }
}

/// What is asked and answered over HTTPS, before there is a session.
fn over_http(name: &str, value: &Value) -> Value {
    fn read<T: DeserializeOwned + Serialize>(name: &str, value: &Value) -> Value {
        let read: T = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
        serde_json::to_value(read).unwrap()
    }
    let read = match name {
        "http.join_request" => read::<JoinRequest>,
        "http.join_reply" => read::<JoinReply>,
        "http.renew_request" => read::<RenewRequest>,
        "http.enrol_request" => read::<EnrolRequest>,
        "http.enrol_waiting" | "http.enrol_joined" => read::<EnrolReply>,
        other => panic!("a file of the unknown exchange {other}"),
    };
    read(name, value)
}

/// Everything that was said is still there; more may be.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(key, part)| whole.get(key).map_or(part.is_null(), |whole| holds(whole, part))),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| holds(whole, part))
        }
        _ => whole == part,
    }
}

#[test]
fn f29_every_message_of_every_version_is_read_and_means_what_it_meant() {
    for version in OLDEST..=NEWEST {
        for (name, value) in golden(version) {
            let read = through_this_build(&name, &value);
            assert!(
                holds(&read, &value),
                "{name} of version {version} is now {read:#}"
            );
        }
    }
}

/// Adds a field to every object: what the next version may do.
fn with_more(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: serde_json::Map<_, _> = fields
                .iter()
                .map(|(key, value)| (key.clone(), with_more(value)))
                .collect();
            // A table of names and texts takes any name, and only texts.
            if !fields.values().all(Value::is_string) || fields.contains_key("type") {
                fields.insert("of_the_next_version".to_owned(), Value::from(vec![1, 2]));
            }
            fields.into()
        }
        Value::Array(values) => values.iter().map(with_more).collect(),
        other => other.clone(),
    }
}

#[test]
fn f29_fields_of_the_next_version_are_passed_over_everywhere() {
    for (name, value) in golden(NEWEST) {
        let read = through_this_build(&name, &with_more(&value));
        assert!(holds(&read, &value), "{name}");
    }
}

#[test]
fn a_message_without_a_golden_file_is_a_gap() {
    let names: Vec<String> = (OLDEST..=NEWEST).flat_map(golden).map(|(name, _)| name).collect();
    for (file, kind, of) in [
        ("message", "to_agent", "ToAgent"),
        ("message", "to_controller", "ToController"),
        ("message", "ask", "Ask"),
        ("message", "answer", "Answer"),
        ("event", "event", "What"),
    ] {
        let source = fs::read_to_string(here().join(format!("src/{file}.rs"))).unwrap();
        let body = source.split(&format!("pub enum {of} {{")).nth(1).unwrap();
        let body = body.split("\n}\n").next().unwrap();
        let variants = body.lines().filter_map(|line| line.strip_prefix("    "));
        let variants = variants.filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
        let mut found = 0;
        for variant in variants {
            let word = variant.split(['{', '(', ',', ' ']).next().unwrap();
            let snake: String = word
                .chars()
                .enumerate()
                .flat_map(|(at, letter)| {
                    let gap = (at > 0 && letter.is_uppercase()).then_some('_');
                    gap.into_iter().chain(letter.to_lowercase())
                })
                .collect();
            let name = format!("{kind}.{snake}");
            found += 1;
            assert!(
                snake == "unknown" || names.contains(&name),
                "tests/golden/v{NEWEST}/{name}.json is missing"
            );
        }
        assert!(found > 5, "the messages of {of} are found");
    }
}

#[test]
fn the_bytes_of_a_frame_are_these_for_ever() {
    let mut bytes = Vec::new();
    frame::put_message(&ToAgent::Ping { n: 7 }, &mut bytes).unwrap();
    assert_eq!(bytes, b"\x00\x00\x00\x15\x01{\"type\":\"ping\",\"n\":7}");
    let id = "0190b7a0-0000-7000-8000-000000000000".parse().unwrap();
    let mut bytes = Vec::new();
    frame::put_log(id, 2, 3, b"hi", &mut bytes).unwrap();
    let head =
        b"\x00\x00\x00\x1e\x02\x01\x90\xb7\xa0\0\0\x70\0\x80\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03hi";
    assert_eq!(bytes, head);
    let (header, _) = bytes.split_first_chunk::<HEADER>().unwrap();
    assert_eq!(frame::header(*header, MAX_CONTROL).unwrap(), (2, 30));
}
