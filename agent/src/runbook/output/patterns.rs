//! A secret in every form that it may be printed in.

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Shorter secrets would blot out ordinary text.
const SHORTEST: usize = 4;
/// A line of a longer secret is a secret of its own from this length on.
const SHORTEST_LINE: usize = 8;

/// All forms of a secret; none for one that is too short to be told from ordinary text.
pub(super) fn forms(secret: &str) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    if secret.chars().count() < SHORTEST {
        return forms;
    }
    add_forms(secret, &mut forms);
    if secret.contains('\n') {
        for line in secret
            .lines()
            .map(str::trim)
            .filter(|line| line.len() >= SHORTEST_LINE)
        {
            add_forms(line, &mut forms);
        }
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

fn add_forms(secret: &str, forms: &mut BTreeSet<Vec<u8>>) {
    let mut add = |form: String| forms.insert(form.into_bytes());
    add(secret.to_owned());
    for unreserved in ["-_.~", "-_.*", "-_.!~*'()", "-_.!~*'();/?:@&=+$,#"] {
        for upper in [true, false] {
            let encoded = percent(secret, unreserved, upper);
            add(encoded.replace("%20", "+"));
            add(encoded);
        }
    }
    let json = json(secret, false);
    add(json.replace('/', "\\/"));
    add(json);
    add(self::json(secret, true));
    add(secret.replace('\'', "'\\''"));
    for alphabet in [&STANDARD, &URL_SAFE] {
        for lead in 0..3 {
            add(base64(secret.as_bytes(), alphabet, lead));
        }
    }
}

/// Percent-encoded but for letters, digits and what the encoder at hand leaves alone.
fn percent(text: &str, unreserved: &str, upper: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || unreserved.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else if upper {
            let _ = write!(out, "%{byte:02X}");
        } else {
            let _ = write!(out, "%{byte:02x}");
        }
    }
    out
}

/// Inside a JSON string; with everything but ASCII escaped, too.
fn json(text: &str, ascii: bool) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    let inside = &quoted[1..quoted.len() - 1];
    if !ascii {
        return inside.to_owned();
    }
    let mut out = String::new();
    for c in inside.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

/// What base64 makes of the bytes when `lead` others come before them: only what is the same whatever is around.
fn base64(bytes: &[u8], alphabet: &Alphabet, lead: usize) -> String {
    let mut padded = vec![0; lead];
    padded.extend_from_slice(bytes);
    let encoded = GeneralPurpose::new(alphabet, NO_PAD).encode(&padded);
    // Six bits a character: those that a neighbour has a part in are left out.
    let first = (lead * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    encoded[first..last].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(secret: &str, form: &str) -> bool {
        forms(secret).contains(form.as_bytes())
    }

    #[test]
    fn f59_a_secret_is_known_raw_encoded_and_escaped() {
        let secret = "pä ss/\"wörd'";
        for form in [
            secret,
            "p%C3%A4%20ss%2F%22w%C3%B6rd%27",
            "p%c3%a4+ss%2f%22w%c3%b6rd%27",
            "pä ss/\\\"wörd'",
            "pä ss\\/\\\"wörd'",
            "p\\u00e4 ss/\\\"w\\u00f6rd'",
            "pä ss/\"wörd'\\''",
        ] {
            assert!(has(secret, form), "{form}");
        }
    }

    #[test]
    fn f59_base64_is_known_at_every_alignment() {
        let secret = "correct-horse?>~";
        for alphabet in [&STANDARD, &URL_SAFE] {
            for before in ["", "a", "ab", "abc", "user:"] {
                for after in ["", "x", "xy"] {
                    let text = format!("{before}{secret}{after}");
                    let encoded = GeneralPurpose::new(alphabet, NO_PAD).encode(text);
                    let found = forms(secret)
                        .iter()
                        .any(|form| encoded.contains(std::str::from_utf8(form).unwrap()));
                    assert!(found, "{encoded}");
                }
            }
        }
    }

    #[test]
    fn the_lines_of_a_long_secret_are_secrets_too() {
        assert!(has("-----BEGIN-----\nMIIEvQIBADANBg\n", "MIIEvQIBADANBg"));
    }

    #[test]
    fn a_very_short_secret_is_no_pattern() {
        assert!(forms("abc").is_empty());
        assert!(forms("").is_empty());
    }
}
