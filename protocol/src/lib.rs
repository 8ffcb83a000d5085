//! What travels between a chatalot agent and its controller, and between either and a command line.
//!
//! The control channel is one TLS 1.3 connection, dialled by the agent, on which both sides have shown a
//! certificate of the controller's private authority. On it travel *frames* ([`frame`]): four bytes of length,
//! one byte of kind, and a body that is either one JSON *message* ([`message`]) or one raw log chunk.
//!
//! Order of a session:
//!
//! 1. The agent sends [`message::Hello`]; it is the only message read before the controller answers.
//! 2. The controller answers [`message::ToAgent::Welcome`] with the version both speak ([`version`]), or
//!    [`message::ToAgent::Rejected`]. Only a welcomed agent counts as connected.
//! 3. The controller sends questions ([`message::Ask`], answered once, nothing durable) and jobs
//!    ([`message::Job`], executed at most once however often they arrive).
//! 4. The agent sends events ([`event::Event`]) in the order of their sequence numbers and repeats them until
//!    [`message::ToAgent::Acked`] covers them; the controller stores before it acknowledges.
//! 5. Step output travels as raw chunks ([`frame::LogChunk`]) with offsets; the controller says how much of a
//!    stream it has stored, and the agent goes on from there.
//! 6. A controller that says so in its welcome looks at the site from outside when the agent asks
//!    ([`message::ToController::LookFromOutside`], answered once).
//!
//! Compatibility: unknown fields are ignored, an unknown message decodes as `Unknown` and is answered or
//! skipped, open sets (steps, proxies, advice codes) are names rather than enums. The shapes of the frame
//! header, `Hello`, `Welcome` and `Rejected` never change.
//!
//! | module | what |
//! |---|---|
//! | [`names`] | ids as types |
//! | [`secret`] | values that cannot be printed |
//! | [`site`], [`inputs`] | the operator's inputs: as validated types, and as they are collected |
//! | [`plan`], [`advice`], [`handover`], [`report`] | what the agent says about a site |
//! | [`work`] | what a job does with its site |
//! | [`event`] | what happened, in order |
//! | [`message`], [`frame`], [`reading`], [`version`] | the channel |
//! | [`enrol`], [`approve`] | the join token and the enrolment exchange; joining without a secret |
//! | [`trust`] | whom agents trust, while one root follows another |
//! | [`outside`], [`stun`] | what a controller is asked to look at from outside, and how a port is asked whether it is there |
//! | [`audit`] | the hash chain over who asked for what, on both sides |
//! | [`identity`] | how an id is written in a certificate |
//! | [`crc32`] | a checksum |
#![forbid(unsafe_code)]

pub mod advice;
#[cfg(chatalot_ahead)]
mod ahead;
pub mod api;
pub mod approve;
pub mod audit;
pub mod crc32;
pub mod enrol;
pub mod event;
pub mod frame;
pub mod handover;
pub mod identity;
pub mod inputs;
pub mod message;
pub mod names;
pub mod outside;
pub mod plan;
pub mod reading;
pub mod renew;
pub mod report;
pub mod secret;
pub mod site;
#[cfg(feature = "stream")]
pub mod stream;
pub mod stun;
pub mod trust;
pub mod version;
pub mod work;

/// An error with its causes, in one line; a cause that its error has already put into words is not repeated.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| cause.source()) {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
    }
    text
}
