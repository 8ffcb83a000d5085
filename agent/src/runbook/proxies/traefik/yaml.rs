//! Just enough of YAML to find a place in a file that people write: block style, by its indentation. What is written
//! otherwise is told apart and left alone; a copy made by a parser would lose the operator's comments.

/// The longest path of keys that any setting has: what is below a longer one is none, and would repeat it line by line.
pub(super) const LONGEST_PATH: usize = 200;

/// A key with what is below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    /// The key's line.
    pub(super) line: usize,
    /// The line after the last one of its content.
    pub(super) end: usize,
    /// How far the key is indented.
    pub(super) indent: usize,
}

/// The lines of a text.
pub(super) struct Lines<'a>(pub(super) Vec<&'a str>);

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self(text.lines().collect())
    }

    /// Whether a line says something.
    fn says(&self, at: usize) -> bool {
        let line = self.0[at].trim_start();
        !line.is_empty() && !line.starts_with('#') && line != "---"
    }

    fn indent(&self, at: usize) -> usize {
        self.0[at].len() - self.0[at].trim_start_matches(' ').len()
    }

    /// The keys among some lines that are indented least, in order.
    pub(super) fn keys(&self, from: usize, to: usize) -> Vec<(&'a str, Block)> {
        let said: Vec<usize> = (from..to).filter(|at| self.says(*at)).collect();
        let Some(least) = said.iter().map(|at| self.indent(*at)).min() else {
            return Vec::new();
        };
        let starts: Vec<usize> = said
            .iter()
            .copied()
            .filter(|at| self.indent(*at) == least && !self.is_item(*at))
            .collect();
        let block = |(n, line): (usize, &usize)| {
            let limit = starts.get(n + 1).copied().unwrap_or(to);
            let end = (*line..limit)
                .rev()
                .find(|at| self.says(*at))
                .map_or(*line + 1, |at| at + 1);
            let key = self.0[*line].trim_start().split(':').next().unwrap_or_default();
            let key = key.trim_matches(['"', '\'']);
            (
                key,
                Block {
                    line: *line,
                    end,
                    indent: least,
                },
            )
        };
        starts.iter().enumerate().map(block).collect()
    }

    /// A key among some lines.
    pub(super) fn find(&self, from: usize, to: usize, key: &str) -> Option<Block> {
        let mut keys = self.keys(from, to).into_iter();
        keys.find(|(name, _)| *name == key).map(|(_, block)| block)
    }

    /// A key directly below another one.
    pub(super) fn below(&self, block: Block, key: &str) -> Option<Block> {
        self.find(block.line + 1, block.end, key)
    }

    /// What stands behind a key on its own line, a comment left out.
    pub(super) fn inline(&self, block: Block) -> &'a str {
        let (_, rest) = self.0[block.line].split_once(':').unwrap_or_default();
        rest.split(" #").next().unwrap_or_default().trim()
    }

    /// Whether a line is an item of a list.
    pub(super) fn is_item(&self, at: usize) -> bool {
        let line = self.0[at].trim_start();
        line == "-" || line.starts_with("- ")
    }

    /// Every value with its path of keys, dotted: enough to read a program's settings.
    pub(super) fn flat(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        self.flatten(0, self.0.len(), "", &mut found);
        found
    }

    fn flatten(&self, from: usize, to: usize, path: &str, found: &mut Vec<(String, String)>) {
        for (key, block) in self.keys(from, to) {
            let path = format!("{path}{key}");
            if path.len() > LONGEST_PATH {
                continue;
            }
            let value = self.inline(block).trim_matches(['"', '\'']);
            found.push((path.clone(), value.to_owned()));
            self.flatten(block.line + 1, block.end, &format!("{path}."), found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# a comment\nentryPoints:\n  web:\n    address: \":80\"\n  websecure:\n    address: :443 # TLS\n\nproviders:\n  docker: {}\n";

    #[test]
    fn a_place_is_found_by_its_indentation() {
        let lines = Lines::of(TEXT);
        let points = lines.find(0, lines.0.len(), "entryPoints").unwrap();
        assert_eq!((points.line, points.end), (1, 6));
        let secure = lines.below(points, "websecure").unwrap();
        assert_eq!((secure.line, secure.end, secure.indent), (4, 6, 2));
        assert_eq!(lines.below(points, "address"), None);
    }

    #[test]
    fn settings_are_read_with_their_paths() {
        let flat = Lines::of(TEXT).flat();
        assert!(
            flat.contains(&("entryPoints.websecure.address".into(), ":443".into())),
            "{flat:?}"
        );
        assert!(flat.contains(&("providers.docker".into(), "{}".into())));
    }
    #[test]
    fn f28_an_endless_key_is_not_repeated_for_all_that_is_below_it() {
        let text = format!("{}:\n{}", "k".repeat(20_000), "  a: b\n".repeat(2_000));
        assert!(Lines::of(&text).flat().is_empty());
        let deep: Vec<String> = (0..400).map(|at| " ".repeat(at) + "k:").collect();
        let deep = deep.join("\n");
        let flat = Lines::of(&deep).flat();
        assert_eq!(flat.len(), LONGEST_PATH / 2, "{flat:?}");
    }
}
