//! How a host is.

use crate::advice;
use crate::output::{Page, Style};
use crate::text::{lasted, padded, safe, width};
use chatalot_protocol::report::{CheckState, DeploymentState, Level, PolicyView, Status};
use std::fmt::Write as _;

/// The level, who answers, and a table of the checks with advice below those that need attention.
pub fn status(status: &Status, now_ms: i64, page: Page) -> String {
    let mut text = format!("{}\n", level(status.level, page).trim_end());
    for (label, value) in facts(status) {
        let _ = writeln!(text, "  {label:<12}{}", safe(&value));
    }
    if let Some(policy) = &status.policy {
        text.push_str(&allowed(policy, page));
    }
    if status.checks.is_empty() {
        return text;
    }
    text.push('\n');
    let names = status.checks.iter().map(|check| width(&safe(&check.check)));
    let names = names.max().unwrap_or(0).max("check".len());
    let head = format!("{}  {:<10}{:<10}saw", padded("check", names), "level", "since");
    let _ = writeln!(text, "{}", page.paint(Style::Quiet, &head));
    for check in &status.checks {
        text.push_str(&row(check, names, now_ms, page));
    }
    text
}

/// The policy: a sentence a line, and what is wrong with it.
fn allowed(policy: &PolicyView, page: Page) -> String {
    let mut text = String::new();
    for (at, words) in policy.words.iter().enumerate() {
        let label = if at == 0 { "policy" } else { "" };
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {label:<12}{}", safe(words));
    }
    if let Some(advice) = &policy.advice {
        let _ = writeln!(text, "  {}", page.paint(Style::Strong, &safe(&advice.code)));
        text.push_str(&advice::body(advice, page, 4));
    }
    text
}

fn facts(status: &Status) -> Vec<(&'static str, String)> {
    let up = lasted(status.uptime_secs.saturating_mul(1000));
    let controller = status.controller.as_ref().map_or_else(
        || "none, this host stands alone".to_owned(),
        |address| {
            let link = if status.connected {
                "connected"
            } else {
                "not connected"
            };
            format!("{address}, {link}")
        },
    );
    let mut facts = vec![
        ("agent", format!("{}, up {up}", status.version)),
        ("controller", controller),
        (
            "site",
            status
                .domain
                .clone()
                .unwrap_or_else(|| "nothing deployed yet".to_owned()),
        ),
    ];
    if let Some((id, state)) = &status.deployment {
        facts.push(("deployment", format!("{id}, {}", state_word(*state))));
    }
    facts
}

fn row(check: &CheckState, names: usize, now_ms: i64, page: Page) -> String {
    let name = padded(&safe(&check.check), names);
    let since = u64::try_from(now_ms.saturating_sub(check.since_ms)).unwrap_or(0);
    let level = level(check.level, page);
    let line = format!("{name}  {level}{:<10}{}", lasted(since), safe(&check.saw));
    let mut text = format!("{}\n", line.trim_end());
    if let Some(advice) = &check.advice {
        let code = page.paint(Style::Strong, &safe(&advice.code));
        let _ = writeln!(text, "  {code}");
        text.push_str(&advice::body(advice, page, 4));
    }
    text
}

fn level(level: Level, page: Page) -> String {
    let (word, style) = match level {
        Level::Ok => ("ok", Style::Good),
        Level::Degraded => ("degraded", Style::Attention),
        Level::Down => ("down", Style::Bad),
        Level::Unknown => ("unknown", Style::Quiet),
    };
    page.paint(style, &padded(word, 10))
}

/// The state as the JSON has it.
pub(crate) const fn state_word(state: DeploymentState) -> &'static str {
    match state {
        DeploymentState::Queued => "queued",
        DeploymentState::Running => "running",
        DeploymentState::Succeeded => "succeeded",
        DeploymentState::Blocked => "blocked",
        DeploymentState::Failed => "failed",
        DeploymentState::Cancelled => "cancelled",
        DeploymentState::Refused => "refused",
        DeploymentState::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatalot_protocol::advice::Advice;

    #[test]
    fn the_checks_are_a_table_with_advice_where_something_is_wrong() {
        let check = |check: &str, level, saw: &str, since_ms, advice| CheckState {
            check: check.to_owned(),
            level,
            saw: saw.to_owned(),
            advice,
            since_ms,
        };
        let disk = Advice::new("DISK_LOW", "4 % free", "10 % free", "make room on /var");
        let text = status(
            &Status {
                version: "0.1.0".to_owned(),
                uptime_secs: 93_600,
                level: Level::Degraded,
                checks: vec![
                    check("public", Level::Ok, "200 in 43 ms", 0, None),
                    check("disk", Level::Degraded, "4 % free", 3_480_000, Some(disk)),
                ],
                domain: Some("chat.example.com".to_owned()),
                deployment: None,
                controller: Some("ctl.example.com:8443".to_owned()),
                connected: true,
                policy: Some(PolicyView {
                    words: vec![
                        "May be asked for: deploy.".to_owned(),
                        "Any domain may be served.".to_owned(),
                    ],
                    advice: None,
                }),
            },
            3_600_000,
            Page::PLAIN,
        );
        assert_eq!(
            text,
            "degraded\n\
             \x20 agent       0.1.0, up 1d 2h\n\
             \x20 controller  ctl.example.com:8443, connected\n\
             \x20 site        chat.example.com\n\
             \x20 policy      May be asked for: deploy.\n\
             \x20             Any domain may be served.\n\
             \n\
             check   level     since     saw\n\
             public  ok        1h 00m    200 in 43 ms\n\
             disk    degraded  2m 00s    4 % free\n\
             \x20 DISK_LOW\n\
             \x20   saw     4 % free\n\
             \x20   wanted  10 % free\n\
             \x20   fix     make room on /var\n"
        );
    }
}
