//! Our labels and network, out of the override again.

use super::{Edit, LIMIT, NETWORK, item};

/// What our labels begin with; the router, the middlewares and the service are named after chatalot.
const OURS: &[&str] = &[
    "traefik.enable",
    "traefik.docker.network",
    "traefik.http.routers.chatalot.",
    "traefik.http.middlewares.chatalot-",
    "traefik.http.services.chatalot.",
];
/// Where we may have made a key, the innermost first.
const KEYS: &[&[&str]] = &[
    &["services", "chatalot", "labels"],
    &["services", "chatalot", "networks"],
    &["services", "chatalot"],
    &["services"],
    &["networks", NETWORK],
    &["networks"],
];

/// The override without what is ours; nothing where it was all ours.
pub fn without(text: &str) -> String {
    let mut edit = Edit(text.lines().map(str::to_owned).collect());
    edit.drop_within(&["services", "chatalot", "labels"], is_label);
    let joined = edit.drop_within(&["services", "chatalot", "networks"], |line| {
        name_of(line) == NETWORK
    });
    if joined {
        // In this network alone is where a service is that names none.
        let rest = edit.within(&["services", "chatalot", "networks"]);
        if rest.iter().all(|line| name_of(line) == "default") {
            edit.drop_within(&["services", "chatalot", "networks"], |_| true);
        }
        edit.drop_within(&["networks", NETWORK], |_| true);
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
        self.drop_within(&["services", "chatalot", "labels"], |line| {
            name_of(line).starts_with(LIMIT)
        });
    }

    fn within(&self, path: &[&str]) -> Vec<String> {
        self.find(path)
            .map_or_else(Vec::new, |block| self.0[block.line + 1..block.end].to_vec())
    }

    /// Drops lines below a key; whether there was one.
    fn drop_within(&mut self, path: &[&str], drop: impl Fn(&str) -> bool) -> bool {
        let Some(block) = self.find(path) else {
            return false;
        };
        let before = self.0.len();
        let kept: Vec<String> = self.within(path).into_iter().filter(|line| !drop(line)).collect();
        self.0.splice(block.line + 1..block.end, kept);
        self.0.len() < before
    }

    pub(super) fn drop_empty(&mut self, path: &[&str]) {
        if let Some(block) = self.find(path)
            && self.lines().inline(block).is_empty()
            && self.within(path).iter().all(|line| line.trim().is_empty())
        {
            self.0.remove(block.line);
        }
    }
}

/// An item of a list or a key of a map, without what follows it.
fn name_of(line: &str) -> &str {
    item(line)
        .split([':', '='])
        .next()
        .unwrap_or_default()
        .trim_matches('"')
}

fn is_label(line: &str) -> bool {
    let name = name_of(line);
    OURS.iter()
        .any(|ours| name == *ours || (ours.ends_with(['.', '-']) && name.starts_with(ours)))
}
