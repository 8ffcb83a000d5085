//! The centre from which hosts are enrolled, deployed and watched; and the operator's commands that talk to it.
//!
//! | module | what |
//! |---|---|
//! | [`ctl`] | the command line: one file a command |
//! | [`serve`], [`config`], [`logging`] | the controller, wired together |
//! | [`centre`], [`hands`] | what its parts share, and who does what blocks |
//! | [`store`], [`files`], [`logs`], [`jobs`], [`held`] | what survives a restart: rows, whole files, output, waiting orders and requests |
//! | [`backup`] | all of that in one file, and back |
//! | [`ca`], [`authority`], [`rotation`] | what certificates are made of, who signs at the moment, and how another follows |
//! | [`tls`], [`peer`], [`pin`] | how the port speaks, who is at either end |
//! | [`listener`], [`web`], [`http`], [`session`] | the one port: accepting, HTTPS for those without a certificate, agents |
//! | [`anchors`] | an eye on the audit of each host |
//! | [`outside`] | a look at a site from outside, for its host |
//! | [`fleet`], `crowd`, [`changes`] | who is connected, what a large fleet is told so that it is no crowd, and who waits for what |
//! | [`api`], [`watch`], [`model`], [`access`] | the operator's API: who may do what, in one table |
//!
//! Who trusts whom: an agent knows the SHA-256 of the root's key from its invitation, and nothing else; its own
//! identity is the URI in the certificate that it got for a token or an approval, judged against the store whenever it comes.
//! The operator is whoever may use the socket, or shows a token over the one port.
#![forbid(unsafe_code)]

pub mod access;
pub mod anchors;
pub mod api;
pub mod authority;
pub mod backup;
pub mod ca;
pub mod centre;
pub mod changes;
pub mod clock;
pub mod config;
mod crowd;
pub mod ctl;
pub mod files;
pub mod fleet;
pub mod hands;
pub mod held;
pub mod http;
pub mod jobs;
pub mod limiter;
pub mod listener;
pub mod logging;
pub mod logs;
pub mod model;
pub mod outside;
pub mod peer;
pub mod pin;
pub mod rotation;
pub mod serve;
pub mod session;
pub mod store;
pub mod tls;
mod visitors;
pub mod waiting;
pub mod watch;
pub mod web;

pub(crate) use chatalot_protocol::chain;
