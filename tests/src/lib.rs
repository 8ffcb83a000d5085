//! The sandbox: fresh VPSes with systemd, an internet of their own, and what journeys need to drive them.
//!
//! - [`Sandbox::up`] makes sure of the images, the network and the container that is the internet;
//! - [`Vps::fresh`] starts a bare Debian 13 in it, trusted authorities included, and removes it when dropped;
//! - [`wait_until`] polls a condition; [`phase`] says how long something took.
//!
//! Everything goes through the docker command; a [`Failed`] names the command and shows what it said.

mod advice;
mod command;
mod controller;
pub mod figures;
mod journey;
mod needles;
mod sandbox;
mod vps;
mod wait;
mod wire;

pub use advice::{advises, says};
pub use command::{Failed, Output, Result, attended, run, run_with_input};
pub use controller::{Builds, Controller, shipped};
pub use journey::{Journey, least, sandboxed};
pub use needles::Needles;
pub use sandbox::Sandbox;
pub use vps::Vps;
pub use wait::{phase, wait_until};

/// Whether what takes minutes is asked for as well, by `CHATALOT_FULL`.
pub fn full() -> bool {
    std::env::var_os("CHATALOT_FULL").is_some()
}
