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
    json(status, advice)
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
    let limited = Limited::new(request.into_body(), longest).collect();
    let refuse = |saw: String| {
        refusal(
            StatusCode::BAD_REQUEST,
            &Advice::new(
                "REQUEST_INVALID",
                saw,
                "a request of this build",
                "use the chatalotctl or agent of the controller's own version",
            ),
        )
    };
    match tokio::time::timeout(SLOWEST, limited).await {
        Ok(Ok(collected)) => {
            serde_json::from_slice(&collected.to_bytes()).map_err(|error| refuse(error.to_string()))
        }
        Ok(Err(error)) => Err(refuse(error.to_string())),
        Err(_) => Err(refuse("the request did not arrive in time".to_owned())),
    }
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
