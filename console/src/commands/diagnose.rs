//! `diagnose` and `drift`: what is wrong, and what is not as it was left.

use crate::advice;
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::{Format, Output, Style};
use crate::text::{padded, safe, width};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::message::{Answer, Ask};
use chatalot_protocol::report::Drift;
use clap::Args;
use serde_json::json;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// `diagnose`
#[derive(Debug, Clone, Default, Args)]
pub struct DiagnoseArgs {
    /// Write everything that it rests on into a new file to hand on, without secrets
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
}

/// `drift`
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct DriftArgs {
    /// Show what is as it was, too
    #[arg(long)]
    pub all: bool,
}

/// Tells what is wrong and why. 0 where nothing is, 1 where deploying again mends it, 3 where a person has to act.
pub async fn diagnose(client: &Client, args: &DiagnoseArgs, out: &mut Output) -> Result<Exit, Failure> {
    if let Some(file) = &args.bundle {
        let Answer::Bundle { text } = client.ask(&Ask::Bundle).await? else {
            return Err(Failure::Puzzled("diagnose --bundle"));
        };
        return kept(file, &text, out);
    }
    let Answer::Diagnosis { domain, found } = client.ask(&Ask::Diagnose).await? else {
        return Err(Failure::Puzzled("diagnose"));
    };
    match out.format {
        Format::Json => out.json(&json!({ "domain": domain, "found": found }))?,
        Format::Text => {
            let page = out.page();
            let blocks: Vec<String> = found.iter().map(|advice| advice::render(advice, page)).collect();
            let text = if blocks.is_empty() {
                let mark = page.paint(Style::Good, "✓");
                format!("{mark} Nothing is known to be wrong with {}\n", safe(&domain))
            } else {
                blocks.join("\n")
            };
            out.text(&text)?;
        }
    }
    Ok(exit_of(&found))
}

fn exit_of(found: &[Advice]) -> Exit {
    if found.is_empty() {
        Exit::Done
    } else if found.iter().all(|advice| advice.fixable) {
        Exit::Failed
    } else {
        Exit::Blocked
    }
}

/// Writes the bundle where nothing is yet, for nobody else to read.
fn kept(file: &Path, text: &str, out: &mut Output) -> Result<Exit, Failure> {
    let opened = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);
    let written = opened.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    if let Err(error) = written {
        return Err(Failure::Usage(format!(
            "cannot write `{}`: {error}; give a new file",
            file.display()
        )));
    }
    match out.format {
        Format::Json => out.json(&json!({ "file": file, "bytes": text.len() }))?,
        Format::Text => out.line(&format!(
            "{} has everything that is known, without the site's secrets. Read it before you hand it on.",
            file.display()
        ))?,
    }
    Ok(Exit::Done)
}

/// Tells what is not as the last good deployment left it. 0 where nothing is, otherwise 1.
pub async fn drift(client: &Client, args: &DriftArgs, out: &mut Output) -> Result<Exit, Failure> {
    let Answer::Drift { rows } = client.ask(&Ask::Drift).await? else {
        return Err(Failure::Puzzled("drift"));
    };
    let has_drifted = rows.iter().any(|row| !row.same);
    match out.format {
        Format::Json => out.json(&json!({ "drifted": has_drifted, "rows": rows }))?,
        Format::Text => {
            let shown: Vec<&Drift> = rows.iter().filter(|row| args.all || !row.same).collect();
            let mut text = table(&shown, out);
            if !has_drifted {
                text.push_str("Everything is as the last deployment left it.\n");
            }
            out.text(&text)?;
        }
    }
    Ok(if has_drifted { Exit::Failed } else { Exit::Done })
}

fn table(rows: &[&Drift], out: &Output) -> String {
    let page = out.page();
    let things = rows.iter().map(|row| width(&safe(&row.thing))).max().unwrap_or(0);
    let line = |row: &&Drift| {
        let (mark, how) = if row.same {
            (page.paint(Style::Good, "✓"), safe(&row.actual).into_owned())
        } else {
            let how = format!("{} → {}", safe(&row.wanted), safe(&row.actual));
            (page.paint(Style::Attention, "≠"), how)
        };
        format!("{mark} {}  {how}\n", padded(&safe(&row.thing), things))
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_exit_code_says_who_has_to_act() {
        let ours = Advice {
            fixable: true,
            ..Advice::new("A", "b", "c", "d")
        };
        let theirs = Advice::new("A", "b", "c", "d");
        assert_eq!(exit_of(&[]), Exit::Done);
        assert_eq!(exit_of(std::slice::from_ref(&ours)), Exit::Failed);
        assert_eq!(exit_of(&[ours, theirs]), Exit::Blocked);
    }

    #[test]
    fn a_bundle_is_written_once_and_for_its_owner_only() {
        let folder = std::env::temp_dir().join(format!("bundle-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("b.txt");
        let (mut out, _) = Output::recorded(Format::Text);
        assert_eq!(kept(&file, "text", &mut out).unwrap(), Exit::Done);
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(matches!(kept(&file, "other", &mut out), Err(Failure::Usage(_))));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "text");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
