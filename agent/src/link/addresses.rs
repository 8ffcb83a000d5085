//! Where the controller may be besides where this host joined: told by the controller itself, kept for the day on which
//! it is restored elsewhere. An address gives nobody power: whoever answers there must have the authority's key.

use crate::effect::folder::put;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// More than any controller has.
const MOST: usize = 8;
/// The longest name there is, and a port.
const LONGEST: usize = 253 + 6;

#[derive(Serialize, Deserialize)]
struct Kept {
    /// What joining has named the stream of events: another one with each identity.
    joining: Uuid,
    addresses: Vec<String>,
}

fn path(state: &Path) -> PathBuf {
    state.join("controllers.json")
}

/// All addresses to try, in order: what the controller has told last, then where this host joined.
pub(super) fn known(state: &Path, joining: Uuid, joined_at: &str) -> Vec<String> {
    let mut all = told(state, joining);
    if !all.iter().any(|address| address == joined_at) {
        all.push(joined_at.to_owned());
    }
    all
}

/// Keeps what the controller tells. Where it cannot be kept, it is told again with the next session.
pub(super) fn learn(state: &Path, joining: Uuid, addresses: &[String]) {
    let addresses: Vec<String> = addresses
        .iter()
        .filter(|text| is_address(text))
        .take(MOST)
        .cloned()
        .collect();
    if addresses.is_empty() || addresses == told(state, joining) {
        return;
    }
    let kept = Kept { joining, addresses };
    let written = serde_json::to_vec(&kept)
        .map_err(io::Error::from)
        .and_then(|bytes| put(&path(state), &bytes));
    match written {
        Ok(()) => log::info!(addresses = kept.addresses.join(" "); "the controller has told where it is"),
        Err(error) => log::warn!(error = crate::chain(&error); "where the controller is cannot be kept"),
    }
}

/// What the controller that this identity is for has told; what cannot be read is told again.
fn told(state: &Path, joining: Uuid) -> Vec<String> {
    let read = fs::read(path(state)).ok();
    let kept: Option<Kept> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let kept = kept.filter(|kept| kept.joining == joining);
    kept.map(|kept| kept.addresses).unwrap_or_default()
}

/// `host:port`, and nothing that a resolver or a log would stumble over.
fn is_address(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
    text.len() <= LONGEST
        && text.chars().all(plain)
        && text
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_controller_tells_is_tried_first_and_where_it_was_joined_is_never_forgotten() {
        let state = tempfile::tempdir().unwrap();
        let (state, joining) = (state.path(), Uuid::new_v4());
        assert_eq!(known(state, joining, "one:1"), ["one:1"]);
        learn(
            state,
            joining,
            &[
                "two:2".into(),
                "not an address".into(),
                "one:1".into(),
                "evil\u{1b}:1".into(),
            ],
        );
        assert_eq!(known(state, joining, "one:1"), ["two:2", "one:1"]);
        assert_eq!(known(state, joining, "three:3"), ["two:2", "one:1", "three:3"]);
        // A host that has joined another controller knows nothing of this one.
        assert_eq!(known(state, Uuid::new_v4(), "three:3"), ["three:3"]);
        learn(state, joining, &[]);
        assert_eq!(known(state, joining, "one:1"), ["two:2", "one:1"]);
        fs::write(path(state), b"torn").unwrap();
        assert_eq!(known(state, joining, "one:1"), ["one:1"]);
    }

    #[test]
    fn an_address_is_a_name_or_a_number_and_a_port() {
        assert!(
            ["ctl.example.com:8443", "192.0.2.1:1", "[2001:db8::1]:8443"]
                .iter()
                .all(|text| is_address(text))
        );
        assert!(
            !["ctl", ":1", "a:0", "a:x", "a b:1", "a/b:1"]
                .iter()
                .any(|text| is_address(text))
        );
    }
}
