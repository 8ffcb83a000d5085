//! What a step's commands print, and any text on its way to a person.

use super::{parts, texts};
use chatalot_agent::host::plain_line;
use chatalot_agent::runbook::output::{Sink, Tail, mask};
use chatalot_console::text::{safe, safe_output};
use chatalot_protocol::secret::Secret;
use std::fs;

/// The secret is the first part, how the output is cut the second, the output the third, in which a byte 1 stands for
/// the secret: it is never seen in what is kept, and what has none in it is kept as it is.
pub(super) fn scrubbed(input: &[u8]) {
    let [secret, cuts, output] = parts(input);
    let Ok(secret) = std::str::from_utf8(secret) else {
        return;
    };
    if !(4..=200).contains(&secret.trim().chars().count()) {
        return;
    }
    // What takes the place of a secret says so, and would be taken for one of these.
    if "secret".contains(secret.trim()) || secret.contains(['[', ']']) {
        return;
    }
    let secret = Secret::new(secret.trim());
    let output: Vec<u8> = output
        .iter()
        .flat_map(|byte| match byte {
            1 => secret.expose().as_bytes(),
            other => std::slice::from_ref(other),
        })
        .copied()
        .collect();
    let path = super::scratch("output").join("step");
    let _ = fs::remove_file(&path);
    let sink = Sink::open(&path, [&secret]).unwrap();
    let mut tail = Tail::default();
    let (mut rest, mut at) = (output.as_slice(), 0);
    while !rest.is_empty() {
        let length = cuts
            .get(at)
            .map_or(rest.len(), |cut| usize::from(*cut) + 1)
            .min(rest.len());
        let (piece, after) = rest.split_at(length);
        sink.write(piece, &mut tail);
        (rest, at) = (after, at + 1);
    }
    sink.finish().unwrap();
    let kept = fs::read(&path).unwrap();
    assert!(
        !holds(&kept, secret.expose().as_bytes()),
        "a secret in what is kept"
    );
    let text = String::from_utf8_lossy(&output);
    assert!(
        !holds(
            mask([secret.expose()], &text).as_bytes(),
            secret.expose().as_bytes()
        ),
        "a secret in what is told"
    );
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|here| here == part)
}

/// Nothing that a terminal would obey is left of a text.
pub(super) fn shown(input: &[u8]) {
    let [text] = texts(input);
    let one = safe(&text);
    assert!(!one.chars().any(obeyed), "{one:?}");
    assert_eq!(safe(&one).trim_end(), one.trim_end(), "safe is safe");
    let many = safe_output(&text);
    assert!(
        !many.chars().any(|c| obeyed(c) && c != '\n' && c != '\t'),
        "{many:?}"
    );
    let line = plain_line(&text);
    assert!(!line.contains(|c: char| c.is_control() && c != '\t'), "{line:?}");
    assert!(
        line.chars().count() < 500,
        "a line is no more than a person reads"
    );
}

/// Control characters, and those that turn text around or hide in it.
fn obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}
