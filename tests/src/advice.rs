//! What an operator is told when something is wrong, as a person reads it.

use crate::command::Output;

/// An advice block as a person reads it: code, saw, wanted, fix; `saw` and `fix` contain these words.
#[track_caller]
pub fn advises(output: &Output, code: i32, finding: &str, saw: &str, fix: &str) {
    let text = [output.stdout.as_str(), &output.stderr].concat();
    let block: Vec<&str> = text
        .lines()
        .skip_while(|line| !(line.contains('✗') && line.trim_end().ends_with(finding) && !line.contains('…')))
        .collect();
    let field = |name: &str| {
        block
            .iter()
            .map(|line| line.trim_start())
            .find(|line| line.starts_with(name))
            .unwrap_or_default()
    };
    assert_eq!(output.code, code, "{} ended otherwise:\n{text}", output.command);
    assert!(
        field("saw").contains(saw),
        "{finding} did not see `{saw}`:\n{text}"
    );
    assert!(
        field("wanted").len() > "wanted  ".len(),
        "{finding} wants nothing:\n{text}"
    );
    assert!(
        field("fix").contains(fix),
        "{finding} has not the fix `{fix}`:\n{text}"
    );
}

/// Fails, showing everything, unless a command has said all of these words.
#[track_caller]
pub fn says(output: &Output, words: &[&str]) {
    let text = [output.stdout.as_str(), &output.stderr].concat();
    for word in words {
        assert!(text.contains(word), "no `{word}`:\n{text}");
    }
}
