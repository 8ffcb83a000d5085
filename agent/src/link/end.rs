//! Why a session ended, and when it is worth trying again.

use crate::ledger::LedgerError;
use chatalot_protocol::frame::FrameError;
use chatalot_protocol::message::RejectReason;
use chatalot_protocol::stream::ReadError;
use std::time::Duration;

/// How long a controller that was restored and not told so is left alone.
const OLD_AGAIN: Duration = Duration::from_mins(5);

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionEnd {
    /// There was no connection.
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    /// The controller went away.
    #[error("the controller hung up")]
    HungUp,
    /// The connection broke.
    #[error("cannot write to the controller")]
    Write(#[source] std::io::Error),
    /// The controller said nothing.
    #[error("the controller has said nothing for {0} s")]
    Silent(u64),
    /// What arrived makes no sense.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was to be sent makes no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The controller refuses us.
    #[error("the controller refuses this host: {reason:?}")]
    Rejected {
        /// Why.
        reason: RejectReason,
        /// When to try again.
        retry_after: Duration,
    },
    /// Something else than a greeting came first.
    #[error("the controller did not greet")]
    Rude,
    /// The controller was restored from a backup, and not told so.
    #[error(
        "the controller is older than what this host has seen of it (epoch {known}); after a restore its epoch must be raised"
    )]
    OldController {
        /// The highest epoch that was seen.
        known: u64,
    },
    /// Our own ledger is an older one than the controller has seen: its events have a new stream from now on.
    #[error("the ledger of this host was restored from a backup; its events begin a new stream")]
    Restored,
    /// Our own ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl SessionEnd {
    /// Whether nobody answered there who is the controller.
    pub(super) const fn is_unreached(&self) -> bool {
        matches!(self, Self::Connect(_))
    }

    /// When to try again, where the controller has said so.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rejected { retry_after, .. } => Some((*retry_after).max(Duration::from_secs(1))),
            Self::OldController { .. } => Some(OLD_AGAIN),
            _ => None,
        }
    }
}
