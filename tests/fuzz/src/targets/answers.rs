//! What servers answer: chatalot, an issuer, a TURN server, anybody over HTTP.

use super::{PATIENCE, parts, runtime};
use chatalot_agent::host::fake::FakeHost;
use chatalot_agent::host::linux::{Config, LinuxHost};
use chatalot_agent::host::{Fetch, Fetched, Look};
use chatalot_agent::runbook::distro::DISTROS;
use chatalot_agent::runbook::{Cx, answer, step};
use chatalot_agent::stun::dialogue::{Credentials, Dialogue, Next, first_message};
use chatalot_agent::stun::{HEADER, MOST, Message, Name, is_signed};
use chatalot_protocol::inputs::Inputs;
use chatalot_protocol::report::Verdict;
use chatalot_protocol::secret::Secret;
use chatalot_protocol::site::Site;
use futures_util::FutureExt;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const ISSUER: &str = "https://auth.example.com/o/chatalot/";

static SITE: LazyLock<Site> = LazyLock::new(|| {
    let inputs = Inputs {
        domain: Some("chat.example.com".to_owned()),
        admin_username: Some("alice".to_owned()),
        oidc_issuer: Some(ISSUER.to_owned()),
        oidc_client_id: Some("chatalot".to_owned()),
        oidc_client_secret: Some(Secret::new("client-secret")),
        ..Inputs::default()
    };
    inputs.complete().unwrap().0
});

/// The status and the kind of the body, then the body.
pub(super) fn health_body(input: &[u8]) {
    let [status, kind, body] = parts(input);
    let status = std::str::from_utf8(status)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(200);
    let page = Fetched {
        status,
        headers: vec![(
            "content-type".to_owned(),
            String::from_utf8_lossy(kind).into_owned(),
        )],
        body: body.to_vec(),
        tls: None,
    };
    let whole: Option<Value> = serde_json::from_slice(body).ok();
    if let Ok(health) = answer::health(&page, "chatalot") {
        let whole = whole.as_ref().expect("health is JSON");
        assert_eq!(
            (status, &whole["status"], &whole["db_healthy"]),
            (200, &"ok".into(), &true.into())
        );
        assert!(
            !health.version.is_empty() && !health.version.contains(|c: char| c.is_control() && c != '\t')
        );
    }
    if discovers(page) {
        let whole = whole.expect("a discovery document is JSON");
        assert_eq!((status, &whole["issuer"]), (200, &ISSUER.into()));
        for endpoint in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
            assert!(
                whole[endpoint]
                    .as_str()
                    .is_some_and(|address| address.starts_with("https://"))
            );
        }
    }
}

/// Whether the issuer's check is content with a page.
fn discovers(page: Fetched) -> bool {
    let host = FakeHost::fresh(&DISTROS[0]);
    let url = format!("{ISSUER}.well-known/openid-configuration");
    host.world(|world| world.pages.insert(url, Ok(page)));
    let nothing = BTreeMap::new();
    let cx = Cx {
        site: &SITE,
        distro: &DISTROS[0],
        host: &host,
        memory: &nothing,
        secret_tags: &nothing,
    };
    let check = step("preflight.oidc").unwrap();
    let verdict = check
        .check(&cx)
        .now_or_never()
        .expect("a host of maps answers at once");
    verdict.as_ref().is_ok_and(Verdict::is_satisfied)
}

struct Server {
    runtime: Runtime,
    host: LinuxHost,
    url: String,
}

static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let runtime = runtime();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    runtime.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = ANSWER.lock().unwrap_or_else(PoisonError::into_inner).clone();
            tokio::spawn(async move {
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
                // Read to the end, or what was not read would break off what was written.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    Server {
        runtime,
        host: LinuxHost::new(Config::default()),
        url,
    }
});

pub(super) fn open() {
    LazyLock::force(&SERVER);
}

/// All that a server says once somebody has connected.
pub(super) fn page(input: &[u8]) {
    input.clone_into(&mut ANSWER.lock().unwrap());
    let mut fetch = Fetch::page(SERVER.url.as_str());
    fetch.deadline = PATIENCE;
    if let Ok(fetched) = SERVER.runtime.block_on(SERVER.host.fetch(fetch)) {
        assert!((100..1000).contains(&fetched.status));
        assert!(fetched.body.len() <= 64 << 10, "no more is kept of a body");
        let _ = answer::health(&fetched, &SERVER.url);
    }
}

/// What a stream or packets from a TURN server bring, as its answers to one dialogue after another.
pub(super) fn stun(input: &[u8]) {
    if let Ok(Some(length)) = first_message(input) {
        assert!((HEADER..=HEADER + MOST).contains(&length) && length <= input.len());
    }
    if let Some(message) = Message::parse(input) {
        assert!(!is_signed(input, b"a key that nobody else has"));
        assert!(message.bytes(None).len() >= HEADER);
        for name in [Name::XorMappedAddress, Name::XorRelayedAddress] {
            assert!(message.get(name).is_some() || message.address(name).is_none());
        }
        assert!(message.error().is_none_or(|(code, _)| code < 1000));
    }
    let credentials = Credentials::of_secret(&Secret::new("shared"), 0);
    let (mut dialogue, mut asked) = Dialogue::begin(&credentials);
    let mut rest = input;
    while let Some((length, more)) = rest.split_first() {
        let attributes = more.split_at(more.len().min(usize::from(*length) * 4 + 1));
        rest = attributes.1;
        let answer = answering(&asked, attributes.0);
        match dialogue.take(&answer) {
            Ok(Next::Send(bytes)) => asked = bytes,
            Ok(Next::Wait) => {}
            Ok(Next::Done(relay)) => {
                // Whoever does not know the password relays only what it relays for everybody.
                assert!(relay.open);
                return;
            }
            Err(_) => return,
        }
    }
}

/// An answer to a request: a good one or an error as the first byte says, and the rest as its attributes.
fn answering(asked: &[u8], attributes: &[u8]) -> Vec<u8> {
    let (class, attributes) = attributes.split_first().unwrap_or((&0, &[]));
    let mut answer = asked[..HEADER].to_vec();
    answer[0] |= 1;
    answer[1] |= if class % 2 == 0 { 0 } else { 0x10 };
    let room = attributes.len().min(MOST) / 4 * 4;
    answer[2..4].copy_from_slice(&u16::try_from(room).unwrap().to_be_bytes());
    answer.extend(&attributes[..room]);
    answer
}
