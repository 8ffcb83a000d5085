//! Puts our labels and network into an override file that people write: line by line, what else is in it as it was,
//! comments too. Whether it came out right, compose itself is asked (`proof`).

mod out;
mod ports;

pub use out::{parts, without};
pub use ports::{publish_locally, without_local_port};

use super::yaml::{Block, Lines};
use std::fmt::Write as _;

/// What our network is called within the override.
pub(super) const NETWORK: &str = "chatalot-proxy";

/// What the labels begin with that keep strangers out for a while; one that is not wanted any more goes.
pub(super) const LIMIT: &str = "traefik.http.middlewares.chatalot-limit.";

/// What has to be in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Labels of the service `chatalot`, in order.
    pub labels: Vec<(String, String)>,
    /// The existing network that it joins, and those that it is in anyway.
    pub network: Option<(String, Vec<String>)>,
}

/// The override with what is wanted; why not, where it is written in a way that this does not read.
pub fn merge(text: &str, wanted: &Wanted) -> Result<String, String> {
    if text.contains('\t') {
        return Err("it is indented with tabs".to_owned());
    }
    // YAML ends a line there, and an editor of lines does not.
    if text.replace("\r\n", "\n").contains('\r') {
        return Err("it has carriage returns within its lines".to_owned());
    }
    let there: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut edit = Edit(there.clone());
    edit.drop_limit();
    edit.path(&["services", "chatalot"])?;
    edit.labels(&wanted.labels)?;
    if let Some((name, others)) = &wanted.network {
        edit.join(others)?;
        edit.declare(name)?;
    }
    // However its lines end.
    if edit.0 == there {
        return Ok(text.to_owned());
    }
    Ok(edit.0.join("\n") + "\n")
}

/// A file on its way.
struct Edit(Vec<String>);

impl Edit {
    fn lines(&self) -> Lines<'_> {
        Lines(self.0.iter().map(String::as_str).collect())
    }

    /// Where a path of keys is.
    fn find(&self, path: &[&str]) -> Option<Block> {
        let lines = self.lines();
        let (first, rest) = path.split_first()?;
        let mut block = lines.find(0, lines.0.len(), first)?;
        for key in rest {
            block = lines.below(block, key)?;
        }
        Some(block)
    }

    /// Makes sure that a path of keys is there, each with its content on lines of their own.
    fn path(&mut self, path: &[&str]) -> Result<Block, String> {
        for depth in 1..=path.len() {
            let here = &path[..depth];
            if self.find(here).is_none() {
                let (at, indent) = match self.find(&here[..depth - 1]) {
                    Some(parent) => (parent.end, self.child_indent(parent)),
                    None => (self.0.len(), 0),
                };
                self.0
                    .insert(at, format!("{}{}:", " ".repeat(indent), here[depth - 1]));
            }
            let block = self.find(here).ok_or_else(|| odd(here))?;
            if !matches!(self.lines().inline(block), "" | "null" | "~") {
                return Err(odd(here));
            }
        }
        self.find(path).ok_or_else(|| odd(path))
    }

    /// How far what is below a key is indented, or would be.
    fn child_indent(&self, block: Block) -> usize {
        let lines = self.lines();
        let children = lines.keys(block.line + 1, block.end);
        children
            .first()
            .map_or(block.indent + 2, |(_, child)| child.indent)
    }

    /// The lines of a list below a key, if it is one.
    fn items(&self, block: Block) -> Vec<usize> {
        let lines = self.lines();
        (block.line + 1..block.end)
            .filter(|at| lines.is_item(*at))
            .collect()
    }

    fn labels(&mut self, labels: &[(String, String)]) -> Result<(), String> {
        const PATH: &[&str] = &["services", "chatalot", "labels"];
        for (key, value) in labels {
            let block = self.path(PATH)?;
            let items = self.items(block);
            let (line, at) = if items.is_empty() && block.end > block.line + 1 {
                let indent = " ".repeat(self.child_indent(block));
                let old = self.lines().below(block, key).map(|old| old.line);
                (format!("{indent}{key}: {}", quoted(value)), old)
            } else {
                let indent = items.first().map_or(block.indent + 2, |at| indent(&self.0[*at]));
                let old = items.into_iter().find(|at| label_of(&self.0[*at]) == key);
                (
                    format!("{}- {}", " ".repeat(indent), quoted(&format!("{key}={value}"))),
                    old,
                )
            };
            match at {
                Some(at) if value_of(&self.0[at]) == value_of(&line) => {}
                Some(at) => self.0[at] = line,
                None => self.0.insert(block.end, line),
            }
        }
        Ok(())
    }

    /// The service joins our network, and stays in those that it was in.
    fn join(&mut self, others: &[String]) -> Result<(), String> {
        const PATH: &[&str] = &["services", "chatalot", "networks"];
        for name in others.iter().map(String::as_str).chain([NETWORK]) {
            let block = self.path(PATH)?;
            let items = self.items(block);
            if items.is_empty() && block.end > block.line + 1 {
                if self.lines().below(block, name).is_none() {
                    let indent = " ".repeat(self.child_indent(block));
                    self.0.insert(block.end, format!("{indent}{name}: {{}}"));
                }
                continue;
            }
            let there = items.iter().any(|at| item(&self.0[*at]) == name);
            if !there {
                let indent = items.first().map_or(block.indent + 2, |at| indent(&self.0[*at]));
                self.0
                    .insert(block.end, format!("{}- {name}", " ".repeat(indent)));
            }
        }
        Ok(())
    }

    /// Our name for the network stands for the existing one.
    fn declare(&mut self, name: &str) -> Result<(), String> {
        let block = self.path(&["networks", NETWORK])?;
        let lines = self.lines();
        let says = |key: &str, value: &str| {
            let line = lines.below(block, key);
            line.is_some_and(|line| lines.inline(line).trim_matches(['"', '\'']) == value)
        };
        if says("external", "true") && says("name", name) {
            return Ok(());
        }
        let indent = " ".repeat(block.indent + 2);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = write!(text, "{indent}external: true\n{indent}name: {}", quoted(name));
        self.0
            .splice(block.line + 1..block.end, text.lines().map(str::to_owned));
        Ok(())
    }
}

fn odd(path: &[&str]) -> String {
    format!("`{}` is not written as a block of lines", path.join("."))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// An item of a list without its dash, quotes and comment.
fn item(line: &str) -> &str {
    let text = line.trim_start().trim_start_matches('-').trim();
    text.split(" #")
        .next()
        .unwrap_or_default()
        .trim()
        .trim_matches(['"', '\''])
}

fn label_of(line: &str) -> &str {
    item(line).split('=').next().unwrap_or_default()
}

/// The value of a label in either style, however it is quoted.
fn value_of(line: &str) -> Option<&str> {
    let is_item = line.trim_start().starts_with('-');
    let (_, value) = item(line).split_once(if is_item { '=' } else { ':' })?;
    Some(if is_item {
        value
    } else {
        value.trim().trim_matches(['"', '\''])
    })
}

/// A double-quoted scalar; compose would fill in a single dollar sign.
fn quoted(text: &str) -> String {
    format!(
        "\"{}\"",
        text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            labels: vec![
                ("traefik.enable".into(), "true".into()),
                (
                    "traefik.http.routers.chatalot.rule".into(),
                    "Host(`chat.example.com`)".into(),
                ),
            ],
            network: Some(("edge".into(), vec!["default".into()])),
        }
    }

    const OURS: &str = "services:\n  chatalot:\n    labels:\n      - \"traefik.enable=true\"\n      - \"traefik.http.routers.chatalot.rule=Host(`chat.example.com`)\"\n    networks:\n      - default\n      - chatalot-proxy\nnetworks:\n  chatalot-proxy:\n    external: true\n    name: \"edge\"\n";

    #[test]
    fn a_missing_override_becomes_ours_and_stays_it() {
        assert_eq!(merge("", &wanted()).unwrap(), OURS);
        assert_eq!(merge(OURS, &wanted()).unwrap(), OURS);
    }

    #[test]
    fn what_else_is_in_it_stays_as_it_was() {
        let theirs = "# mine\nservices:\n    postgres:\n        shm_size: 1g # more\n\n    chatalot:\n        labels:\n            backup: \"yes\"\n        environment:\n            - A=b\n\nvolumes:\n    x: {}\n";
        let merged = merge(theirs, &wanted()).unwrap();
        for line in theirs.lines() {
            assert!(
                merged.lines().any(|other| other == line),
                "lost `{line}`:\n{merged}"
            );
        }
        let begins = "            backup: \"yes\"\n            traefik.enable: \"true\"\n            traefik.http.routers.chatalot.rule: \"Host(`chat.example.com`)\"\n        environment:\n";
        assert!(merged.contains(begins), "{merged}");
        assert!(
            merged.contains("            - A=b\n        networks:\n          - default\n"),
            "{merged}"
        );
        assert_eq!(merge(&merged, &wanted()).unwrap(), merged);
    }

    #[test]
    fn a_changed_domain_changes_its_line_only() {
        let mut other = wanted();
        other.labels[1].1 = "Host(`talk.example.com`)".into();
        assert_eq!(
            merge(OURS, &other).unwrap(),
            OURS.replace("chat.example", "talk.example")
        );
    }

    #[test]
    fn a_limit_comes_and_goes_alone() {
        let mut limited = wanted();
        limited.labels.push((
            format!("{LIMIT}ipallowlist.sourcerange"),
            "127.0.0.1,198.51.100.7".into(),
        ));
        let merged = merge(OURS, &limited).unwrap();
        assert!(
            merged.contains("chatalot-limit.ipallowlist.sourcerange=127.0.0.1,198.51.100.7\"\n"),
            "{merged}"
        );
        assert_eq!(merge(&merged, &limited).unwrap(), merged);
        assert_eq!(merge(&merged, &wanted()).unwrap(), OURS);
    }

    /// What merging has added to a text.
    fn added(text: &str, merged: &str) -> std::collections::BTreeSet<String> {
        &parts(merged) - &parts(text)
    }

    #[test]
    fn taken_out_again_it_is_as_it_was() {
        let label = "services:\n  chatalot:\n    labels:\n      - backup=yes\nvolumes:\n  x: {}\n";
        let router = "traefik.http.routers.chatalot.priority";
        for before in [
            String::new(),
            format!("# mine\n{label}"),
            // As an operator writes ours, some or all of them, with one that we never do.
            label.replace("backup=yes", "'traefik.enable=true' # mine"),
            label.replace(
                "- backup=yes",
                &format!("{router}: 9\n      'traefik.enable': true"),
            ),
            OURS.replace("      - default\n", "      - default\n      - backup\n")
                .replace("\"edge\"", "edge # mine"),
            OURS.replace("    networks:\n      - default\n      - chatalot-proxy\n", ""),
        ] {
            let merged = merge(&before, &wanted()).unwrap();
            let ours = added(&before, &merged);
            assert_eq!(without(&merged, &ours), before, "{ours:?}");
            assert_eq!(without(&before, &ours), before);
        }
    }

    #[test]
    fn what_says_the_same_in_other_words_is_not_written_anew_and_nothing_of_it_is_ours() {
        for same in [
            OURS.trim_end().to_owned(),
            OURS.replace('\n', "\r\n"),
            OURS.replace("\"traefik.enable=true\"", "traefik.enable=true # mine"),
            OURS.replace("- \"traefik.enable=true\"", "traefik.enable: true")
                .replace(
                    "- \"traefik.http.routers.chatalot.rule=Host(`chat.example.com`)\"",
                    "'traefik.http.routers.chatalot.rule': 'Host(`chat.example.com`)'",
                ),
        ] {
            let merged = merge(&same, &wanted()).unwrap();
            assert_eq!(merged, same);
            assert!(added(&same, &merged).is_empty());
        }
    }

    #[test]
    fn a_value_of_the_operators_that_has_to_be_another_stays_in_its_place() {
        let theirs = "services:\n  chatalot:\n    labels:\n      - traefik.enable=false\n";
        let merged = merge(theirs, &wanted()).unwrap();
        assert!(merged.contains("- \"traefik.enable=true\"\n"), "{merged}");
        let rest = without(&merged, &added(theirs, &merged));
        assert_eq!(
            rest,
            theirs.replace("traefik.enable=false", "\"traefik.enable=true\"")
        );
    }

    #[test]
    fn a_service_that_names_another_network_keeps_the_default_one() {
        let merged = merge("", &wanted()).unwrap();
        let ours = added("", &merged);
        let since = merged.replace(
            "      - chatalot-proxy\n",
            "      - chatalot-proxy\n      - backup\n",
        );
        assert_eq!(
            without(&since, &ours),
            "services:\n  chatalot:\n    networks:\n      - default\n      - backup\n"
        );
    }

    #[test]
    fn what_is_written_otherwise_is_left_alone() {
        for odd in [
            "volumes: {}\r",
            "services: {chatalot: {labels: [a=b]}}\n",
            "services:\n  chatalot:\n    labels: [\"a=b\"]\n",
            "services:\n  chatalot: *anchor\n",
            "services:\n\tchatalot:\n",
        ] {
            assert!(merge(odd, &wanted()).is_err(), "{odd}");
        }
    }
}
