//! Advice as a block of text.

use crate::output::{Page, Style};
use crate::text::{labelled, safe};
use chatalot_protocol::advice::Advice;
use std::fmt::Write as _;

/// The finding, what was seen and wanted, the fix, and the lines it rests on.
pub fn render(advice: &Advice, page: Page) -> String {
    let mut block = format!(
        "{} {}\n",
        page.paint(Style::Bad, "✗"),
        page.paint(Style::Strong, &safe(&advice.code))
    );
    block.push_str(&body(advice, page, 2));
    block
}

/// The same without its first line, further in.
pub(crate) fn body(advice: &Advice, page: Page, indent: usize) -> String {
    let lead = " ".repeat(indent);
    let mut block = String::new();
    for (label, text) in [
        ("saw", &advice.saw),
        ("wanted", &advice.wanted),
        ("fix", &advice.fix),
    ] {
        if !text.is_empty() {
            let label = format!("{lead}{label}");
            block.push_str(&labelled(&label, indent + 8, &safe(text), page.width));
        }
    }
    if advice.fixable {
        let _ = writeln!(block, "{lead}        (a deployment does this itself)");
    }
    for line in &advice.evidence {
        let line = format!("{lead}  │ {}", safe(line));
        let _ = writeln!(block, "{}", page.paint(Style::Quiet, line.trim_end()));
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong_address() -> Advice {
        Advice::new(
            "DNS_WRONG_ADDRESS",
            "203.0.113.9",
            "203.0.113.42",
            "set the A record of chat.example.com to 203.0.113.42",
        )
    }

    #[test]
    fn advice_says_what_was_seen_what_is_wanted_and_what_to_do() {
        let text = render(&wrong_address(), Page::PLAIN);
        assert_eq!(
            text,
            "✗ DNS_WRONG_ADDRESS\n\
             \x20 saw     203.0.113.9\n\
             \x20 wanted  203.0.113.42\n\
             \x20 fix     set the A record of chat.example.com to 203.0.113.42\n"
        );
    }

    #[test]
    fn evidence_follows_line_by_line_and_without_escapes() {
        let advice = wrong_address().with_evidence(["\x1b[31mError: no such file", "exit 1"]);
        let text = render(&advice, Page::PLAIN);
        assert!(
            text.ends_with("    │ Error: no such file\n    │ exit 1\n"),
            "{text}"
        );
    }

    #[test]
    fn long_advice_stays_within_the_page() {
        let mut advice = wrong_address();
        advice.fix = "word ".repeat(60);
        let page = Page {
            colour: false,
            width: Some(80),
        };
        assert!(
            render(&advice, page)
                .lines()
                .all(|line| line.chars().count() <= 80)
        );
    }
}
