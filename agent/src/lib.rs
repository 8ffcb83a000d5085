//! Puts chatalot on this host and keeps it well.
//!
//! | module | what |
//! |---|---|
//! | [`cli`], [`config`], [`logging`] | the command line, and what it is told |
//! | [`audit`] | `chatalot-agent audit`: who asked for what |
//! | [`daemon`] | wires the tasks below, and ends them |
//! | [`runbook`] | what to do: chapters, steps, distributions, proxies, and the loop over them |
//! | [`effect`] | applying a step in a unit of its own |
//! | [`ledger`] | the durable record: deployments, effects, events |
//! | [`deployments`] | takes deployments up and goes on with them |
//! | [`health`] | is it still well |
//! | [`link`] | talking home |
//! | [`local`], [`service`] | the local socket; what can be asked, here or from home |
//! | [`outside`] | asking the controller to look at the site from outside |
//! | [`policy`] | what this host lets be done to it |
//! | [`watchdog`], [`pulse`] | systemd's watchdog, fed while all answer; a sign of life for it |
//! | [`setup`] | onto a host, and off it again |
//! | [`stun`] | what is asked of a TURN server; the sockets are the host's
//! | [`host`] | the only door to the operating system |
#![forbid(unsafe_code)]

pub mod audit;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod deployments;
pub mod effect;
pub mod health;
pub mod host;
pub mod ledger;
pub mod link;
pub mod local;
pub mod logging;
pub mod opener;
pub mod outside;
pub mod policy;
pub mod pulse;
pub mod runbook;
pub mod service;
pub mod setup;
pub mod stun;
pub mod watchdog;

pub use chatalot_protocol::chain;
