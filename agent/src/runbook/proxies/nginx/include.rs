//! The line by which nginx reads our folder, where its own main file does not: as Arch's package brings it.

use super::{MAIN, SITES, includes_sites};
use crate::runbook::{ActCx, Cx, StepError};
use std::path::Path;

/// Ours, at the beginning of the http block.
const LINE: &str = "    include /etc/nginx/conf.d/*.conf; # by chatalot-agent";

/// The main file with our line; `None` where its http block cannot be told.
pub(super) fn with_line(main: &str) -> Option<String> {
    let is_start = |line: &str| {
        line.split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .eq(["http", "{"])
    };
    let start = main.lines().position(is_start)?;
    let mut lines: Vec<&str> = main.lines().collect();
    lines.insert(start + 1, LINE);
    Some(lines.join("\n") + "\n")
}

/// The main file without our line; `None` where it has none, or others' files are read by it.
pub(super) async fn without_line(cx: &Cx<'_>) -> Result<Option<String>, StepError> {
    let main = cx.host.read(Path::new(MAIN)).await?.unwrap_or_default();
    let main = String::from_utf8_lossy(&main);
    let content = SITES.content(cx.host, &cx.site.domain).await?;
    if !main.lines().any(|line| line == LINE) || !content.foreign.is_empty() {
        return Ok(None);
    }
    let kept = main
        .split_inclusive('\n')
        .filter(|line| line.trim_end_matches('\n') != LINE);
    Ok(Some(kept.collect()))
}

/// Puts our line into a main file that does not read the folder; what it was before.
pub(super) async fn put(cx: &ActCx<'_>) -> Result<Option<Vec<u8>>, StepError> {
    let Some(before) = cx.host.read(Path::new(MAIN)).await? else {
        return Ok(None);
    };
    let main = String::from_utf8_lossy(&before);
    let Some(with_ours) = with_line(&main).filter(|_| !includes_sites(&main)) else {
        return Ok(None);
    };
    cx.host.rewrite(Path::new(MAIN), with_ours.as_bytes()).await?;
    Ok(Some(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_main_file_gets_our_line_where_its_http_block_begins_and_only_there() {
        let arch = "events {\n}\nhttp {\n    include       mime.types;\n}\n";
        let ours = format!("events {{\n}}\nhttp {{\n{LINE}\n    include       mime.types;\n}}\n");
        assert_eq!(with_line(arch), Some(ours.clone()));
        assert!(includes_sites(&ours));
        assert_eq!(with_line("http\n{\n}\n"), None);
        assert_eq!(with_line("# http {\n"), None);
    }
}
