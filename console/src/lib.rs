//! What a person or a program sees, shared by `chatalotctl` and `chatalot-agent`.
//!
//! Both command lines parse their arguments with the types of this crate, make a [`client::Client`] for their
//! daemon's socket and an [`output::Output`] for their streams, run one of [`commands`], and end with
//! [`exit::finish`].
//!
//! | module | what |
//! |---|---|
//! | [`flags`] | the inputs of a site: flags, site file, standard input |
//! | [`ask`] | what is missing: asked for at a terminal, named all at once elsewhere |
//! | [`client`] | JSON over HTTP/1.1 on the daemon's unix socket |
//! | [`commands`] | deploy, plan, preflight, verify, handover, status, watch, show, cancel, inputs |
//! | [`render`], [`advice`] | data to text, without any effect |
//! | [`output`], [`text`] | where text goes; foreign text made safe |
//! | [`exit`] | the table of exit codes |
#![forbid(unsafe_code)]

pub mod advice;
pub mod ask;
pub mod client;
pub mod commands;
pub mod exit;
pub mod flags;
mod follow;
pub mod output;
mod progress;
pub mod render;
mod screen;
pub mod text;
