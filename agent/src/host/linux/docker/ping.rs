//! The cheapest question to an Engine: its head tells the Engine's version and the newest API it speaks.

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, SERVER};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// The Engine's version and its API's; `None` where the answer is not a Docker Engine's.
pub(super) async fn ping(stream: UnixStream) -> Option<(String, String)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::get("/_ping")
        .header(HOST, "docker")
        .body(Empty::<Bytes>::new());
    let mut asked = std::pin::pin!(sender.send_request(request.ok()?));
    let response = tokio::select! {
        // Both are only ever polled here; a connection that ends first has left its answer with the request.
        response = &mut asked => response,
        _ = connection => asked.await,
    };
    let response = response.ok()?;
    (response.status() == StatusCode::OK).then(|| told(response.headers()))?
}

fn told(headers: &HeaderMap) -> Option<(String, String)> {
    // `Docker/26.1.5 (linux)`
    let version = headers.get(SERVER)?.to_str().ok()?.strip_prefix("Docker/")?;
    let version = version.split(' ').next().filter(|version| !version.is_empty())?;
    let api = headers.get("api-version")?.to_str().ok()?;
    Some((version.to_owned(), api.to_owned()))
}
