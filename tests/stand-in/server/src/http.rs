//! The routes: health, the WebSocket, and the page that answers everything else.

use std::convert::Infallible;

use http_body_util::{BodyExt, Collected, Full};
use hyper::{
    Method, Request, Response, StatusCode,
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
        "/api/auth/register" if request.method() == Method::POST => register(site, request).await,
        _ => reply(StatusCode::OK, "text/html", PAGE.to_owned()),
    })
}

/// Registers whom the body names (`{"username":"alice"}`), as chatalot does: the first without an invite, and as
/// administrator and owner whatever the name.
async fn register(site: &Site, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let body = request.into_body().collect().await.map(Collected::to_bytes);
    let body = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
    let name = body
        .split_once("\"username\":\"")
        .and_then(|(_, rest)| rest.split('"').next());
    match site
        .database
        .register(name.unwrap_or_default(), site.is_open)
        .await
    {
        Ok(Some(admin)) => reply(
            StatusCode::OK,
            "application/json",
            format!(r#"{{"is_admin":{admin}}}"#),
        ),
        Ok(None) => reply(
            StatusCode::BAD_REQUEST,
            "application/json",
            r#"{"error":"an invite code is required to register"}"#.to_owned(),
        ),
        Err(_) => reply(
            StatusCode::INTERNAL_SERVER_ERROR,
            "application/json",
            r#"{"error":"internal"}"#.to_owned(),
        ),
    }
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
