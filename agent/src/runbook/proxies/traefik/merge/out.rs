//! What we have put into an override, told apart from what was there, and out of it again.

use super::super::yaml::Block;
use super::{Edit, LIMIT, NETWORK, label_of};
use std::collections::BTreeSet;
use std::ops::Range;

const LABELS: &[&str] = &["services", "chatalot", "labels"];
const JOINED: &[&str] = &["services", "chatalot", "networks"];
const DECLARED: &[&str] = &["networks"];
/// Where we put something, and how it is called in a note.
const PLACES: &[(&str, &[&str])] = &[("label", LABELS), ("joins", JOINED), ("declares", DECLARED)];
/// Where we may have made a key, the innermost first.
const KEYS: &[&[&str]] = &[LABELS, JOINED, &["services", "chatalot"], &["services"], DECLARED];

/// What an override has in the places where we put something, each in the words that it is noted with.
pub fn parts(text: &str) -> BTreeSet<String> {
    let edit = Edit(text.lines().map(str::to_owned).collect());
    let of = |(kind, path): &(&str, &[&str])| -> Vec<String> {
        let entries = edit.entries(path).into_iter();
        entries.map(|(name, _)| format!("{kind} {name}")).collect()
    };
    PLACES.iter().flat_map(of).collect()
}

/// The override without those parts of it that are ours; nothing where it was all ours.
pub fn without(text: &str, ours: &BTreeSet<String>) -> String {
    let mut edit = Edit(text.lines().map(str::to_owned).collect());
    // In the default network is where a service is that names none; one that names another has to name it too.
    let joined = edit.entries(JOINED);
    let names_none = joined
        .iter()
        .all(|(name, _)| ours.contains(&format!("joins {name}")));
    for (kind, path) in PLACES {
        let stays = |name: &str| *kind == "joins" && name != NETWORK && !names_none;
        edit.drop_entries(path, |name| {
            ours.contains(&format!("{kind} {name}")) && !stays(name)
        });
    }
    if edit.0.len() == text.lines().count() {
        return text.to_owned();
    }
    for path in KEYS {
        edit.drop_empty(path);
    }
    if edit.0.iter().all(|line| line.trim().is_empty()) {
        return String::new();
    }
    edit.0.join("\n") + "\n"
}

impl Edit {
    /// Drops the labels that kept strangers out.
    pub(super) fn drop_limit(&mut self) {
        self.drop_entries(LABELS, |name| name.starts_with(LIMIT));
    }

    /// The items of a list, or the keys of a map, below a key, each with its lines.
    fn entries(&self, path: &[&str]) -> Vec<(String, Range<usize>)> {
        let Some(block) = self.find(path) else {
            return Vec::new();
        };
        let keys = self.lines().keys(block.line + 1, block.end);
        if keys.is_empty() {
            let items = self.items(block).into_iter();
            return items
                .map(|at| (label_of(&self.0[at]).to_owned(), at..at + 1))
                .collect();
        }
        let of_key = |(key, below): (&str, Block)| (key.to_owned(), below.line..below.end);
        keys.into_iter().map(of_key).collect()
    }

    /// Drops some of them.
    fn drop_entries(&mut self, path: &[&str], drop: impl Fn(&str) -> bool) {
        for (_, lines) in self
            .entries(path)
            .into_iter()
            .rev()
            .filter(|(name, _)| drop(name))
        {
            self.0.drain(lines);
        }
    }

    pub(super) fn drop_empty(&mut self, path: &[&str]) {
        if let Some(block) = self.find(path)
            && self.lines().inline(block).is_empty()
            && (block.line + 1..block.end).all(|at| self.0[at].trim().is_empty())
        {
            self.0.remove(block.line);
        }
    }
}
