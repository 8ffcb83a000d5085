//! What is read of a host's files, and of the installer's output.

use super::says::{SITES, cx};
use super::texts;
use chatalot_agent::host::fake::{EngineState, FakeHost, Outcome};
use chatalot_agent::host::linux::reading;
use chatalot_agent::host::{Transport, plain_line};
use chatalot_agent::runbook::distro::{DISTROS, detect};
use chatalot_agent::runbook::proxies::traefik::{merge, proof};
use chatalot_agent::runbook::repositories::openpgp::{Key, KeyError};
use chatalot_agent::runbook::{ActCx, Applied, step};
use futures_util::FutureExt;
use std::path::Path;

/// The heading, and what of the summary is believed.
const HEADING: &str = "Install complete.";
const ASKED: [(&str, &str); 5] = [
    ("public_url", "https://chat.example.com"),
    ("admin_username", "alice"),
    ("registration_mode", "invite_only"),
    ("turn_enabled", "0"),
    ("updater_enabled", "1"),
];

/// Runs the step that runs the installer, where the installer says this and ends well.
fn run(text: &str) -> Option<Applied> {
    let (site, secrets) = &SITES[0];
    let host = FakeHost::fresh(&DISTROS[0]);
    host.world(|world| {
        world.engine = EngineState::Up;
        world.compose = Some("2.30.0".to_owned());
        world.installer.outcome = Outcome::Pretends(text.to_owned());
    });
    let act = ActCx {
        look: cx(&host, site),
        host: &host,
        secrets,
    };
    let run = step("install.run").unwrap();
    run.apply(&act)
        .now_or_never()
        .expect("a host of maps answers at once")
        .ok()
}

/// Only a block at the very end counts, and only one that says what was asked for.
pub(super) fn installer_output(input: &[u8]) {
    let [text] = texts(input);
    let Some(applied) = run(&text) else {
        return;
    };
    let lines: Vec<String> = text.lines().map(plain_line).collect();
    let heading = lines
        .iter()
        .rposition(|line| line == HEADING)
        .expect("a heading on a line of its own");
    let block: Vec<&String> = lines[heading + 1..]
        .iter()
        .take_while(|line| line.contains('=') && !line.starts_with(' '))
        .collect();
    for (key, value) in ASKED {
        assert!(
            block
                .iter()
                .any(|line| line.split_once('=') == Some((key, value))),
            "{key}"
        );
        let kept = applied.remember.get(&format!("installer.{key}"));
        assert_eq!(kept.map(String::as_str), Some(value));
    }
    let after = &lines[heading + 1 + block.len()..];
    assert!(
        after
            .iter()
            .all(|line| line.is_empty() || line.starts_with(' ') || line == "Next:")
    );
}

/// Each reader of the host's own files and tables, given the same text.
pub(super) fn files(input: &[u8]) {
    let [text] = texts(input);
    let system = reading::os_release(&text);
    let words = [&system.id, &system.version, &system.codename, &system.pretty];
    assert!(
        !words
            .iter()
            .any(|word| word.contains(|c: char| c.is_control() && c != '\t'))
    );
    let _ = detect(&system);
    let home = reading::home(&text);
    assert!(
        home.unit
            .is_none_or(|unit| unit.ends_with(".service") && !unit.contains(char::is_control))
    );
    assert!(home.container.is_none_or(|id| id.len() == 64));
    assert!(reading::resolvers(&text).len() <= 3);
    let _ = reading::hosts(&text, "chat.example.com");
    let _ = reading::unit(&text);
    let _ = reading::is_writable(&text, Path::new("/srv/chatalot"));
    for line in text.lines() {
        let _ = (
            reading::listener(line, Transport::Tcp, 443),
            reading::listener(line, Transport::Udp, 3478),
        );
    }
    let mut found = Vec::new();
    let _ = reading::collect(input, 443, &mut found);
    assert!(found.len() <= input.len() / 16, "a socket takes a message");
}

/// An override as people write it, then what compose makes of it before and after.
pub(super) fn compose_override(input: &[u8]) {
    let [text, before, after] = texts(input);
    let wanted = merge::Wanted {
        labels: vec![
            ("traefik.enable".to_owned(), "true".to_owned()),
            (
                "traefik.http.routers.chatalot.rule".to_owned(),
                "Host(`chat.example.com`)".to_owned(),
            ),
        ],
        network: Some(("edge".to_owned(), vec!["default".to_owned()])),
    };
    let without = merge::without(&text, &merge::parts(&text));
    assert!(
        without.len() <= text.len() + 1,
        "nothing is added where something is taken out"
    );
    if let Ok(merged) = merge::merge(&text, &wanted) {
        assert_eq!(
            merge::merge(&merged, &wanted).as_ref(),
            Ok(&merged),
            "a second time changes nothing"
        );
        for line in text.lines().filter(|line| line.trim_start().starts_with('#')) {
            assert!(merged.contains(line), "a comment of theirs stays: {line:?}");
        }
    }
    let configs = [before, after].map(|text| serde_json::from_str(&text).ok());
    if let [Some(before), Some(after)] = &configs {
        let _ = proof::networks(before);
        if proof::same_but(before, after, &wanted).is_ok() {
            assert_eq!(proof::has(after, &wanted), Ok(()));
        }
    }
}

/// What is handed on says what was judged, and that is one key.
pub(super) fn repository_key(input: &[u8]) {
    let Ok(key) = Key::read(input) else {
        return;
    };
    let print = key.fingerprint();
    assert!([40, 64].contains(&print.len()) && print.bytes().all(|b| b"0123456789ABCDEF".contains(&b)));
    let armoured = key.armoured();
    assert_eq!(
        Key::read(armoured.as_bytes()).as_ref(),
        Ok(&key),
        "it comes back as it went"
    );
    if input[0] & 0x80 != 0 {
        assert_eq!(
            Key::read(&input.repeat(2)),
            Err(KeyError::Several),
            "two keys are not one"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f44_the_installers_own_last_words_are_believed_and_nothing_else() {
        let kept = |name| std::fs::read_to_string(crate::corpus::root().join("installer-output").join(name));
        assert!(run(&kept("complete").unwrap()).is_some());
        assert!(run(&kept("f44_twice").unwrap()).is_some());
        assert!(run(&kept("f44_in_the_middle").unwrap()).is_none());
        assert!(run(&kept("mismatch").unwrap()).is_none());
    }
}
