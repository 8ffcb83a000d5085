//! Text on its way to a person: foreign text made safe, wrapping, columns and durations.
//!
//! What a host says is untrusted: it may hold terminal escapes that recolour, retitle or type. Everything foreign
//! goes through [`safe`] or [`safe_output`] before it is written.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::str::Chars;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Longer lines of prose are hard to read, however wide the terminal.
const WIDEST: usize = 100;

/// Foreign text for one line: no escapes, no control or direction characters, line ends become spaces.
pub fn safe(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(cleaned(text.trim_end(), ' '))
}

/// Foreign output of many lines: as [`safe`], but line ends and tabs stay.
pub fn safe_output(text: &str) -> Cow<'_, str> {
    // No early end and no jump, so that the loop over a large piece is vectorised.
    let odd = text.bytes().fold(0, |odd, b| {
        odd | u8::from(!(0x20..0x7f).contains(&b)) & u8::from(b != b'\n') & u8::from(b != b'\t')
    });
    if odd == 0 {
        return Cow::Borrowed(text);
    }
    Cow::Owned(cleaned(text, '\n'))
}

/// JSON for a terminal: the characters that JSON may leave bare but a terminal obeys are escaped.
pub(crate) fn safe_json(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b < 0x7f) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c.is_control() && c != '\n' || is_invisible(c) {
            let _ = write!(clean, "\\u{:04x}", u32::from(c));
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

fn cleaned(text: &str, line_end: char) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\r' if rest.as_str().starts_with('\n') => {}
            '\n' | '\r' => clean.push(line_end),
            '\t' if line_end == '\n' => clean.push('\t'),
            '\t' => clean.push(' '),
            '\u{1b}' | '\u{9b}' | '\u{9d}' | '\u{90}' => skip_escape(c, &mut rest),
            c if c.is_control() || is_invisible(c) => clean.push('\u{fffd}'),
            c => clean.push(c),
        }
    }
    clean
}

/// Characters that change the order or the lines of what is read.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

/// Goes past an escape sequence. One without an end hides no more than itself.
fn skip_escape(first: char, rest: &mut Chars<'_>) {
    const LONGEST: usize = 256;
    let mut ahead = rest.clone();
    let kind = match first {
        '\u{1b}' => ahead.next(),
        '\u{9b}' => Some('['),
        _ => Some(']'),
    };
    let complete = match kind {
        Some('[') => ahead
            .by_ref()
            .take(LONGEST)
            .find(|c| !matches!(c, '\u{20}'..='\u{3f}'))
            .is_some_and(|c| matches!(c, '\u{40}'..='\u{7e}')),
        Some(']' | 'P' | 'X' | '^' | '_') => skip_string(&mut ahead, LONGEST),
        Some('(' | ')' | '*' | '+' | '#' | '%' | ' ') => ahead.next().is_some(),
        Some('\u{30}'..='\u{7e}') => true,
        _ => false,
    };
    if complete {
        *rest = ahead;
    }
}

fn skip_string(ahead: &mut Chars<'_>, longest: usize) -> bool {
    for _ in 0..longest {
        match ahead.next() {
            Some('\u{7}' | '\u{9c}') => return true,
            Some('\u{1b}') => return ahead.next() == Some('\\'),
            None | Some('\n') => return false,
            Some(_) => {}
        }
    }
    false
}

/// How many columns a text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The text followed by spaces up to a width.
pub(crate) fn padded(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(width(text))))
}

/// The text, or as much of it as fits with an ellipsis.
pub(crate) fn shortened(text: &str, to: usize) -> String {
    if width(text) <= to {
        return text.to_owned();
    }
    let mut taken = 0;
    let fits = |c: &char| {
        taken += c.width().unwrap_or(0);
        taken < to
    };
    let kept: String = text.chars().take_while(fits).collect();
    format!("{}…", kept.trim_end())
}

/// The words of a text in lines of a width. What stands in `backticks` is copied by people and never broken.
pub(crate) fn wrapped(text: &str, to: Option<usize>) -> Vec<String> {
    let Some(to) = to.map(|to| to.min(WIDEST)) else {
        return vec![text.to_owned()];
    };
    let mut lines: Vec<String> = Vec::new();
    for word in words(text) {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(&word) <= to => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut quoted = false;
    for word in text.split_whitespace() {
        match words.last_mut() {
            Some(last) if quoted => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
        quoted ^= word.matches('`').count() % 2 == 1;
    }
    words
}

/// A text behind a label, its further lines below its first one.
pub(crate) fn labelled(label: &str, indent: usize, text: &str, to: Option<usize>) -> String {
    let mut block = String::new();
    let mut lead = label.to_owned();
    for line in wrapped(text, to.map(|to| to.min(WIDEST).saturating_sub(indent).max(20))) {
        let _ = writeln!(block, "{}{line}", padded(&lead, indent));
        lead.clear();
    }
    block
}

/// A duration for people: `48.2s`, `2m 05s`, `3h 12m`, `5d 4h`.
pub(crate) fn lasted(millis: u64) -> String {
    let secs = millis / 1000;
    match secs {
        0..60 => format!("{secs}.{}s", millis % 1000 / 100),
        60..3600 => format!("{}m {:02}s", secs / 60, secs % 60),
        3600..86_400 => format!("{}h {:02}m", secs / 3600, secs % 3600 / 60),
        _ => format!("{}d {}h", secs / 86_400, secs % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_a_host_do_not_reach_the_terminal() {
        for (foreign, shown) in [
            ("\x1b[31mred\x1b[0m", "red"),
            ("\x1b]0;title\x07text", "text"),
            ("\x1b]8;;https://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\u{9b}31mred", "red"),
            ("\x1b(Bx\x1b7y", "xy"),
            ("a\x1bPqsixel\x1b\\b", "ab"),
            ("bell\x07", "bell\u{fffd}"),
            ("user\u{202e}txt.exe", "user\u{fffd}txt.exe"),
            ("one\ntwo\r\nthree\tfour", "one two three four"),
            ("münchen ✓", "münchen ✓"),
        ] {
            assert_eq!(safe(foreign), shown, "{foreign:?}");
        }
    }

    #[test]
    fn an_escape_without_an_end_hides_nothing_after_it() {
        assert_eq!(
            safe("\x1b]0;never closed, and on it goes"),
            "]0;never closed, and on it goes"
        );
        assert_eq!(safe_output("\x1b]0;open\nnext line"), "]0;open\nnext line");
        assert_eq!(safe("\x1b["), "[");
    }

    #[test]
    fn output_keeps_its_lines() {
        assert_eq!(safe_output("a\tb\nc\r\nd\re\x1b[K\n"), "a\tb\nc\nd\ne\n");
        assert!(matches!(safe_output("plain\n\tlines\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_on_a_terminal_holds_nothing_that_the_terminal_obeys() {
        let json = safe_json("{\"a\":\"\u{9b}31m\u{202e}\u{7f}é\"}").into_owned();
        assert_eq!(json, "{\"a\":\"\\u009b31m\\u202e\\u007fé\"}");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["a"], "\u{9b}31m\u{202e}\u{7f}é");
    }

    #[test]
    fn lines_break_between_words_but_never_within_a_command() {
        assert_eq!(wrapped("aa bb cc", Some(5)), ["aa bb", "cc"]);
        assert_eq!(wrapped("run `a b c d` now", Some(6)), ["run", "`a b c d`", "now"]);
        assert_eq!(wrapped("as it is", None), ["as it is"]);
        assert_eq!(wrapped("", Some(5)), [""]);
    }

    #[test]
    fn columns_are_cells_of_the_terminal_and_not_characters() {
        assert_eq!(padded("日本", 6), "日本  ");
        assert_eq!(shortened("日本語です", 6), "日本…");
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abcdefg", 6), "abcde…");
        assert_eq!(width("e\u{301}"), 1);
    }

    #[test]
    fn a_duration_reads_at_a_glance() {
        for (millis, text) in [
            (0, "0.0s"),
            (48_249, "48.2s"),
            (125_000, "2m 05s"),
            (11_520_000, "3h 12m"),
            (446_400_000, "5d 4h"),
        ] {
            assert_eq!(lasted(millis), text);
        }
    }
}
