//! Pages over HTTP/1.1, one connection each.

use super::tls::Judge;
use super::{Config, chain, names};
use crate::host::{Fetch, FetchError, Fetched, TlsFacts};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HOST, USER_AGENT};
use hyper::http::uri::Scheme;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// The most that is kept of a body.
const MOST: usize = 64 * 1024;
/// The most that a head may take.
const HEAD: usize = 64 * 1024;

/// Fetches a page; all of it within its deadline.
pub(super) async fn fetch(config: &Config, fetch: &Fetch) -> Result<Fetched, FetchError> {
    match timeout(fetch.deadline, attempt(config, fetch)).await {
        Ok(fetched) => fetched,
        Err(_) => Err(FetchError::Deadline(fetch.deadline.as_secs())),
    }
}

async fn attempt(config: &Config, fetch: &Fetch) -> Result<Fetched, FetchError> {
    let target = Target::parse(&fetch.url)?;
    let stream = connect(config, &target, fetch).await?;
    if !target.tls {
        return exchange(stream, &target, fetch, None).await;
    }
    let judge = Judge::new(config, fetch.verify);
    let client = judge.client().map_err(|e| FetchError::Tls(chain(&e)))?;
    let name = ServerName::try_from(target.host.clone()).map_err(|e| FetchError::Tls(chain(&e)))?;
    let connected = TlsConnector::from(Arc::new(client)).connect(name, stream).await;
    let facts = judge.facts();
    let stream = connected.map_err(|e| {
        let distrust = facts.as_ref().and_then(|facts| facts.distrust.clone());
        FetchError::Tls(distrust.unwrap_or_else(|| chain(&e)))
    })?;
    // The trust store is of no more use.
    drop(judge);
    exchange(stream, &target, fetch, facts).await
}

/// A URL, taken apart.
struct Target {
    tls: bool,
    /// A name, or an address without brackets.
    host: String,
    port: u16,
    /// As it goes into the `host` header.
    authority: String,
    path: String,
}

impl Target {
    fn parse(url: &str) -> Result<Self, FetchError> {
        let not_a_url = || FetchError::Name(crate::host::plain_line(url));
        let uri: Uri = url.parse().map_err(|_| not_a_url())?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(not_a_url()),
        };
        let authority = uri
            .authority()
            .filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.ok_or_else(not_a_url)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        Ok(Self {
            tls,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: authority.to_string(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }
}

async fn connect(config: &Config, target: &Target, fetch: &Fetch) -> Result<TcpStream, FetchError> {
    let addresses: Vec<SocketAddr> = match fetch.connect_to {
        Some(address) => vec![address],
        None => names::addresses(config, &target.host)
            .await
            .into_iter()
            .map(|address| SocketAddr::new(address, target.port))
            .collect(),
    };
    if addresses.is_empty() {
        return Err(FetchError::Name(target.host.clone()));
    }
    let share = fetch.deadline / u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut failures = Vec::new();
    for address in &addresses {
        match dial(*address, fetch.from, share).await {
            Ok(stream) => return Ok(stream),
            Err(why) => failures.push(format!("{address} ({why})")),
        }
    }
    Err(FetchError::Connect(failures.join(", ")))
}

async fn dial(address: SocketAddr, from: Option<IpAddr>, share: Duration) -> Result<TcpStream, String> {
    let stream = timeout(share, reach(address, from)).await;
    let stream = stream.map_err(|_| "no answer".to_owned())?;
    stream
        .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
        .map_err(|e| chain(&e))
}

async fn reach(address: SocketAddr, from: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let Some(from) = from else {
        return TcpStream::connect(address).await;
    };
    let socket = if from.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.bind(SocketAddr::new(from, 0))?;
    socket.connect(address).await
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    target: &Target,
    fetch: &Fetch,
    tls: Option<TlsFacts>,
) -> Result<Fetched, FetchError> {
    let not_http = |e: hyper::Error| FetchError::Http(chain(&e));
    let request = request(target, fetch)?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(not_http)?;
    let asked = async {
        let response = sender.send_request(request).await.map_err(not_http)?;
        answer(response, tls).await
    };
    let mut connection = std::pin::pin!(connection);
    let mut asked = std::pin::pin!(asked);
    tokio::select! {
        // Both are only ever polled here; whichever ends second is awaited or dropped with the connection.
        answer = &mut asked => answer,
        ended = &mut connection => {
            // What was read is with the request by now; an error of the connection is told there, too.
            drop(ended);
            asked.await
        }
    }
}

fn request(target: &Target, fetch: &Fetch) -> Result<Request<Empty<Bytes>>, FetchError> {
    let mut request = Request::get(&target.path)
        .header(HOST, &target.authority)
        .header(USER_AGENT, concat!("chatalot-agent/", env!("CARGO_PKG_VERSION")));
    for (name, value) in &fetch.headers {
        request = request.header(name, value);
    }
    request
        .body(Empty::new())
        .map_err(|e| FetchError::Http(chain(&e)))
}

async fn answer(response: Response<Incoming>, tls: Option<TlsFacts>) -> Result<Fetched, FetchError> {
    let headers = response.headers().iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let mut fetched = Fetched {
        status: response.status().as_u16(),
        headers: headers.collect(),
        body: Vec::new(),
        tls,
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(fetched);
    }
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| FetchError::Http(chain(&e)))?;
        if let Some(data) = frame.data_ref() {
            let room = MOST - fetched.body.len();
            fetched.body.extend_from_slice(&data[..data.len().min(room)]);
        }
        if fetched.body.len() == MOST {
            break;
        }
    }
    Ok(fetched)
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
