//! A real controller on a loopback port, with agents that do as they are told.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot do is a failed test"
)]

mod access;
mod agent;
mod approving;
mod audits;
mod commands;
mod crowds;
mod deployments;
mod doors;
mod enrolment;
mod faults;
mod four_eyes;
mod generations;
mod lifecycle;
mod lost;
mod matrix;
mod matrix_of_messages;
mod measure;
mod odd_agents;
mod outside;
mod real;
mod recorded;
mod returning;
mod rotation;
mod rotation_cut_off;
mod sessions;
mod thousand;
mod unit;
mod watching;
mod world;
