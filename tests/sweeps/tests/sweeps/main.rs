//! Every call to the system of a whole life may be the last one, or be refused; and what was not synced may be gone.
//!
//! In CI one in a few of the calls that only look is tried, and every one that writes; `CHATALOT_FULL=1` tries all.
//! Each test prints how many points it has hit.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "what a test cannot do is a failed test, and the points are told to whoever runs it"
)]

mod agent;
mod controller;
mod image;
mod limits;
mod packages;
mod power;
mod scarcity;
mod strace;
