//! Frames over one byte stream, in one task: both directions can be dropped at any await and taken up again, and
//! neither holds a buffer while nothing flows.

use chatalot_protocol::frame::{self, Frame, FrameError, HEADER};
use chatalot_protocol::stream::ReadError;
use serde::Serialize;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

/// What arrives.
pub(super) struct Inbound<R> {
    from: R,
    head: [u8; HEADER],
    got: usize,
    body: Vec<u8>,
    /// The longest control message that is taken.
    pub(super) most: usize,
}

impl<R: AsyncRead + Unpin> Inbound<R> {
    pub(super) fn new(from: R, most: usize) -> Self {
        Self {
            from,
            head: [0; HEADER],
            got: 0,
            body: Vec::new(),
            most,
        }
    }

    /// The next frame; `None` at an orderly end. Cancel-safe: what has arrived is kept.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, ReadError> {
        while self.got < HEADER {
            match self.from.read(&mut self.head[self.got..]).await {
                Ok(0) if self.got == 0 => return Ok(None),
                Ok(0) => return Err(ReadError::Lost(io::ErrorKind::UnexpectedEof.into())),
                Ok(got) => self.got += got,
                Err(error) => return Err(ReadError::Lost(error)),
            }
        }
        let (kind, length) = frame::header(self.head, self.most)?;
        self.body.reserve_exact(length - self.body.len());
        while self.body.len() < length {
            let left = (length - self.body.len()) as u64;
            let got = (&mut self.from).take(left).read_buf(&mut self.body).await;
            if got.map_err(ReadError::Lost)? == 0 {
                return Err(ReadError::Lost(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        self.got = 0;
        Ok(Some(frame::body(kind, std::mem::take(&mut self.body))?))
    }
}

/// What is to be sent.
pub(super) struct Outbound<W> {
    to: W,
    bytes: Vec<u8>,
    sent: usize,
    unflushed: bool,
    /// When something was last taken.
    moved: Instant,
}

impl<W: AsyncWrite + Unpin> Outbound<W> {
    pub(super) fn new(to: W) -> Self {
        Self {
            to,
            bytes: Vec::new(),
            sent: 0,
            unflushed: false,
            moved: Instant::now(),
        }
    }

    /// Adds a message; it leaves with the next [`Outbound::drive`].
    pub(super) fn put<T: Serialize>(&mut self, message: &T) -> Result<(), FrameError> {
        if !self.unflushed {
            self.moved = Instant::now();
        }
        self.unflushed = true;
        frame::put_message(message, &mut self.bytes)
    }

    /// How much waits.
    pub(super) fn waiting(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// For how long nothing of it has been taken.
    pub(super) fn idle(&self) -> Duration {
        self.moved.elapsed()
    }

    /// Whether there is anything to do.
    pub(super) fn is_busy(&self) -> bool {
        self.unflushed
    }

    /// Sends what waits. Cancel-safe: what has left is remembered.
    pub(super) async fn drive(&mut self) -> io::Result<()> {
        while self.sent < self.bytes.len() {
            match self.to.write(&self.bytes[self.sent..]).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                sent => {
                    self.sent += sent;
                    self.moved = Instant::now();
                }
            }
        }
        self.bytes = Vec::new();
        self.sent = 0;
        self.to.flush().await?;
        self.unflushed = false;
        Ok(())
    }

    /// Sends what waits and closes.
    pub(super) async fn close(mut self) -> io::Result<()> {
        self.drive().await?;
        self.to.shutdown().await
    }
}
