//! A daemon for tests: a real server on a unix socket, with scripted answers.

use http_body_util::channel::Channel;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::net::UnixListener;

use crate::client::Client;

/// What is answered to one request.
pub(super) enum Reply {
    Json(u16, Value),
    /// Pieces of a stream, and whether it then breaks, or stays open.
    Pieces(Vec<Vec<u8>>, Then),
}

#[derive(Clone, Copy)]
pub(super) enum Then {
    Ends,
    Breaks,
    Stays,
}

#[derive(Default)]
struct Script {
    replies: HashMap<String, VecDeque<Reply>>,
    heard: Vec<(String, Value)>,
}

pub(super) struct Daemon {
    folder: TempDir,
    script: Arc<Mutex<Script>>,
}

impl Daemon {
    /// Starts to serve. The answers to one `METHOD /path` are given in order.
    pub(super) fn start(replies: Vec<(&str, Reply)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        let mut script = Script::default();
        for (request, reply) in replies {
            script
                .replies
                .entry(request.to_owned())
                .or_default()
                .push_back(reply);
        }
        let script = Arc::new(Mutex::new(script));
        tokio::spawn(serve(listener, Arc::clone(&script)));
        Self { folder, script }
    }

    pub(super) fn client(&self) -> Client {
        Client::new(self.socket(), "/v1/hosts/chat-1")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// The requests so far.
    pub(super) fn heard(&self) -> Vec<String> {
        let script = self.script.lock().unwrap();
        script.heard.iter().map(|(request, _)| request.clone()).collect()
    }

    /// The body of the last such request.
    pub(super) fn body(&self, request: &str) -> Value {
        let script = self.script.lock().unwrap();
        let said = script.heard.iter().rev().find(|(heard, _)| heard == request);
        said.unwrap().1.clone()
    }
}

async fn serve(listener: UnixListener, script: Arc<Mutex<Script>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let script = Arc::clone(&script);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&script)));
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    script: Arc<Mutex<Script>>,
) -> Result<Response<BoxBody<Bytes, io::Error>>, Infallible> {
    let name = format!("{} {}", request.method(), request.uri());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let reply = {
        let mut script = script.lock().unwrap();
        script.heard.push((name.clone(), body));
        script.replies.get_mut(&name).and_then(VecDeque::pop_front)
    };
    let (status, body) = match reply {
        None => (500, whole(format!("\"no answer to {name}\"").into())),
        Some(Reply::Json(status, value)) => (status, whole(value.to_string().into())),
        Some(Reply::Pieces(pieces, then)) => (200, streamed(pieces, then)),
    };
    Ok(Response::builder().status(status).body(body).unwrap())
}

fn whole(bytes: Bytes) -> BoxBody<Bytes, io::Error> {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

fn streamed(pieces: Vec<Vec<u8>>, then: Then) -> BoxBody<Bytes, io::Error> {
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move {
        for piece in pieces {
            if sender.send_data(piece.into()).await.is_err() {
                return;
            }
            // The piece leaves before the stream breaks.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        match then {
            Then::Ends => {}
            Then::Breaks => sender.abort(io::ErrorKind::ConnectionReset.into()),
            Then::Stays => std::future::pending().await,
        }
    });
    body.boxed()
}
