//! Asking a TURN server for a relay, in the messages of [`chatalot_protocol::stun`].
//!
//! [`dialogue`] is what is asked after what, until a relay was given and handed back; no I/O. The sockets are the
//! host's: [`crate::host::Look::turn`].

pub mod dialogue;

pub use chatalot_protocol::stun::*;
