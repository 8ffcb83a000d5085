//! Bytes and frames. Decoding is a function of bytes; length is judged before memory is given.
//!
//! A frame is `length: u32, kind: u8, body`, big-endian, where length counts the body alone. Kind 1 is a control
//! message, kind 2 a log chunk: `deployment: 16 bytes, stream: u32, offset: u64, output`.

use crate::names::DeploymentId;
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// The longest body before a session is accepted.
pub const MAX_GREETING: usize = 16 << 10;
/// The longest control message.
pub const MAX_CONTROL: usize = 1 << 20;
/// The most output that one log chunk carries.
pub const MAX_LOG: usize = 64 << 10;
/// The bytes before the body.
pub const HEADER: usize = 5;
const LOG_HEADER: usize = 28;
const CONTROL: u8 = 1;
const LOG: u8 = 2;

/// Why bytes are not a frame, or a frame not a message. The connection ends.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Longer than is allowed at this point.
    #[error("a frame of {length} bytes, where at most {most} are allowed")]
    TooLong {
        /// The announced length.
        length: usize,
        /// The ceiling.
        most: usize,
    },
    /// A kind that does not exist.
    #[error("unknown frame kind {0}")]
    Kind(u8),
    /// A log chunk without its own header.
    #[error("a log chunk of {0} bytes is too short")]
    ShortLog(usize),
    /// Not the JSON of a message.
    #[error("not a control message")]
    Json(#[source] serde_json::Error),
}

/// Output of a step, from an offset of its stream on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// The deployment.
    pub deployment: DeploymentId,
    /// The stream within it.
    pub stream: u32,
    /// Where in the stream the output begins.
    pub offset: u64,
    /// The output.
    pub output: Vec<u8>,
}

/// A frame whose body has not been interpreted further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The JSON of a message.
    Control(Vec<u8>),
    /// Output.
    Log(LogChunk),
}

/// Reads the header: the kind and the length of the body that follows, at most `most` for a control message.
pub fn header(bytes: [u8; HEADER], most: usize) -> Result<(u8, usize), FrameError> {
    let [a, b, c, d, kind] = bytes;
    let most = match kind {
        CONTROL => most,
        LOG => (LOG_HEADER + MAX_LOG).min(most),
        other => return Err(FrameError::Kind(other)),
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > most {
        Err(FrameError::TooLong { length, most })
    } else {
        Ok((kind, length))
    }
}

/// Makes a frame of a header's kind and the body that followed it.
pub fn body(kind: u8, body: Vec<u8>) -> Result<Frame, FrameError> {
    if kind == CONTROL {
        return Ok(Frame::Control(body));
    }
    let Some((head, output)) = body.split_first_chunk::<LOG_HEADER>() else {
        return Err(FrameError::ShortLog(body.len()));
    };
    let (mut deployment, mut stream, mut offset) = ([0; 16], [0; 4], [0; 8]);
    deployment.copy_from_slice(&head[..16]);
    stream.copy_from_slice(&head[16..20]);
    offset.copy_from_slice(&head[20..]);
    Ok(Frame::Log(LogChunk {
        deployment: DeploymentId(Uuid::from_bytes(deployment)),
        stream: u32::from_be_bytes(stream),
        offset: u64::from_be_bytes(offset),
        output: output.to_vec(),
    }))
}

/// Appends a control message as a frame.
#[cfg(not(chatalot_ahead))]
pub fn put_message<T: Serialize>(message: &T, out: &mut Vec<u8>) -> Result<(), FrameError> {
    put_json(message, out)
}

/// Appends a control message as a frame, and what a later version says with it.
#[cfg(chatalot_ahead)]
pub fn put_message<T: Serialize>(message: &T, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let message = crate::ahead::with_more(message)?;
    put_json(&message, out)?;
    crate::ahead::and_then(&message)
        .iter()
        .try_for_each(|more| put_json(more, out))
}

fn put_json<T: Serialize>(message: &T, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, CONTROL]);
    serde_json::to_writer(&mut *out, message).map_err(FrameError::Json)?;
    let length = out.len() - start - HEADER;
    match u32::try_from(length) {
        Ok(short) if length <= MAX_CONTROL => out[start..start + 4].copy_from_slice(&short.to_be_bytes()),
        _ => {
            out.truncate(start);
            return Err(FrameError::TooLong {
                length,
                most: MAX_CONTROL,
            });
        }
    }
    Ok(())
}

/// Appends a log chunk as a frame.
pub fn put_log(
    deployment: DeploymentId,
    stream: u32,
    offset: u64,
    output: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), FrameError> {
    let length = LOG_HEADER + output.len();
    let Some(short) = u32::try_from(length).ok().filter(|_| output.len() <= MAX_LOG) else {
        return Err(FrameError::TooLong {
            length,
            most: LOG_HEADER + MAX_LOG,
        });
    };
    out.reserve(HEADER + length);
    out.extend_from_slice(&short.to_be_bytes());
    out.push(LOG);
    out.extend_from_slice(deployment.0.as_bytes());
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(&offset.to_be_bytes());
    out.extend_from_slice(output);
    Ok(())
}

/// Interprets the body of a control frame.
pub fn message<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    serde_json::from_slice(body).map_err(FrameError::Json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ToAgent;
    use proptest::prelude::*;

    fn decode(bytes: &[u8], most: usize) -> Result<Frame, FrameError> {
        let (head, rest) = bytes.split_first_chunk::<HEADER>().unwrap();
        let (kind, length) = header(*head, most)?;
        body(kind, rest[..length].to_vec())
    }

    #[test]
    fn a_message_comes_back_as_it_went() {
        let mut bytes = Vec::new();
        put_message(&ToAgent::Ping { n: 7 }, &mut bytes).unwrap();
        let Frame::Control(body) = decode(&bytes, MAX_GREETING).unwrap() else {
            panic!("not control")
        };
        assert_eq!(message::<ToAgent>(&body).unwrap(), ToAgent::Ping { n: 7 });
    }

    #[test]
    fn f27_a_length_beyond_the_ceiling_is_refused_before_memory_is_given() {
        assert!(matches!(
            header([0xff, 0xff, 0xff, 0xff, 1], MAX_CONTROL),
            Err(FrameError::TooLong { .. })
        ));
        assert!(matches!(
            header([0, 0, 0x40, 1, 1], MAX_GREETING),
            Err(FrameError::TooLong { .. })
        ));
        assert!(matches!(
            header([0, 2, 0, 0, 2], MAX_CONTROL),
            Err(FrameError::TooLong { .. })
        ));
        assert!(matches!(
            header([0, 0, 0, 0, 9], MAX_CONTROL),
            Err(FrameError::Kind(9))
        ));
        assert!(matches!(body(LOG, vec![0; 27]), Err(FrameError::ShortLog(27))));
    }

    #[test]
    fn f29_an_unknown_message_is_not_an_error() {
        let known = message::<ToAgent>(br#"{"type":"sing","song":"la"}"#).unwrap();
        assert_eq!(known, ToAgent::Unknown);
        let extra = message::<ToAgent>(br#"{"type":"ping","n":1,"new":true}"#).unwrap();
        assert_eq!(extra, ToAgent::Ping { n: 1 });
    }

    #[test]
    fn f28_deep_nesting_trailing_bytes_and_bad_text_are_refused() {
        let deep = format!(
            r#"{{"type":"ask","id":1,"ask":{}{}}}"#,
            "[".repeat(10_000),
            "]".repeat(10_000)
        );
        assert!(message::<ToAgent>(deep.as_bytes()).is_err());
        assert!(message::<ToAgent>(br#"{"type":"ping","n":1}x"#).is_err());
        assert!(message::<ToAgent>(b"{\"type\":\"ping\",\"n\":1,\"x\":\"\xff\"}").is_err());
    }

    proptest! {
        #[test]
        fn a_log_chunk_comes_back_as_it_went(output in proptest::collection::vec(any::<u8>(), 0..300), stream: u32, offset: u64) {
            let deployment = DeploymentId::fresh();
            let mut bytes = Vec::new();
            put_log(deployment, stream, offset, &output, &mut bytes).unwrap();
            let chunk = LogChunk { deployment, stream, offset, output };
            prop_assert_eq!(decode(&bytes, MAX_CONTROL).unwrap(), Frame::Log(chunk));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = message::<ToAgent>(&bytes);
            let _ = body(LOG, bytes);
        }
    }
}
