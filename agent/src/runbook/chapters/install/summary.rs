//! The installer's last words: the block of `key=value` lines after `Install complete.`

use crate::host::{Output, plain_line};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::Site;
use std::collections::BTreeMap;

const HEADING: &str = "Install complete.";
const LONGEST: usize = 300;
const KEYS: &[&str] = &[
    "public_url",
    "admin_username",
    "registration_mode",
    "turn_enabled",
    "updater_enabled",
    "compose_profiles",
];

/// The values of the last block, if nothing but the installer's list of what is next comes after it: anywhere else
/// it is something that a build or an image has printed.
pub(super) fn last_block(output: &Output) -> Result<BTreeMap<String, String>, Box<Advice>> {
    let lines: Vec<String> = output.stdout.lines().map(plain_line).collect();
    let heading = lines.iter().rposition(|line| line == HEADING);
    let after = heading.map(|at| &lines[at + 1..]).unwrap_or_default();
    let pairs = after
        .iter()
        .take_while(|line| line.contains('=') && !line.starts_with(' '));
    let (pairs, rest) = after.split_at(pairs.count());
    let what_is_next = |line: &String| line.is_empty() || line == "Next:" || line.starts_with(' ');
    let values: BTreeMap<String, String> = pairs
        .iter()
        .filter(|_| rest.iter().all(what_is_next))
        .filter_map(|line| line.split_once('='))
        .filter(|(key, value)| KEYS.contains(key) && value.len() <= LONGEST)
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    if values.contains_key("public_url") {
        return Ok(values);
    }
    Err(Advice::new(
        "INSTALLER_NO_SUMMARY",
        format!("an installer that ended with exit code 0 without the block after `{HEADING}`"),
        "its closing block with public_url= and the other values",
        "read the lines below for what it did not do; if it was another script, deploy with another reference",
    )
    .with_evidence(output.last_lines(12))
    .into())
}

/// What the installer says it did, against what it was asked to do.
pub(super) fn compare(site: &Site, values: &BTreeMap<String, String>) -> Result<(), Box<Advice>> {
    let bit = |on: bool| if on { "1" } else { "0" }.to_owned();
    let wanted = [
        ("public_url", format!("https://{}", site.domain)),
        ("admin_username", site.admin.to_string()),
        ("registration_mode", site.registration.as_str().to_owned()),
        ("turn_enabled", bit(site.turn.is_some())),
        ("updater_enabled", bit(site.updates)),
    ];
    let mut wrong: Vec<String> = wanted
        .iter()
        .filter(|(key, wanted)| values.get(*key) != Some(wanted))
        .map(|(key, wanted)| {
            let told = values.get(*key).map_or("nothing", String::as_str);
            format!("{key}: asked for {wanted}, it says {told}")
        })
        .collect();
    let profiles = values.get("compose_profiles").map_or("", String::as_str);
    let active = |name: &str| profiles.split([' ', ',']).any(|profile| profile == name);
    let wanted = [
        ("turn", site.turn.is_some()),
        ("updater", site.updates),
        ("production", site.tunnel),
    ];
    for (name, on) in wanted {
        if active(name) != on {
            let which = if on { "with" } else { "without" };
            wrong.push(format!(
                "compose_profiles: asked for one {which} {name}, it says `{profiles}`"
            ));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Advice::new(
        "INSTALLER_MISMATCH",
        wrong.join("; "),
        "an installation with the inputs that were asked for",
        format!(
            "an existing .env keeps its values: set them in {0}/.env, and run `docker compose up -d` there; or deploy again with --overwrite-env, which keeps a copy",
            site.folder
        ),
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::chapters::install::flags::tests::full;

    const BLOCK: &str = "Install complete.\npublic_url=https://chat.example.com\nadmin_username=alice\n\
        registration_mode=invite_only\nturn_enabled=1\nupdater_enabled=1\ncompose_profiles=turn updater\n\n\
        Next:\n  1. Configure DNS for chat.example.com -> this host.\n";

    fn said(stdout: String) -> Output {
        Output {
            stdout,
            ..Output::default()
        }
    }

    #[test]
    fn the_runbooks_block_is_read() {
        let values = last_block(&said(format!("pulling\n{BLOCK}"))).unwrap();
        assert_eq!(values["compose_profiles"], "turn updater");
        assert_eq!(values.len(), 6);
        compare(&full().0, &values).unwrap();
    }

    #[test]
    fn f44_forged_lines_in_the_middle_are_ignored() {
        let forged = BLOCK.replace("chat.example.com", "evil.example.com");
        let values = last_block(&said(format!("{forged}more\npublic_url=https://other\n{BLOCK}"))).unwrap();
        assert_eq!(values["public_url"], "https://chat.example.com");
        let only = last_block(&said(format!("{BLOCK}\nall done, or so I say\n"))).unwrap_err();
        assert_eq!(only.code, "INSTALLER_NO_SUMMARY");
    }

    #[test]
    fn f44_success_without_the_block_is_a_failure() {
        for text in [
            "",
            "public_url=https://chat.example.com\n",
            "xInstall complete.\npublic_url=https://a\n",
            "Install complete.\n\npublic_url=x",
        ] {
            assert_eq!(
                last_block(&said(text.to_owned())).unwrap_err().code,
                "INSTALLER_NO_SUMMARY",
                "{text}"
            );
        }
    }

    #[test]
    fn f42_colours_control_characters_and_endless_values_do_no_harm() {
        let colours = BLOCK.replace("Install complete.", "\u{1b}[1mInstall complete.\u{1b}[0m");
        assert!(last_block(&said(colours)).is_ok());
        let long = BLOCK.replace("invite_only", &"x".repeat(5000));
        let values = last_block(&said(long)).unwrap();
        assert!(!values.contains_key("registration_mode"));
        assert_eq!(
            compare(&full().0, &values).unwrap_err().code,
            "INSTALLER_MISMATCH"
        );
    }

    #[test]
    fn every_value_is_compared_with_what_was_asked() {
        let values = last_block(&said(BLOCK.replace("turn_enabled=1", "turn_enabled=0"))).unwrap();
        let advice = compare(&full().0, &values).unwrap_err();
        assert_eq!(advice.saw, "turn_enabled: asked for 1, it says 0");
        let values = last_block(&said(BLOCK.replace("turn updater", "updater"))).unwrap();
        assert!(compare(&full().0, &values).unwrap_err().saw.contains("with turn"));
    }
}
