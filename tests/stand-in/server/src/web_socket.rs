//! `/ws`: a correct upgrade gets 101 without credentials, ten seconds to speak, and then the door.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode, Version,
    body::{Bytes, Incoming},
    header::{
        CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_VERSION, UPGRADE,
    },
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::http::reply;

const SILENCE: Duration = Duration::from_secs(10);
const GOODBYE: &[u8] = br#"{"type":"error","code":"auth_timeout"}"#;

/// Judges the upgrade, and takes the connection over when it is correct.
pub(crate) fn answer(request: Request<Incoming>) -> Response<Full<Bytes>> {
    match accept_key(request.version(), request.headers()) {
        Err((status, why)) => reply(status, "text/plain; charset=utf-8", why.to_owned()),
        Ok(accept) => {
            tokio::spawn(async move {
                if let Ok(upgraded) = hyper::upgrade::on(request).await {
                    listen(TokioIo::new(upgraded)).await;
                }
            });
            switched(&accept)
        }
    }
}

fn accept_key(version: Version, headers: &HeaderMap) -> Result<String, (StatusCode, &'static str)> {
    if version < Version::HTTP_11 {
        return Err((StatusCode::UPGRADE_REQUIRED, "WebSocket needs HTTP/1.1"));
    }
    if !names(headers, &CONNECTION, "upgrade") {
        return Err((
            StatusCode::BAD_REQUEST,
            "Connection header did not include 'upgrade'",
        ));
    }
    if !names(headers, &UPGRADE, "websocket") {
        return Err((
            StatusCode::BAD_REQUEST,
            "`Upgrade` header did not include 'websocket'",
        ));
    }
    if !names(headers, &SEC_WEBSOCKET_VERSION, "13") {
        return Err((
            StatusCode::BAD_REQUEST,
            "`Sec-WebSocket-Version` header did not include '13'",
        ));
    }
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .ok_or((StatusCode::BAD_REQUEST, "`Sec-WebSocket-Key` header missing"))?;
    Ok(accept_for(key.as_bytes()))
}

fn accept_for(key: &[u8]) -> String {
    let whole = [key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &whole))
}

fn names(headers: &HeaderMap, header: &HeaderName, token: &str) -> bool {
    headers
        .get_all(header)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|each| each.trim().eq_ignore_ascii_case(token))
}

fn switched(accept: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

/// Whoever speaks may stay until they leave; whoever is silent is told so and cut without a close frame.
async fn listen(mut stream: TokioIo<Upgraded>) {
    let mut buffer = [0; 1024];
    while let Ok(read) = timeout(SILENCE, stream.read(&mut buffer)).await {
        if !matches!(read, Ok(count) if count > 0) {
            return;
        }
    }
    let length = u8::try_from(GOODBYE.len()).unwrap_or(0);
    let frame = [&[0x81, length], GOODBYE].concat();
    drop(stream.write_all(&frame).await);
    drop(stream.shutdown().await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_key_is_that_of_the_rfc() {
        assert_eq!(
            accept_for(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn a_request_without_upgrade_is_told_so_in_chatalots_words() {
        let refusal = accept_key(Version::HTTP_11, &HeaderMap::new());
        assert_eq!(
            refusal,
            Err((
                StatusCode::BAD_REQUEST,
                "Connection header did not include 'upgrade'"
            ))
        );
    }

    #[test]
    fn http_1_0_cannot_be_upgraded() {
        let refusal = accept_key(Version::HTTP_10, &HeaderMap::new()).map_err(|(status, _)| status);
        assert_eq!(refusal, Err(StatusCode::UPGRADE_REQUIRED));
    }
}
