use super::containers::{Publishers, containers, log};
use super::events::events;
use super::*;
use crate::host::Transport;
use futures_util::StreamExt;
use std::path::PathBuf;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

/// Cut down from what Debian's Engine 26.1.5 answers, with names of our own and odd ones put in.
const VERSION: &str = r#"{"Version":"26.1.5","ApiVersion":"1.45","MinAPIVersion":"1.24"}"#;
const LIST: &str = r#"[
 {"Id":"4f1c0e0d9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d","Names":["/chat-db-1"],"Image":"postgres:17","Labels":{"com.docker.compose.project":"chat","com.docker.compose.service":"db","com.docker.compose.project.working_dir":"/srv/chat"},"State":"exited","Ports":[]},
 {"Id":"gone","Names":["/chat-gone-1"],"Labels":{},"State":"exited","Ports":[]},
 {"Id":"app","Names":["/chat-app-1\u001b[31m"],"Image":"chat:1","Labels":{},"State":"running","Ports":[{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"IP":"::","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"PrivatePort":81,"Type":"tcp"}]}
]"#;
const DB: &str = r#"{"State":{"Status":"exited","ExitCode":137,"OOMKilled":true},"RestartCount":3,"HostConfig":{"RestartPolicy":{"Name":"unless-stopped"}}}"#;
const APP: &str = r#"{"State":{"Status":"running","Health":{"Status":"healthy"}},"RestartCount":0}"#;

/// An Engine on a socket of its own: a status and a body for each path's end.
struct Stub {
    _folder: tempfile::TempDir,
    socket: PathBuf,
}

impl Stub {
    fn start(answers: &'static [(&'static str, u16, &'static str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answers));
            }
        });
        Self {
            _folder: folder,
            socket,
        }
    }
}

async fn serve(mut stream: UnixStream, answers: &'static [(&'static str, u16, &'static str)]) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().split('?').next().unwrap();
    let found = answers.iter().find(|(end, ..)| path.ends_with(end));
    if found.is_none() && path == "/_ping" && !answers.is_empty() {
        let _ = stream
            .write_all(b"HTTP/1.1 404 X\r\ncontent-length: 0\r\n\r\n")
            .await;
        return;
    }
    let Some((_, status, body)) = found else {
        // It hangs.
        let _ = stream.read_u8().await;
        return;
    };
    let answer = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
}

fn why(engine: Engine) -> String {
    match engine {
        Engine::Down { why } => why,
        engine => panic!("{engine:?}"),
    }
}

#[tokio::test]
async fn f52_an_engine_that_answers_is_up_with_the_version_both_speak() {
    let stub = Stub::start(&[("/version", 200, VERSION)]);
    let up = Engine::Up {
        version: "26.1.5".to_owned(),
        api: "1.45".to_owned(),
    };
    assert_eq!(engine(&stub.socket).await, up);
}

#[tokio::test]
async fn an_engine_that_greets_with_its_versions_is_asked_no_more() {
    let head = "HTTP/1.1 200 OK\r\napi-version: 1.45\r\nserver: Docker/26.1.5+dfsg1 (linux)\r\ncontent-length: 2\r\n\r\nOK";
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let got = stream.read(&mut request).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request[..got]).into_owned()
    });
    let up = Engine::Up {
        version: "26.1.5+dfsg1".to_owned(),
        api: "1.45".to_owned(),
    };
    assert_eq!(engine(&socket).await, up);
    assert!(asked.await.unwrap().starts_with("GET /_ping "));
}

#[tokio::test]
async fn f52_an_old_engine_is_spoken_to_in_its_own_version() {
    let stub = Stub::start(&[
        ("/v1.41/containers/json", 200, "[]"),
        ("/version", 200, r#"{"Version":"20.10.24","ApiVersion":"1.41"}"#),
    ]);
    assert!(matches!(engine(&stub.socket).await, Engine::Up { api, .. } if api == "1.41"));
    assert!(containers(&stub.socket, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn f52_every_way_of_being_down_says_what_it_is() {
    for (answer, told) in [
        (
            &[("/version", 500, r#"{"message":"\u001b[31mout of order"}"#)],
            "it answered with status 500: out of order",
        ),
        (
            &[("/version", 503, "<html>busy")],
            "it answered with status 503: <html>busy",
        ),
        (
            &[("/version", 200, "<html>")],
            "it did not answer in Docker's language: ",
        ),
        (
            &[("/version", 200, r#"{"Version":"26"}"#)],
            "it did not answer in Docker's language: ",
        ),
    ] {
        let stub = Stub::start(answer);
        let why = why(engine(&stub.socket).await);
        assert!(why.starts_with(told), "{why}");
    }
}

#[tokio::test]
async fn f52_an_engine_that_hangs_is_down_after_five_seconds() {
    let stub = Stub::start(&[]);
    assert_eq!(why(engine(&stub.socket).await), "no answer within 5 s");
}

#[tokio::test]
async fn f52_an_engine_without_a_socket_is_absent_or_down() {
    let here = tempfile::tempdir().unwrap();
    let dead = here.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let nowhere = Path::new("/nonexistent/docker.sock");
    for (socket, told) in [(nowhere, "there is no socket at"), (&dead, "nobody listens on")] {
        match engine(socket).await {
            Engine::Absent => assert_eq!(files::program("dockerd"), None),
            Engine::Down { why } => assert_eq!(why, format!("{told} {}", socket.display())),
            up @ Engine::Up { .. } => panic!("{up:?}"),
        }
    }
    let failed = containers(nowhere, None).await;
    assert!(matches!(failed, Err(HostError::Engine(_))), "{failed:?}");
}

#[tokio::test]
async fn containers_are_told_with_health_restarts_and_ends() {
    let stub = Stub::start(&[
        ("/version", 200, VERSION),
        ("/containers/json", 200, LIST),
        ("c2d/json", 200, DB),
        ("/gone/json", 404, r#"{"message":"No such container: gone"}"#),
        ("/app/json", 200, APP),
    ]);
    let found = containers(&stub.socket, Some("/srv/chat")).await.unwrap();
    let [app, db] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(
        (app.name.as_str(), app.state.as_str(), app.health.as_deref()),
        ("chat-app-1", "running", Some("healthy"))
    );
    assert_eq!(app.ports, [8080]);
    assert_eq!(
        (db.project.as_str(), db.service.as_str(), db.folder.as_str()),
        ("chat", "db", "/srv/chat")
    );
    assert_eq!(
        (db.state.as_str(), db.health.as_deref(), db.exit_code),
        ("exited", None, 137)
    );
    assert!(db.oom_killed && db.restarts == 3 && db.restart_policy == "unless-stopped");
}

#[tokio::test]
async fn f54_the_container_that_publishes_a_port_is_named() {
    let stub = Stub::start(&[("/version", 200, VERSION), ("/containers/json", 200, LIST)]);
    let publishers = Publishers::of(&stub.socket).await;
    assert_eq!(
        publishers.publishing(Transport::Tcp, 8080).as_deref(),
        Some("chat-app-1")
    );
    assert_eq!(publishers.publishing(Transport::Udp, 8080), None);
    assert_eq!(publishers.publishing(Transport::Tcp, 81), None);
    assert_eq!(publishers.named("app").as_deref(), Some("chat-app-1"));
    let away = Publishers::of(Path::new("/nonexistent/docker.sock")).await;
    assert_eq!(away.publishing(Transport::Tcp, 8080), None);
}

#[tokio::test]
async fn a_log_is_told_in_plain_lines() {
    let stub = Stub::start(&[
        ("/version", 200, VERSION),
        (
            "/logs",
            200,
            "\u{1}\0\0\0\0\0\0\u{5}one\n\n\u{2}\0\0\0\0\0\0\u{9}\u{1b}[31mtwo\n",
        ),
    ]);
    assert_eq!(
        log(&stub.socket, "chat-app-1", 10).await.unwrap(),
        ["one", "", "two"]
    );
}

#[tokio::test]
async fn the_engine_is_not_asked_to_tell_of_health_checks_that_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let (tell, mut heads) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                let got = stream.read(&mut head).await.unwrap_or(0);
                let _ = tell.send(String::from_utf8_lossy(&head[..got]).into_owned());
                let answer = format!(
                    "HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n{VERSION}",
                    VERSION.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    let told = tokio::spawn(async move { std::pin::pin!(events(socket)).next().await });
    loop {
        let head = heads.recv().await.unwrap();
        if head.contains("/events?") {
            assert!(head.contains("health_status") && head.contains("die"), "{head}");
            assert!(!head.contains("exec_"), "{head}");
            break;
        }
    }
    told.abort();
}

#[tokio::test]
async fn what_happens_to_containers_is_told_as_it_comes() {
    let stub = Stub::start(&[
        ("/version", 200, VERSION),
        (
            "/events",
            200,
            "{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"x\",\"Attributes\":{\"name\":\"chat-db-1\"}}}\n{\"Type\":\"container\",\"Action\":\"health_status: unhealthy\"}\n",
        ),
    ]);
    let told: Vec<_> = events(stub.socket.clone()).map(Result::unwrap).collect().await;
    let wanted = [("chat-db-1", "die"), ("", "health_status: unhealthy")];
    assert_eq!(
        told,
        wanted.map(|(name, action)| (name.to_owned(), action.to_owned()))
    );
    let mut away = std::pin::pin!(events("/nonexistent/docker.sock".into()));
    assert!(matches!(away.next().await, Some(Err(HostError::Engine(_)))));
}
