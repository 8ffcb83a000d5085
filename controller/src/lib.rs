//! The centre from which hosts are enrolled, deployed and watched; and the operator's commands that talk to it.
//!
//! | module | what |
//! |---|---|
//! | [`ctl`] | the command line: one file a command |
//! | [`serve`], [`config`], [`logging`] | the controller, wired together |
//! | [`centre`], [`hands`] | what its parts share, and who does what blocks |
//! | [`store`], [`files`], [`logs`], [`jobs`] | what survives a restart: rows, whole files, output, waiting orders |
//! | [`ca`], [`tls`], [`peer`] | who signs, how the port speaks, who is at the other end |
//! | [`listener`], [`web`], [`http`], [`session`] | the one port: accepting, HTTPS for those without a certificate, agents |
//! | [`fleet`], [`changes`] | who is connected, and who waits for what |
//! | [`api`], [`watch`], [`model`] | the operator's socket |
//!
//! Who trusts whom: an agent knows the SHA-256 of the root's key from its join token, and nothing else; its own
//! identity is the URI in the certificate that it got for the token, judged against the store whenever it comes.
//! The operator is whoever may use the socket.
#![forbid(unsafe_code)]

pub mod api;
pub mod ca;
pub mod centre;
pub mod changes;
pub mod clock;
pub mod config;
pub mod ctl;
pub mod files;
pub mod fleet;
pub mod hands;
pub mod http;
pub mod jobs;
pub mod listener;
pub mod logging;
pub mod logs;
pub mod model;
pub mod peer;
pub mod serve;
pub mod session;
pub mod store;
pub mod tls;
pub mod watch;
pub mod web;

pub(crate) use chatalot_protocol::chain;
