//! Where log records go: the journal with their fields, or standard error as one line each.

use log::kv::{Error, Key, Value, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};
use std::fmt::Write as _;
use std::io::Write as _;

/// Sends records to the journal under systemd, and to standard error elsewhere.
pub fn start(level: LevelFilter) {
    log::set_max_level(level);
    if std::env::var_os("JOURNAL_STREAM").is_some()
        && let Ok(journal) = systemd_journal_logger::JournalLog::new()
        && journal.install().is_ok()
    {
        return;
    }
    let _ = log::set_logger(&Lines);
}

/// One line a record.
struct Lines;

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level() && metadata.target().starts_with("chatalot")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let mut line = format!("{} {}", record.level(), record.args());
            let _ = record.key_values().visit(&mut Fields(&mut line));
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    fn flush(&self) {}
}

struct Fields<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        write!(self.0, " {key}={value}").map_err(|_| Error::msg("no room"))
    }
}
