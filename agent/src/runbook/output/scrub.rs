//! Bytes in, bytes without secrets out, however they are cut into chunks.
//!
//! All patterns are looked for at once, overlapping ones too, and what they cover is replaced. Held back is only
//! what may still become a secret: the longest end of the stream that some pattern begins with. So ordinary text
//! passes at once, and no time-out decides that half a secret was none.

use super::patterns;
use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// What stands in a secret's place.
const MARK: &[u8] = b"[secret]";
/// A piece of a secret that a stream ends with is replaced from this length on.
const FRAGMENT: usize = 8;
/// The longest private key that is believed to be one.
const LONGEST_KEY: usize = 64 * 1024;
/// Tables of more patterns than this are kept in a slower, smaller form.
const DENSE: usize = 16 * 1024;
/// What a private key may be called.
const KEYS: [&str; 6] = ["", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED "];

/// What a pattern means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It is the secret.
    Value,
    /// A join token begins.
    Token,
    /// A private key begins.
    KeyBegins,
    /// A private key ends.
    KeyEnds,
}

/// What the stream is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Text,
    Token,
    /// A private key, of which so much was seen.
    Key(usize),
}

/// Replaces secrets in a stream.
pub(super) struct Scrubber {
    automaton: AhoCorasick,
    patterns: Vec<(Vec<u8>, Kind)>,
    firsts: [bool; 256],
    longest: usize,
    held: Vec<u8>,
    /// How much of what is held was replaced already; `None` where no replacement is under way.
    covered: Option<usize>,
    mode: Mode,
}

impl Scrubber {
    pub(super) fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Self, BuildError> {
        let values: BTreeSet<Vec<u8>> = secrets.into_iter().flat_map(patterns::forms).collect();
        let mut all: Vec<(Vec<u8>, Kind)> = values.into_iter().map(|value| (value, Kind::Value)).collect();
        all.push((b"cja1_".to_vec(), Kind::Token));
        for key in KEYS {
            all.push((
                format!("-----BEGIN {key}PRIVATE KEY-----").into(),
                Kind::KeyBegins,
            ));
            all.push((format!("-----END {key}PRIVATE KEY-----").into(), Kind::KeyEnds));
        }
        let mut firsts = [false; 256];
        for (pattern, _) in &all {
            firsts[usize::from(pattern[0])] = true;
        }
        Ok(Self {
            automaton: automaton(&all)?,
            longest: all.iter().map(|(pattern, _)| pattern.len()).max().unwrap_or(0),
            patterns: all,
            firsts,
            held: Vec::new(),
            covered: None,
            mode: Mode::Text,
        })
    }

    /// The same for another stream.
    pub(super) fn fresh(&self) -> Self {
        Self {
            automaton: self.automaton.clone(),
            patterns: self.patterns.clone(),
            firsts: self.firsts,
            longest: self.longest,
            held: Vec::new(),
            covered: None,
            mode: Mode::Text,
        }
    }

    /// A whole text without secrets.
    pub(super) fn whole(mut self, text: &str) -> String {
        let mut clean = Vec::new();
        self.push(text.as_bytes(), &mut clean);
        self.finish(&mut clean);
        String::from_utf8_lossy(&clean).into_owned()
    }

    /// Takes a chunk; appends to `out` what is safe by now.
    pub(super) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        let bytes = if held.is_empty() {
            Cow::Borrowed(chunk)
        } else {
            Cow::Owned([held.as_slice(), chunk].concat())
        };
        let spans = self.spans(&bytes, held.len());
        let safe = self.safe(&bytes, |_| true);
        self.emit(&bytes, spans, safe, out);
        self.held.extend_from_slice(&bytes[safe..]);
    }

    /// Ends the stream: appends what was held back, but for what looks like a piece of a secret.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        let mut spans = self.spans(&held, held.len());
        let piece = self.safe(&held, |kind| kind == Kind::Value);
        if held.len() - piece >= FRAGMENT {
            spans.push((piece, held.len()));
        }
        self.emit(&held, spans, held.len(), out);
        self.covered = None;
        self.mode = Mode::Text;
    }

    /// What is secret in these bytes, of which the first `old` were seen before.
    fn spans(&mut self, bytes: &[u8], old: usize) -> Vec<(usize, usize)> {
        let mut spans: Vec<(usize, usize)> = self.covered.map(|end| (0, end)).into_iter().collect();
        let mut key_from = matches!(self.mode, Mode::Key(_)).then_some(0);
        if self.mode == Mode::Token {
            let end = token_end(bytes, old);
            spans.push((old, end));
            if end < bytes.len() {
                self.mode = Mode::Text;
            }
        }
        for found in self.automaton.find_overlapping_iter(bytes) {
            match self.patterns[found.pattern().as_usize()].1 {
                Kind::Value => spans.push((found.start(), found.end())),
                Kind::Token => {
                    let end = token_end(bytes, found.end());
                    spans.push((found.start(), end));
                    if end == bytes.len() && key_from.is_none() {
                        self.mode = Mode::Token;
                    }
                }
                Kind::KeyBegins => key_from = key_from.or(Some(found.start())),
                Kind::KeyEnds => {
                    if let Some(from) = key_from.take() {
                        spans.push((from, found.end()));
                        self.mode = Mode::Text;
                    }
                }
            }
        }
        if let Some(from) = key_from {
            self.key_goes_on(from, old, bytes.len(), &mut spans);
        }
        spans
    }

    /// A private key has begun and not ended; one that is too long to be one is text again.
    fn key_goes_on(&mut self, from: usize, old: usize, len: usize, spans: &mut Vec<(usize, usize)>) {
        let seen = match self.mode {
            Mode::Key(seen) => seen + len - old,
            _ => len - from,
        };
        spans.push((from, len));
        self.mode = if seen > LONGEST_KEY {
            Mode::Text
        } else {
            Mode::Key(seen)
        };
    }

    /// Where the longest end begins that may become one of these patterns.
    fn safe(&self, bytes: &[u8], wanted: impl Fn(Kind) -> bool) -> usize {
        let from = bytes.len().saturating_sub(self.longest.saturating_sub(1));
        (from..bytes.len())
            .filter(|at| self.firsts[usize::from(bytes[*at])])
            .find(|at| {
                let end = &bytes[*at..];
                self.patterns.iter().any(|(pattern, kind)| {
                    pattern.len() > end.len() && wanted(*kind) && pattern.starts_with(end)
                })
            })
            .unwrap_or(bytes.len())
    }

    /// Writes the bytes before `safe`, each run of secrets as one mark.
    fn emit(&mut self, bytes: &[u8], mut spans: Vec<(usize, usize)>, safe: usize, out: &mut Vec<u8>) {
        // A run that goes on from the chunk before has its mark already.
        let mut marked = self.covered.is_some();
        self.covered = None;
        spans.sort_unstable();
        let mut spans = spans.into_iter().peekable();
        let mut at = 0;
        while let Some((start, mut end)) = spans.next() {
            while let Some((_, further)) = spans.next_if(|(next, _)| *next <= end) {
                end = end.max(further);
            }
            if start >= safe && !(marked && start == 0) {
                break;
            }
            out.extend_from_slice(&bytes[at..start]);
            if !marked {
                out.extend_from_slice(MARK);
            }
            marked = false;
            at = end;
            if end >= safe {
                self.covered = Some(end - safe);
                return;
            }
        }
        out.extend_from_slice(&bytes[at..safe]);
    }
}

fn automaton(patterns: &[(Vec<u8>, Kind)]) -> Result<AhoCorasick, BuildError> {
    let size: usize = patterns.iter().map(|(pattern, _)| pattern.len()).sum();
    let kind = if size <= DENSE {
        AhoCorasickKind::DFA
    } else {
        AhoCorasickKind::ContiguousNFA
    };
    AhoCorasick::builder()
        .match_kind(MatchKind::Standard)
        .kind(Some(kind))
        .build(patterns.iter().map(|(pattern, _)| pattern))
}

/// Where a token that has got as far as `from` ends.
fn token_end(bytes: &[u8], from: usize) -> usize {
    bytes[from..]
        .iter()
        .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')))
        .map_or(bytes.len(), |n| from + n)
}

#[cfg(test)]
#[path = "scrub_tests.rs"]
mod tests;
