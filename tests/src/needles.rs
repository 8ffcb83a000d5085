//! Looking for secrets where none may be, in every form that they may be printed in.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Secrets, each with a name for messages.
#[derive(Debug, Clone, Default)]
pub struct Needles(Vec<(String, BTreeSet<Vec<u8>>)>);

impl Needles {
    /// Looks for one more.
    ///
    /// # Panics
    ///
    /// A secret that is too short to be told from other text is no secret to look for.
    #[must_use]
    pub fn and(mut self, name: &str, secret: &str) -> Self {
        assert!(secret.len() >= 12, "{name} is too short to be looked for");
        self.0.push((name.to_owned(), forms(secret)));
        self
    }

    /// The names of the secrets that are in these bytes.
    ///
    /// # Panics
    ///
    /// Where there is nothing to look for.
    pub fn found_in(&self, bytes: &[u8]) -> Vec<&str> {
        let all: Vec<(&str, &[u8])> = self
            .0
            .iter()
            .flat_map(|(name, forms)| forms.iter().map(|form| (name.as_str(), form.as_slice())))
            .collect();
        assert!(!all.is_empty(), "nothing is looked for");
        let search = AhoCorasick::new(all.iter().map(|(_, form)| form)).into_iter();
        let found: BTreeSet<&str> = search
            .flat_map(|search| {
                let hits = search.find_overlapping_iter(bytes);
                hits.map(|hit| all[hit.pattern().as_usize()].0)
                    .collect::<Vec<_>>()
            })
            .collect();
        found.into_iter().collect()
    }

    /// The names of all of them.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }
}

fn forms(secret: &str) -> BTreeSet<Vec<u8>> {
    let json = serde_json::Value::from(secret).to_string();
    let json = json.trim_matches('"').to_owned();
    let mut forms = vec![secret.to_owned(), json.replace('/', "\\/"), json];
    for upper in [true, false] {
        let url = percent(secret, upper);
        forms.push(url.replace("%20", "+"));
        forms.push(url);
    }
    let hex: String = secret.bytes().fold(String::new(), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    forms.push(hex);
    for engine in [&STANDARD, &URL_SAFE] {
        for lead in 0..3 {
            let padded = [&[0; 2][..lead], secret.as_bytes()].concat();
            let text = engine.encode(&padded);
            // What only the secret decides: not the characters that neighbours take part in.
            let begin = (lead * 8).div_ceil(6);
            let end = padded.len() * 8 / 6;
            forms.push(text[begin..end].to_owned());
        }
    }
    forms.into_iter().map(String::into_bytes).collect()
}

fn percent(text: &str, upper: bool) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        let known = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        // Writing to a string does not fail.
        let _ = match (known, upper) {
            (true, _) => write!(out, "{}", char::from(byte)),
            (false, true) => write!(out, "%{byte:02X}"),
            (false, false) => write!(out, "%{byte:02x}"),
        };
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form_and_wherever_it_stands() {
        let secret = "cl/ent+\"s3cret\"=7";
        let needles = Needles::default()
            .and("it", secret)
            .and("another", "never-there-at-all");
        let mut texts = vec![
            format!("x{secret}y"),
            serde_json::json!({ "a": secret }).to_string(),
            "q=cl%2Fent%2B%22s3cret%22%3D7&".to_owned(),
            "q=cl%2fent%2b%22s3cret%22%3d7&".to_owned(),
        ];
        for lead in ["", "a", "ab", "abc", "user:"] {
            for tail in ["", "z", "zz"] {
                let whole = format!("{lead}{secret}{tail}");
                texts.push(STANDARD.encode(&whole));
                texts.push(URL_SAFE.encode(&whole));
            }
        }
        for text in texts {
            assert_eq!(needles.found_in(text.as_bytes()), ["it"], "{text}");
        }
        assert!(needles.found_in(b"cl/ent+s3cret").is_empty());
        assert_eq!(needles.names(), ["another", "it"]);
    }
}
