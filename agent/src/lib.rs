//! Puts chatalot on this host and keeps it well.
pub mod host;
pub mod runbook;
