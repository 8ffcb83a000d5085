//! The few HTTP answers there are, for visitors and for the operator's commands alike.

use chatalot_protocol::advice::Advice;
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Body, Bytes, Frame};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioTimer;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// An answer.
pub type Reply = Response<UnsyncBoxBody<Bytes, io::Error>>;

const JSON: &str = "application/json";
/// How long the head of a request may take, and how long a body.
const SLOWEST: Duration = Duration::from_secs(10);
/// How much of a file is read at a time.
const PIECE: usize = 64 << 10;

/// How connections are served.
pub fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(SLOWEST)
        .max_buf_size(32 << 10);
    builder
}

/// A value as JSON.
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Reply {
    match serde_json::to_vec(value) {
        Ok(bytes) => whole(status, JSON, bytes),
        Err(error) => {
            log::error!(error:% = error; "an answer cannot be written");
            whole(StatusCode::INTERNAL_SERVER_ERROR, JSON, Vec::new())
        }
    }
}

/// A text.
pub fn text(text: String) -> Reply {
    whole(StatusCode::OK, "text/plain; charset=utf-8", text.into_bytes())
}

/// A refusal with its advice.
pub fn refusal(status: StatusCode, advice: &Advice) -> Reply {
    let mut reply = json(status, advice);
    reply.extensions_mut().insert(Code(advice.code.to_string()));
    reply
}

/// The code of a refusal, and what a handler wants remembered: for the audit, not for the network.
#[derive(Clone)]
struct Code(String);
#[derive(Clone)]
struct Note(String);

/// The same answer, with something for the audit.
pub fn noted(mut reply: Reply, note: impl Into<String>) -> Reply {
    reply.extensions_mut().insert(Note(note.into()));
    reply
}

/// How it went, for the audit: a word and what else there is to say.
pub fn outcome(reply: &Reply) -> (String, String) {
    let code = reply.extensions().get::<Code>().map(|code| code.0.clone());
    let note = reply.extensions().get::<Note>().map(|note| note.0.clone());
    (
        code.unwrap_or_else(|| "done".to_owned()),
        note.unwrap_or_default(),
    )
}

/// There is nothing at the address.
pub fn nothing_here() -> Reply {
    refusal(
        StatusCode::NOT_FOUND,
        &Advice::new(
            "NOT_FOUND",
            "there is nothing at this address",
            "an address of this build",
            "use the chatalotctl or agent of the controller's own version",
        ),
    )
}

/// Something broke on our side.
pub fn failure() -> Reply {
    refusal(
        StatusCode::INTERNAL_SERVER_ERROR,
        &Advice::new(
            "CONTROLLER_FAILED",
            "the controller could not do it",
            "a controller in order",
            "read the controller's log, then try again",
        ),
    )
}

/// A file, as it is read.
pub async fn file(file: tokio::fs::File) -> Reply {
    let Ok(found) = file.metadata().await else {
        return failure();
    };
    let pieces = futures_util::stream::try_unfold(file, async |mut file| {
        let mut piece = Vec::with_capacity(PIECE);
        let got = file.read_buf(&mut piece).await?;
        Ok::<_, io::Error>((got > 0).then(|| (Frame::data(Bytes::from(piece)), file)))
    });
    let mut reply = Response::new(StreamBody::new(pieces).boxed_unsync());
    reply.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/octet-stream"),
    );
    reply.headers_mut().insert(CONTENT_LENGTH, found.len().into());
    reply
}

/// Reads a request's JSON, or says why not.
pub async fn body<T, B>(request: Request<B>, longest: usize) -> Result<T, Reply>
where
    T: DeserializeOwned,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    parse(&bytes(request, longest).await?)
}

/// Reads a request's body, or says why not.
pub async fn bytes<B>(request: Request<B>, longest: usize) -> Result<Bytes, Reply>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let limited = Limited::new(request.into_body(), longest).collect();
    match tokio::time::timeout(SLOWEST, limited).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) => Err(invalid(error.to_string())),
        Err(_) => Err(invalid("the request did not arrive in time".to_owned())),
    }
}

/// Reads JSON, or says why not.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Reply> {
    serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))
}

fn invalid(saw: String) -> Reply {
    refusal(
        StatusCode::BAD_REQUEST,
        &Advice::new(
            "REQUEST_INVALID",
            saw,
            "a request of this build",
            "use the chatalotctl or agent of the controller's own version",
        ),
    )
}

fn whole(status: StatusCode, kind: &'static str, bytes: Vec<u8>) -> Reply {
    let body = Full::new(Bytes::from(bytes)).map_err(|never| match never {});
    let mut reply = Response::new(body.boxed_unsync());
    *reply.status_mut() = status;
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    reply
}
