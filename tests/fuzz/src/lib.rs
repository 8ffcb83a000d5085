//! Every decoder that sees bytes of somebody else's, fed with bytes that a coverage-guided fuzzer makes up.
//!
//! | module | what |
//! |---|---|
//! | [`targets`] | the table: one row a decoder, with what has to hold whatever it is given |
//! | [`feed`] | gives one input to one target, and measures what it held in memory meanwhile |
//! | [`corpus`] | the inputs that are kept: examples, what the fuzzer has found interesting, and what was a bug once |
//!
//! The one binary is two: built plainly it replays files, built with `--cfg fuzzing` (by `tests/fuzz.sh`) it is the
//! fuzzer, whose target is named by `CHATALOT_FUZZ_TARGET`. A panic is a crash, and so is too much memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what must hold and does not is to end the run: that is what is looked for"
)]
#![forbid(unsafe_code)]

pub mod corpus;
pub mod feed;
pub mod targets;

pub use feed::feed;
pub use targets::{TARGETS, Target, named};
