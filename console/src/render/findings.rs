//! Findings of checks: one line each, with advice below where a person has to act.

use super::title_width;
use crate::advice;
use crate::output::{Page, Style};
use crate::text::{padded, safe, shortened};
use chatalot_protocol::report::{Finding, Verdict};
use std::fmt::Write as _;

/// One line a finding, its advice below it.
pub fn findings(findings: &[Finding], page: Page) -> String {
    let titles = title_width(findings.iter().map(|finding| finding.title.as_str()));
    let mut text = String::new();
    for finding in findings {
        let (mark, style, saw) = match &finding.verdict {
            Verdict::Satisfied { saw, note: None } => ("✓", Style::Good, safe(saw)),
            Verdict::Satisfied { saw, note: Some(_) } => ("!", Style::Attention, safe(saw)),
            Verdict::Needed { why } => ("→", Style::Attention, safe(why)),
            Verdict::Blocked { advice } => ("✗", Style::Bad, safe(&advice.code)),
        };
        let title = padded(&shortened(&safe(&finding.title), titles), titles);
        let line = format!("{} {title}  {saw}", page.paint(style, mark));
        let _ = writeln!(text, "{}", line.trim_end());
        match &finding.verdict {
            Verdict::Blocked { advice } => text.push_str(&advice::body(advice, page, 4)),
            Verdict::Satisfied { note: Some(note), .. } => {
                let _ = writeln!(text, "    {}", safe(&note.code));
                text.push_str(&advice::body(note, page, 4));
            }
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::testing;
    use chatalot_protocol::names::StepId;

    fn finding(title: &str, verdict: Verdict) -> Finding {
        Finding {
            step: StepId::known("preflight.x"),
            title: title.to_owned(),
            verdict,
            millis: 3,
        }
    }

    #[test]
    fn each_finding_has_a_line_and_a_blocked_one_its_advice() {
        let text = findings(
            &[
                finding("Operating system", Verdict::satisfied("Debian 13\x1b[2J")),
                finding("Docker", Verdict::needed("not installed")),
                finding("Domain", testing::wrong_address().into()),
                finding(
                    "World",
                    Verdict::noted("cannot be told", Some(testing::wrong_address())),
                ),
            ],
            Page::PLAIN,
        );
        assert_eq!(
            text,
            "✓ Operating system  Debian 13\n\
             → Docker            not installed\n\
             ✗ Domain            DNS_WRONG_ADDRESS\n\
             \x20   saw     203.0.113.9\n\
             \x20   wanted  203.0.113.42\n\
             \x20   fix     set the A record of chat.example.com to 203.0.113.42\n\
             ! World             cannot be told\n\
             \x20   DNS_WRONG_ADDRESS\n\
             \x20   saw     203.0.113.9\n\
             \x20   wanted  203.0.113.42\n\
             \x20   fix     set the A record of chat.example.com to 203.0.113.42\n"
        );
    }
}
