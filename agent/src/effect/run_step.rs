//! The `run-step` process.
