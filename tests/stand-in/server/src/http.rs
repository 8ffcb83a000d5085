//! The routes: health, the WebSocket, and the page that answers everything else.

use std::convert::Infallible;

use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
};

use crate::{health, serve::Site, web_socket};

const PAGE: &str = "<!doctype html><html><head><title>chatalot</title></head><body><p>A stand-in for chatalot.</p></body></html>";

/// Answers any request.
pub(crate) async fn answer(
    site: &Site,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match request.uri().path() {
        "/api/health" => reply(
            StatusCode::OK,
            "application/json",
            health::body(&site.database, site.started).await,
        ),
        "/ws" => web_socket::answer(request),
        _ => reply(StatusCode::OK, "text/html", PAGE.to_owned()),
    })
}

/// A whole answer with a body.
pub(crate) fn reply(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
