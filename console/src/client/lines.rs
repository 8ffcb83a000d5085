//! A response that comes line by line, with bounded memory.

use super::ClientError;
use chatalot_protocol::api::WatchLine;
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use std::time::Duration;
use tokio::time::timeout;

/// Above the largest frame, and its escapes.
const LONGEST: usize = 8 * 1024 * 1024;
/// A daemon says at least that it is alive.
const SILENCE: Duration = Duration::from_mins(1);

/// One line as it came, and what it says.
#[derive(Debug, Clone)]
pub struct Line {
    /// The line without its end: JSON.
    pub raw: Bytes,
    /// What it says.
    pub line: WatchLine,
}

/// The lines of a stream.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    /// What has arrived and not been given out.
    piece: Bytes,
    /// The beginning of a line whose end has not arrived.
    begun: Vec<u8>,
}

impl Lines {
    pub(super) const fn of(body: Incoming) -> Self {
        Self {
            body,
            piece: Bytes::new(),
            begun: Vec::new(),
        }
    }

    /// The next line; none when the stream has ended. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Line>, ClientError> {
        loop {
            if let Some(raw) = self.take_line()? {
                if raw.is_empty() {
                    continue;
                }
                let line = serde_json::from_slice(&raw).map_err(ClientError::Undecodable)?;
                return Ok(Some(Line { raw, line }));
            }
            let frame = timeout(SILENCE, self.body.frame()).await;
            match frame.map_err(|_| ClientError::Slow)? {
                None => return Ok(None),
                Some(frame) => self.piece = frame?.into_data().unwrap_or_default(),
            }
        }
    }

    /// Whether something has arrived that [`Lines::next`] has not looked at.
    pub const fn has_more(&self) -> bool {
        !self.piece.is_empty()
    }

    fn take_line(&mut self) -> Result<Option<Bytes>, ClientError> {
        let end = self.piece.iter().position(|b| *b == b'\n');
        let length = self.begun.len() + end.unwrap_or(self.piece.len());
        if length > LONGEST {
            return Err(ClientError::LongLine(LONGEST));
        }
        let Some(end) = end else {
            self.begun.extend_from_slice(&self.piece);
            self.piece.clear();
            return Ok(None);
        };
        let last = self.piece.split_to(end + 1).slice(..end);
        if self.begun.is_empty() {
            return Ok(Some(last));
        }
        self.begun.extend_from_slice(&last);
        Ok(Some(std::mem::take(&mut self.begun).into()))
    }
}
