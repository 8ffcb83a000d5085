//! A deployment as it stands, and how it ended.

use super::status::state_word;
use crate::advice;
use crate::output::{Page, Style};
use crate::text::{padded, safe, width};
use chatalot_protocol::api::DeploymentView;
use chatalot_protocol::report::DeploymentState;
use std::fmt::Write as _;

/// Where it stands, what the installer said, and the advice or the handover that it ended with.
pub fn deployment(view: &DeploymentView, page: Page) -> String {
    let title = page.paint(Style::Strong, &view.deployment.to_string());
    let mut text = format!("Deployment {title}\n");
    let mut facts: Vec<(&str, &str)> = Vec::new();
    if let Some(host) = &view.host {
        facts.push(("host", host));
    }
    facts.push(("domain", &view.domain));
    facts.push(("state", state_word(view.state)));
    let own = view
        .values
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    facts.extend(own);
    let keys = facts.iter().map(|(key, _)| width(&safe(key))).max().unwrap_or(0);
    for (key, value) in facts {
        let _ = writeln!(text, "  {}  {}", padded(&safe(key), keys), safe(value));
    }
    text.push_str(&why(view, page));
    if let Some(handover) = &view.handover {
        let _ = write!(text, "\n{}", super::handover(handover, page));
    }
    text
}

/// What it ended with, and what was found behind that.
fn why(view: &DeploymentView, page: Page) -> String {
    let mut text = String::new();
    if let Some(advice) = &view.advice {
        let _ = write!(text, "\n{}", advice::render(advice, page));
    }
    let known = view.advice.as_ref().map(|advice| &advice.code);
    let mut behind = view.diagnosis.iter().filter(|found| Some(&found.code) != known);
    if let Some(first) = behind.next() {
        let _ = write!(
            text,
            "\n{}\n",
            page.paint(Style::Strong, "A look at the host found")
        );
        for found in std::iter::once(first).chain(behind) {
            let _ = write!(text, "\n{}", advice::render(found, page));
        }
    }
    text
}

/// The last words of a watched deployment.
pub(crate) fn conclusion(view: &DeploymentView, told: &str, page: Page) -> String {
    let (mark, style, words) = match view.state {
        DeploymentState::Succeeded if view.work.is_deploy() => ("✓", Style::Good, "Deployed"),
        DeploymentState::Succeeded if view.work.takes_away() => ("✓", Style::Good, "Taken away"),
        DeploymentState::Succeeded => ("✓", Style::Good, "Open to everybody"),
        DeploymentState::Blocked => ("✗", Style::Bad, "Blocked, a person has to act"),
        DeploymentState::Failed => ("✗", Style::Bad, "Failed"),
        DeploymentState::Cancelled => ("–", Style::Attention, "Cancelled"),
        DeploymentState::Refused => ("✗", Style::Bad, "Refused by the host"),
        DeploymentState::Queued | DeploymentState::Running | DeploymentState::Unknown => {
            ("?", Style::Attention, "Not known to be over")
        }
    };
    let mark = page.paint(style, mark);
    let words = page.paint(Style::Strong, words);
    let mut text = format!("\n{mark} {words}: {}{told}\n", safe(&view.domain));
    text.push_str(&why(view, page));
    if let Some(handover) = &view.handover {
        let _ = write!(text, "\n{}", super::handover(handover, page));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::testing;
    use chatalot_protocol::names::DeploymentId;
    use chatalot_protocol::work::Work;

    #[test]
    fn a_deployment_shows_its_state_the_installers_values_and_the_advice() {
        let id = "0190a1b2-0000-7000-8000-000000000001"
            .parse::<DeploymentId>()
            .unwrap();
        let view = DeploymentView {
            deployment: id,
            host: Some("chat-1".to_owned()),
            domain: "chat.example.com".to_owned(),
            work: Work::Deploy,
            state: DeploymentState::Blocked,
            advice: Some(testing::wrong_address()),
            diagnosis: Vec::new(),
            values: [("turn_enabled".to_owned(), "0\x1b[5m".to_owned())].into(),
            handover: None,
        };
        assert_eq!(
            deployment(&view, Page::PLAIN),
            "Deployment 0190a1b2-0000-7000-8000-000000000001\n\
             \x20 host          chat-1\n\
             \x20 domain        chat.example.com\n\
             \x20 state         blocked\n\
             \x20 turn_enabled  0\n\
             \n\
             ✗ DNS_WRONG_ADDRESS\n\
             \x20 saw     203.0.113.9\n\
             \x20 wanted  203.0.113.42\n\
             \x20 fix     set the A record of chat.example.com to 203.0.113.42\n"
        );
    }

    #[test]
    fn what_a_look_at_the_host_has_found_is_shown_once_and_not_what_was_said_already() {
        let mut behind = testing::wrong_address();
        behind.code = "ENGINE_DOWN".into();
        let view = DeploymentView {
            deployment: "0190a1b2-0000-7000-8000-000000000001".parse().unwrap(),
            host: None,
            domain: "chat.example.com".into(),
            work: Work::Deploy,
            state: DeploymentState::Blocked,
            advice: Some(testing::wrong_address()),
            diagnosis: vec![testing::wrong_address(), behind],
            values: [].into(),
            handover: None,
        };
        let shown = deployment(&view, Page::PLAIN);
        let (said, found) = shown.split_once("A look at the host found\n").unwrap();
        assert!(said.contains("✗ DNS_WRONG_ADDRESS"), "{said}");
        assert!(
            found.contains("✗ ENGINE_DOWN") && !found.contains("DNS_WRONG_ADDRESS"),
            "{found}"
        );
    }
}
