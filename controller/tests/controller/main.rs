//! A real controller on a loopback port, with agents that do as they are told.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot do is a failed test"
)]

mod agent;
mod deployments;
mod doors;
mod enrolment;
mod measure;
mod odd_agents;
mod returning;
mod sessions;
mod watching;
mod world;
