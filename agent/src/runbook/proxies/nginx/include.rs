//! The line by which nginx reads our folder, where its own main file does not: as Arch's package brings it.

use super::super::site_file::Content;
use super::{MAIN, SITES, includes_sites};
use crate::runbook::{ActCx, Cx, StepError};
use std::path::Path;

/// Ours, at the end of the http block: the first server of a port answers for names that nobody has, and that stays the
/// one that was there before.
const LINE: &str = "    include /etc/nginx/conf.d/*.conf; # by chatalot-agent";

/// The main file with our line; `None` where the end of its http block cannot be told, or where files of others in the
/// folder, which nobody reads now, would be read with ours.
pub(super) fn with_line(main: &str, content: &Content) -> Option<String> {
    if !content.foreign.is_empty() {
        return None;
    }
    let end = end_of_http(main)?;
    let mut lines: Vec<&str> = main.lines().collect();
    lines.insert(end, LINE);
    Some(lines.join("\n") + "\n")
}

/// The number of the line with the closing brace of the http block, if that stands alone.
fn end_of_http(main: &str) -> Option<usize> {
    let (mut depth, mut quote, mut inside) = (0_usize, None, false);
    for (at, line) in main.lines().enumerate() {
        let mut escaped = false;
        let is_start = depth == 0 && line.split_whitespace().take(2).eq(["http", "{"]);
        inside = inside || is_start;
        for c in line.chars() {
            match (c, quote) {
                _ if escaped => escaped = false,
                ('\\', _) => escaped = true,
                (c, Some(open)) if c == open => quote = None,
                ('#', None) => break,
                ('"' | '\'', None) => quote = Some(c),
                ('{', None) => depth += 1,
                ('}', None) => depth = depth.checked_sub(1)?,
                _ => {}
            }
        }
        if inside && depth == 0 {
            return (line.split('#').next()?.trim() == "}").then_some(at);
        }
    }
    None
}

/// The main file without our line; `None` where it has none, or others' files are read by it.
pub(super) async fn without_line(cx: &Cx<'_>) -> Result<Option<String>, StepError> {
    let main = cx.host.read(Path::new(MAIN)).await?.unwrap_or_default();
    let content = SITES.content(cx.host, &cx.site.domain).await?;
    Ok(taken_out(&String::from_utf8_lossy(&main)).filter(|_| content.foreign.is_empty()))
}

fn taken_out(main: &str) -> Option<String> {
    let kept = main
        .split_inclusive('\n')
        .filter(|line| line.trim_end_matches('\n') != LINE);
    let kept: String = kept.collect();
    (kept != main).then_some(kept)
}

/// Puts our line into a main file that does not read the folder; what it is to be where nginx does not want it. After a
/// run that was cut off before nginx has judged it the line is there already, and is to go again all the same.
pub(super) async fn put(
    cx: &ActCx<'_>,
    content: &Content,
    was_taken_up: bool,
) -> Result<Option<Vec<u8>>, StepError> {
    let Some(before) = cx.host.read(Path::new(MAIN)).await? else {
        return Ok(None);
    };
    let main = String::from_utf8_lossy(&before);
    if includes_sites(&main) {
        // Others may live on it by now.
        let is_alone = !was_taken_up && content.foreign.is_empty();
        let without = taken_out(&main).filter(|_| is_alone);
        return Ok(without.map(String::into_bytes));
    }
    let Some(with_ours) = with_line(&main, content) else {
        return Ok(None);
    };
    cx.host.rewrite(Path::new(MAIN), with_ours.as_bytes()).await?;
    Ok(Some(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARCH: &str = "events {\n}\nhttp {\n    include       mime.types;\n    log_format a '{ \"b\": }';\n    server {\n        # {\n    }\n}\n";

    #[test]
    fn our_line_is_the_last_of_the_http_block_so_that_a_server_that_was_there_stays_the_first() {
        let ours = with_line(ARCH, &Content::default()).unwrap();
        assert!(ours.ends_with(&format!("    }}\n{LINE}\n}}\n")), "{ours}");
        assert!(includes_sites(&ours));
        assert_eq!(taken_out(&ours).as_deref(), Some(ARCH));
        assert_eq!(taken_out(ARCH), None);
    }

    #[test]
    fn where_the_block_cannot_be_told_or_others_files_would_come_to_life_there_is_none() {
        for odd in [
            "http\n{\n}\n",
            "# http {\n}\n",
            "http {\n",
            "http { server { } }\n",
            "}\n",
        ] {
            assert_eq!(with_line(odd, &Content::default()), None, "{odd}");
        }
        let content = Content {
            foreign: vec![("theirs.conf".into(), "server {}".into())],
            ..Content::default()
        };
        assert_eq!(with_line(ARCH, &content), None);
    }
}
