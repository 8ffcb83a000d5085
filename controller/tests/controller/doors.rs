//! The one port: who gets in at which door.

use crate::agent::{Agent, hello, joined};
use crate::world::{World, tls};
use chatalot_protocol::frame::MAX_GREETING;
use chatalot_protocol::identity::ALPN_CHANNEL;
use chatalot_protocol::message::{RejectReason, ToAgent, ToController};
use chatalotctl::store::StoreError;
use hyper::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

#[tokio::test]
async fn f10_the_pin_alone_verifies_the_controller_and_another_pin_does_not() {
    let world = World::start().await;
    assert!(world.dial(&tls(world.pin(), &[b"http/1.1"], None)).await.is_ok());
    assert!(world.dial(&tls([7; 32], &[b"http/1.1"], None)).await.is_err());
}

#[tokio::test]
async fn an_unknown_application_protocol_is_refused() {
    let world = World::start().await;
    assert!(world.dial(&tls(world.pin(), &[b"h2"], None)).await.is_err());
    assert!(world.dial(&tls(world.pin(), &[], None)).await.is_ok());
}

#[tokio::test]
async fn f13_the_channel_is_closed_to_whoever_has_no_certificate() {
    let world = World::start().await;
    let config = tls(world.pin(), &[ALPN_CHANNEL], None);
    if let Ok(stream) = world.dial(&config).await {
        assert!(Agent { stream }.hear().await.is_none());
    }
    assert!(world.centre.fleet.is_empty());
}

#[tokio::test]
async fn f12_a_revoked_host_is_told_so_after_tls() {
    let world = World::start().await;
    let (peer, identity) = joined(&world, "chat-1").await;
    let revoke = world.centre.store.write(move |c| {
        c.execute(
            "UPDATE hosts SET state = 'revoked' WHERE id = ?1",
            [peer.host.0.as_bytes()],
        )?;
        Ok::<_, StoreError>(())
    });
    revoke.await.unwrap();
    let mut agent = Agent::dial(&world, identity).await;
    agent
        .say(&ToController::Hello(Box::new(hello(Uuid::new_v4()))))
        .await;
    let answer = agent.hear().await;
    let revoked = RejectReason::Revoked;
    assert!(
        matches!(answer, Some(ToAgent::Rejected { reason, .. }) if reason == revoked),
        "{answer:?}"
    );
    assert!(agent.hear().await.is_none());
}

#[tokio::test]
async fn f27_before_the_welcome_a_long_frame_or_another_message_ends_the_session() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let length = u32::try_from(MAX_GREETING + 1).unwrap().to_be_bytes();
    let long = [length.as_slice(), &[1]].concat();
    for bad in [long, vec![0, 0, 0, 0, 9], vec![0, 0, 0, 0, 1]] {
        let (mut agent, session) = Agent::pipe(&world, peer);
        agent.raw(&bad).await;
        assert!(session.await.unwrap().is_err());
    }
    let (mut agent, session) = Agent::pipe(&world, peer);
    agent.say(&ToController::Ping { n: 1 }).await;
    assert!(session.await.unwrap().is_err());
    assert!(world.centre.fleet.is_empty());
}

#[tokio::test]
async fn f26_silent_and_senseless_connections_do_not_keep_others_out() {
    let world = World::start().await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(world.address).await.unwrap());
    }
    let mut senseless = TcpStream::connect(world.address).await.unwrap();
    senseless.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let (status, _) = world.visit("GET", "/i", Vec::new()).await;
    assert_eq!(status, StatusCode::OK);
    let mut rest = Vec::new();
    // An alert, then the end.
    senseless.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test]
async fn visitors_get_the_script_the_binary_and_nothing_else() {
    let world = World::start().await;
    let (status, script) = world.visit("GET", "/i", Vec::new()).await;
    assert_eq!(status, StatusCode::OK);
    let script = String::from_utf8(script.to_vec()).unwrap();
    let last = script.lines().last().unwrap();
    assert!(
        last.starts_with(&format!("main --controller '{}' --sha256-x86_64 ", world.address)),
        "{last}"
    );
    assert!(
        last.contains(" --pin 'sha256//") && last.ends_with('\'') && !last.contains("aarch64"),
        "{last}"
    );
    let (status, binary) = world.visit("GET", "/agent/x86_64", Vec::new()).await;
    assert_eq!(
        (status, binary.as_ref()),
        (StatusCode::OK, b"an agent".as_slice())
    );
    for nothing in [
        "/",
        "/v1/hosts",
        "/agent/../state/controller.db",
        "/agent/aarch64",
    ] {
        let (status, _) = world.visit("GET", nothing, Vec::new()).await;
        assert!(status.is_client_error() || status.is_server_error(), "{nothing}");
    }
}
