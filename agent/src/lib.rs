//! Puts chatalot on this host and keeps it well.
pub mod effect;
pub mod host;
pub mod ledger;
pub mod runbook;

/// An error with all its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
