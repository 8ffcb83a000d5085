//! Many who want nothing good: how long each is listened to, and that the others are served meanwhile. The
//! crowd is of ten thousand with `CHATALOT_FULL=1`.

use crate::agent::{Agent, joined};
use crate::world::World;
use chatalotctl::session::SessionError;
use chatalotctl::web::DOORS;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use uuid::Uuid;

/// What is listened to before it has said who it is.
const LISTENED: Duration = Duration::from_secs(10);
/// Between a handshake's first byte and the end of a greeting there are no more places than this.
const PLACES: usize = 64;

fn is_about(elapsed: Duration, wanted: Duration) -> bool {
    elapsed.abs_diff(wanted) < Duration::from_millis(100)
}

#[tokio::test]
async fn f26_whoever_says_nothing_is_cut_off_after_ten_seconds_before_tls_and_after_it() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    tokio::time::pause();

    let mut silent = TcpStream::connect(world.address).await.unwrap();
    let began = Instant::now();
    let mut rest = Vec::new();
    silent.read_to_end(&mut rest).await.unwrap();
    assert!(is_about(began.elapsed(), LISTENED), "{:?}", began.elapsed());

    let began = Instant::now();
    let (_agent, session) = Agent::pipe(&world, peer);
    let ended = session.await.unwrap();
    assert!(matches!(ended, Err(SessionError::NoHello)), "{ended:?}");
    assert!(is_about(began.elapsed(), LISTENED), "{:?}", began.elapsed());
}

#[tokio::test]
async fn f26_a_crowd_that_says_nothing_holds_no_more_than_its_places_and_keeps_nobody_out() {
    let crowd = if std::env::var_os("CHATALOT_FULL").is_some() {
        10_000
    } else {
        2_000
    };
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let world = World::start().await;
    let (_, identity) = joined(&world, "chat-1").await;
    // Nobody waits for real until they are all there.
    tokio::time::pause();
    let mut silent = Vec::with_capacity(crowd);
    for _ in 0..crowd {
        silent.push(TcpStream::connect(world.address).await.unwrap());
    }
    tokio::time::resume();
    let began = Instant::now();
    let mut agent = Agent::dial(&world, identity).await;
    agent.greet(Uuid::new_v4()).await;
    assert!(began.elapsed() < LISTENED, "{:?}", began.elapsed());

    let still_there = |stream: &TcpStream| {
        let read = stream.try_read(&mut [0]);
        matches!(read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    };
    // The ends of the others may still be on their way.
    while silent.iter().filter(|stream| still_there(stream)).count() > PLACES {
        assert!(began.elapsed() < LISTENED, "more are held than there are places");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn f05_at_each_door_for_those_who_hold_nothing_the_21st_try_within_a_minute_is_refused_and_another_address_is_not()
 {
    let world = World::start().await;
    let guarded = DOORS.iter().filter(|door| door.behind.is_guarded());
    for (last, path) in (1..).zip(guarded.map(|door| door.path)) {
        let web = world.web();
        let knock = async |from: IpAddr| {
            let request = Request::builder().method("POST").uri(path);
            let request = request.body(Full::new(Bytes::from_static(b"{}"))).unwrap();
            let reply = web.answer(request, from).await;
            let status = reply.status();
            let body = reply.into_body().collect().await.unwrap().to_bytes();
            let advice: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            (status, advice["code"].as_str().unwrap_or_default().to_owned())
        };
        let ours = IpAddr::V4(Ipv4Addr::new(198, 51, 100, last));
        for _ in 0..20 {
            assert_ne!(knock(ours).await.0, StatusCode::TOO_MANY_REQUESTS, "{path}");
        }
        let refused = (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_TRIES".to_owned());
        assert_eq!(knock(ours).await, refused, "{path}");
        let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
        assert_ne!(knock(other).await.0, StatusCode::TOO_MANY_REQUESTS, "{path}");
    }
}
