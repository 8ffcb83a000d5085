//! The log: the journal when we are a service, the standard error otherwise; one line an event.

use log::kv::{self, Key, Value, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};
use std::fmt::Write as _;
use std::io::Write as _;
use systemd_journal_logger::{JournalLog, connected_to_journal};

/// Starts logging; without a journal to the standard error.
pub fn start() {
    let level = std::env::var("CHATALOTCTL_LOG")
        .ok()
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::Info);
    let journal = connected_to_journal()
        .then(JournalLog::new)
        .and_then(Result::ok)
        .is_some_and(|journal| journal.install().is_ok());
    if !journal {
        // Fails only where a logger is installed already, which will do as well.
        let _ = log::set_logger(&Plain);
    }
    log::set_max_level(level);
}

struct Plain;

impl Log for Plain {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("chatalot") || metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut line = Line(format!("{} {}", record.level(), record.args()));
        // The visitor never fails.
        let _ = record.key_values().visit(&mut line);
        line.0.push('\n');
        // There is nowhere to tell that the standard error is gone.
        let _ = std::io::stderr().lock().write_all(line.0.as_bytes());
    }

    fn flush(&self) {}
}

struct Line(String);

impl<'kvs> VisitSource<'kvs> for Line {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        // Writing to a string does not fail; a line stays one line.
        let value = value.to_string().replace(|c: char| c.is_control(), " ");
        let _ = write!(self.0, " {key}={value}");
        Ok(())
    }
}
