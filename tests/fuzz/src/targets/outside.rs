//! What travels when a site is looked at from outside: the host's wish, the controller's word, and the questions and
//! answers at the doors.

use super::{again, parts, runtime, texts};
use chatalot_agent::runbook::outside::Standing;
use chatalot_agent::runbook::outside::judge::{self, Expected};
use chatalot_protocol::outside::{
    Door, Look, LookAt, Nonce, Page, Saw, Seen, TURN, Told, WEB, answer, is_answer, question,
};
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Domain;
use chatalot_protocol::stun::{Message, Method, Name};
use chatalotctl::outside::reach::is_public;
use chatalotctl::outside::{knock, site};
use std::net::IpAddr;
use std::sync::LazyLock;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Runtime;

static NONCE: LazyLock<Nonce> = LazyLock::new(|| "0123456789abcdef0123456789abcdef".parse().unwrap());

static DOMAIN: LazyLock<Domain> = LazyLock::new(|| "chat.example.com".parse().unwrap());

static RUNTIME: LazyLock<Runtime> = LazyLock::new(runtime);

pub(super) fn open() {
    LazyLock::force(&RUNTIME);
}

/// All that whoever is behind a door says once it has been asked.
pub(super) fn behind(input: &[u8]) {
    let (saw, _) = asked(input, |stream| knock::numbered(stream, &DOMAIN, &NONCE));
    assert!(saw != Saw::Answered || contains(input, NONCE.as_str().as_bytes()));
    let question = question([7; 12], Some(&NONCE));
    let (saw, _) = asked(input, |stream| {
        knock::over_stream(stream, &question, Some(&NONCE))
    });
    assert!(saw != Saw::Answered || contains(input, NONCE.as_str().as_bytes()));
    let health = asked(input, |stream| site::over(stream, &DOMAIN, Page::Health));
    if let Ok((Saw::Answered, version)) = health {
        assert!(version.len() <= 40 && version.chars().all(|c| c.is_ascii_graphic()));
        assert!(
            contains(input, b"db_healthy"),
            "any path has status 200: the body counts"
        );
    }
    let websocket = asked(input, |stream| site::over(stream, &DOMAIN, Page::Websocket));
    assert!(!matches!(websocket, Ok((Saw::Answered, _))) || contains(input, b"101"));
}

/// What a reader makes of an answer that comes once it has asked.
fn asked<T, F: Future<Output = T>>(answer: &[u8], reader: impl FnOnce(DuplexStream) -> F) -> T {
    let (ours, mut theirs) = duplex(1 << 10);
    let said = async {
        let _ = theirs.read(&mut [0; 512]).await;
        let _ = theirs.write_all(answer).await;
        drop(theirs);
    };
    RUNTIME.block_on(async { tokio::join!(reader(ours), said).0 })
}

pub(super) fn outside(input: &[u8]) {
    if let Some(look) = again::<Look>(input)
        && let LookAt::Probe { nonce, .. } = look.at
    {
        assert!(nonce.as_str().len() == 32 && nonce.as_str().bytes().all(|b| b.is_ascii_hexdigit()));
    }
    if let Some(told) = again::<Told>(input) {
        judged(&told);
    }
    at_a_door(input);
    let [address] = texts(input);
    if let Ok(address) = address.parse::<IpAddr>() {
        let bare = address.to_canonical();
        let is_private = match bare {
            IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || v4.is_broadcast(),
            IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
        };
        let is_own = is_private || bare.is_loopback() || bare.is_unspecified() || bare.is_multicast();
        assert!(!(is_own && is_public(address)), "{address} is knocked at");
    }
}

/// What is made of the controller's word: a host is held up only by what was seen.
fn judged(told: &Told) {
    let seen: &[Seen] = if let Told::Seen { addresses } = told {
        addresses
    } else {
        &[]
    };
    let opened: Vec<Door> = WEB.into_iter().chain(TURN).collect();
    for turn in [None, seen.first().map(|seen| seen.address)] {
        let expected = Expected {
            domain: "chat.example.com",
            turn,
            version: Some("1.2.3"),
            journal: "journalctl -u caddy",
            may_shut: turn.is_some(),
            proxy_is_ours: turn.is_none(),
            is_limited: turn.is_some(),
            published: &[],
        };
        for standing in [
            judge::probe(told.clone(), &expected, &opened, &WEB[..1]),
            judge::site(told.clone(), &expected),
        ] {
            let mut sights = seen
                .iter()
                .filter(|seen| !seen.barred)
                .flat_map(|seen| &seen.sights);
            match &standing {
                Standing::Reached { .. } => {
                    assert!(
                        sights.any(|sight| sight.saw == Saw::Answered),
                        "reached, and nobody answered"
                    );
                }
                Standing::Shut(_) => assert!(sights.next().is_some(), "shut, and nobody has looked"),
                Standing::Untold(_) => {}
            }
            let is_shut = matches!(standing, Standing::Shut(_));
            assert_eq!(matches!(standing.verdict(), Verdict::Blocked { .. }), is_shut);
        }
    }
}

/// The bytes as a question at the host's doors and as an answer to the controller's; and as attributes of either.
fn at_a_door(input: &[u8]) {
    let [nonce, text] = parts(input);
    let asked = question([7; 12], Some(&NONCE));
    let made = Message::request(Method::Binding, [7; 12])
        .with(Name::Software, text)
        .with(Name::Realm, nonce);
    for bytes in [input.to_vec(), made.bytes(None)] {
        if let Some(answered) = answer(&bytes, &NONCE) {
            assert!(
                contains(&bytes, NONCE.as_str().as_bytes()),
                "only who knows the number is answered"
            );
            assert!(answered.len() <= bytes.len(), "nobody is flooded by way of us");
            assert!(answer(&answered, &NONCE).is_none(), "no answer calls for another");
        }
        if is_answer(&bytes, &asked, Some(&NONCE)) {
            assert!(contains(&bytes, NONCE.as_str().as_bytes()) && is_answer(&bytes, &asked, None));
        }
    }
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|part| part == what)
}
