//! Talking home: one mutually authenticated TLS 1.3 connection to the controller that this host has joined.
//!
//! | module | what |
//! |---|---|
//! | [`identity`] | the key, certificate and authorities, as files |
//! | [`join`] | a one-time token becomes an identity |
//! | [`renewal`] | an identity becomes the next one |
//! | [`post`] | one request to the controller, without a certificate |
//! | [`tls`] | whom we trust on this channel: never a public authority |
//! | `addresses` | where the controller may be besides where this host joined |
//! | [`dial`] | connect, and connect again |
//! | `member` | as whom a session is held |
//! | [`session`] | one connection, from hello to its end; generic over the byte stream |
//! | [`standing`] | whether both sides are what they were, or a backup was put back |
//! | `flight`, `end` | how many events are under way; why a session ended |
//! | [`logs`] | step output on its way |

mod addresses;
pub mod dial;
mod end;
mod flight;
pub mod identity;
pub mod join;
mod logs;
mod member;
pub mod post;
pub mod renewal;
pub mod session;
pub(crate) mod standing;
mod tls;

pub use member::Member;

#[cfg(test)]
mod delivery_tests;
#[cfg(test)]
mod tests;
