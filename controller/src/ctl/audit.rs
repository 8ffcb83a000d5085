//! `chatalotctl audit …`: who asked for what, and whether that record is whole. Verified here, not there.

use super::table::{Cell, plain, table};
use chatalot_console::client::Client;
use chatalot_console::exit::{Exit, Failure};
use chatalot_console::output::{Format, Output, Page, Style};
use chatalot_console::text::safe;
use chatalot_protocol::audit::{Anchor, Entry, Record, Verifier};
use clap::{Args, Subcommand};

/// What can be done with the audit.
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// List who asked for what, and what was said to it
    List(ListArgs),
    /// Verify that nothing was changed or removed, and print how far the record has got
    Verify(VerifyArgs),
}

/// `audit list`
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only the last so many
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    last: usize,
    /// Only what names this: a host, a token, a deployment, a person
    #[arg(long, value_name = "TEXT")]
    about: Option<String>,
    /// Only what was refused
    #[arg(long)]
    refused: bool,
}

/// `audit verify`
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// How far the record was at an earlier time, as `audit verify` has printed it
    #[arg(long, value_name = "NUMBER:HASH", value_parser = anchor)]
    anchor: Option<Anchor>,
}

impl AuditCommand {
    /// Does it.
    pub(super) async fn run(self, client: &Client, out: &mut Output) -> Result<Exit, Failure> {
        match self {
            Self::List(args) => list(client, &args, out).await,
            Self::Verify(args) => verify(client, args.anchor, out).await,
        }
    }
}

/// Reads the whole record, page by page.
async fn each(client: &Client, mut take: impl FnMut(Record)) -> Result<(), Failure> {
    let mut after = 0;
    loop {
        let page: Vec<Record> = client.get(&format!("/v1/audit?after={after}")).await?;
        let Some(last) = page.last().map(|record| record.n) else {
            return Ok(());
        };
        // A record that does not count on would be read for ever.
        if last <= after {
            return Err(Failure::Puzzled("audit"));
        }
        after = last;
        page.into_iter().for_each(&mut take);
    }
}

async fn list(client: &Client, args: &ListArgs, out: &mut Output) -> Result<Exit, Failure> {
    let mut found = std::collections::VecDeque::new();
    each(client, |record| {
        let entry: Entry = serde_json::from_str(&record.body).unwrap_or_default();
        let names = args
            .about
            .as_ref()
            .is_none_or(|text| record.body.contains(text.as_str()));
        if names && (!args.refused || is_refusal(&entry)) {
            found.push_back((record, entry));
            if found.len() > args.last {
                found.pop_front();
            }
        }
    })
    .await?;
    if out.format == Format::Json {
        for (record, entry) in &found {
            out.json(&serde_json::json!({"n": record.n, "hash": record.hash, "entry": entry}))?;
        }
    } else if found.is_empty() {
        out.note("There is nothing of the kind in the audit.")?;
    } else {
        let entries: Vec<(u64, Entry)> = found
            .into_iter()
            .map(|(record, entry)| (record.n, entry))
            .collect();
        let text = lines(&entries, out.page());
        out.text(&text)?;
    }
    Ok(Exit::Done)
}

async fn verify(client: &Client, seen: Option<Anchor>, out: &mut Output) -> Result<Exit, Failure> {
    let mut verifier = Verifier::new(seen);
    let mut broken = None;
    each(client, |record| {
        if broken.is_none() {
            broken = verifier.take(&record).err();
        }
    })
    .await?;
    let end = match broken {
        Some(broken) => Err(broken),
        None => verifier.end(),
    };
    match (end, out.format) {
        (Ok(anchor), Format::Json) => {
            out.json(&serde_json::json!({"whole": true, "anchor": anchor.to_string()}))?;
        }
        (Ok(anchor), Format::Text) => {
            out.note(&format!(
                "The audit is whole: {} records. Keep this elsewhere, for --anchor:",
                anchor.n
            ))?;
            out.line(&anchor.to_string())?;
        }
        (Err(broken), Format::Json) => {
            out.json(&serde_json::json!({"whole": false, "why": broken.to_string()}))?;
            return Ok(Exit::Failed);
        }
        (Err(broken), Format::Text) => {
            out.note(&format!("The audit is NOT whole: {broken}."))?;
            return Ok(Exit::Failed);
        }
    }
    Ok(Exit::Done)
}

fn lines(entries: &[(u64, Entry)], page: Page) -> String {
    let text = |text: &str| plain(safe(text).into_owned());
    let rows: Vec<[Cell; 7]> = entries
        .iter()
        .map(|(n, entry)| {
            let plan = entry.plan.as_ref().map(|plan| plan.short().to_owned());
            let detail = [plan.unwrap_or_default(), entry.detail.clone()].join(" ");
            [
                plain(n.to_string()),
                plain(crate::clock::minute(entry.at_ms)),
                text(if entry.by.is_empty() { "-" } else { &entry.by }),
                text(&entry.action),
                text(&entry.subject),
                (
                    safe(&entry.verdict).into_owned(),
                    is_refusal(entry).then_some(Style::Bad),
                ),
                text(detail.trim()),
            ]
        })
        .collect();
    table(
        ["N", "WHEN (UTC)", "WHO", "ACTION", "ON", "VERDICT", "DETAIL"],
        &rows,
        page,
    )
}

/// Whatever is in capitals is the code of a refusal.
fn is_refusal(entry: &Entry) -> bool {
    entry
        .verdict
        .starts_with(|first: char| first.is_ascii_uppercase())
}

fn anchor(text: &str) -> Result<Anchor, String> {
    text.parse()
}
