//! Why a daemon gave no answer.

use chatalot_protocol::advice::Advice;
use std::io;

/// Why a daemon gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers there.
    #[error("cannot connect")]
    Connect {
        /// What a person can do about it.
        advice: Box<Advice>,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// Not done yet: somebody else has to approve it.
    #[error("somebody else has to approve it")]
    Pending(Box<Advice>),
    /// The daemon or the host says no.
    #[error("refused")]
    Refused(Box<Advice>),
    /// The daemon cannot do it now: the host is away, it is too busy.
    #[error("not available")]
    Unavailable(Box<Advice>),
    /// The connection broke.
    #[error("the connection was lost")]
    Lost(#[from] hyper::Error),
    /// The connection broke within an answer, or the answer is too large.
    #[error("the answer was cut off")]
    Cut(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The daemon took the request and is silent.
    #[error("no answer in time")]
    Slow,
    /// A stream ended before it was over.
    #[error("the stream ended early")]
    Ended,
    /// A line of a stream that is too long to be one.
    #[error("a line of more than {0} bytes")]
    LongLine(usize),
    /// An answer that this version does not understand.
    #[error("the answer is not understood")]
    Undecodable(#[source] serde_json::Error),
    /// A request that cannot be written.
    #[error("the request cannot be written")]
    Request(#[source] hyper::http::Error),
}

impl ClientError {
    /// Whether it may be over after a while: a restarting daemon, a host that is away.
    pub const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. }
                | Self::Unavailable(_)
                | Self::Lost(_)
                | Self::Cut(_)
                | Self::Slow
                | Self::Ended
        )
    }

    /// What a person can do about it.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Refused(advice)
            | Self::Unavailable(advice)
            | Self::Pending(advice)
            | Self::Connect { advice, .. } => Advice::clone(advice),
            Self::Lost(_) | Self::Cut(_) | Self::Ended => Advice::new(
                "CONNECTION_LOST",
                self.causes(),
                "an answer",
                "try again; if it happens again, read the daemon's journal",
            ),
            Self::Slow => Advice::new(
                "NO_ANSWER",
                "the daemon took the request and did not answer in time",
                "an answer",
                "try again; if it happens again, read the daemon's journal",
            ),
            Self::Undecodable(_) | Self::LongLine(_) | Self::Request(_) => Advice::new(
                "UNEXPECTED_ANSWER",
                self.causes(),
                "an answer that this version understands",
                "use the same version on both sides",
            ),
        }
    }

    fn causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}
