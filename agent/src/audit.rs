//! `chatalot-agent audit …`: reads the ledger, with or without a daemon, and changes nothing.

use crate::config::Config;
use crate::ledger::{Ledger, LedgerError, audit};
use chatalot_console::exit::{Exit, Failure};
use chatalot_console::output::{Format, Output};
use chatalot_console::text::safe;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::audit::{Anchor, Broken, Record};
use clap::Subcommand;
use serde_json::json;

/// What can be asked about the audit.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Verify that no record was changed: 0 whole, 1 tampered with
    Verify {
        /// How far it was seen to have got, as `NUMBER:HASH`; without it a cut end does not show
        #[arg(long, value_name = "ANCHOR")]
        anchor: Option<Anchor>,
    },
    /// Show every record, unverified
    Show,
}

impl AuditCommand {
    /// Answers it.
    pub async fn run(&self, config: &Config, out: &mut Output) -> Result<Exit, Failure> {
        let ledger =
            Ledger::open_to_read(&config.state.join("ledger.sqlite")).map_err(|error| failed(&error))?;
        match self {
            Self::Verify { anchor } => {
                let seen = *anchor;
                let verified = ledger.with(move |db| audit::verify(db, seen)).await;
                told(verified.map_err(|error| failed(&error))?, out)
            }
            Self::Show => {
                let mut at = 0;
                loop {
                    let records = ledger.with(move |db| audit::after(db, at)).await;
                    let records = records.map_err(|error| failed(&error))?;
                    let Some(last) = records.last().map(|record| record.n) else {
                        return Ok(Exit::Done);
                    };
                    records.iter().try_for_each(|record| show(record, out))?;
                    at = last;
                }
            }
        }
    }
}

fn show(record: &Record, out: &mut Output) -> Result<(), Failure> {
    match out.format {
        Format::Json => out.json(record),
        Format::Text => out.line(&format!("{} {}", record.n, safe(&record.body))),
    }
}

fn told(verified: Result<Anchor, Broken>, out: &mut Output) -> Result<Exit, Failure> {
    match (verified, out.format) {
        (Ok(anchor), Format::Json) => out.json(&json!({"intact": true, "anchor": anchor.to_string()}))?,
        (Ok(anchor), Format::Text) => out.line(&format!("{} records, none changed; {anchor}", anchor.n))?,
        (Err(broken), format) => {
            let advice = Advice::new(
                "AUDIT_BROKEN",
                format!("the audit was tampered with: {broken}"),
                "records that follow from each other",
                "trust nothing after the record before; find out who had root here, and keep the disk",
            );
            match format {
                Format::Json => out.json(&json!({"intact": false, "advice": advice}))?,
                Format::Text => {
                    let text = chatalot_console::advice::render(&advice, out.page_of_errors());
                    out.note(text.trim_end())?;
                }
            }
            return Ok(Exit::Failed);
        }
    }
    Ok(Exit::Done)
}

fn failed(error: &LedgerError) -> Failure {
    Failure::Usage(crate::chain(error))
}
