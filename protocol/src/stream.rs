//! Frames over a byte stream.

use crate::frame::{self, Frame, FrameError, HEADER};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The stream failed or ended within a frame.
    #[error("the connection was lost")]
    Lost(#[source] std::io::Error),
    /// What arrived is not a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Reads the next frame; `None` at an orderly end. Not cancel-safe: read in a task of its own.
pub async fn read<R: AsyncRead + Unpin>(stream: &mut R, most: usize) -> Result<Option<Frame>, ReadError> {
    let mut head = [0; HEADER];
    let got = stream.read(&mut head).await.map_err(ReadError::Lost)?;
    if got == 0 {
        return Ok(None);
    }
    stream
        .read_exact(&mut head[got..])
        .await
        .map_err(ReadError::Lost)?;
    let (kind, length) = frame::header(head, most)?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.map_err(ReadError::Lost)?;
    Ok(Some(frame::body(kind, body)?))
}
