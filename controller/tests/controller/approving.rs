//! Joining without a secret: nothing is given for nothing, and what was approved is what was read on the host.

use crate::agent::{Agent, identity, join, key};
use crate::world::{World, token};
use chatalot_protocol::approve::{EnrolReply, EnrolRequest, Invitation, words};
use chatalot_protocol::audit::Entry;
use chatalot_protocol::enrol::JoinReply;
use chatalotctl::access::Role;
use chatalotctl::ca::sha256;
use chatalotctl::clock::now_ms;
use chatalotctl::model::{Added, HostView, JoinView, Joins};
use chatalotctl::store::rotation;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::task::JoinHandle;
use uuid::Uuid;

fn body(key: &KeyPair) -> Vec<u8> {
    let request = EnrolRequest {
        csr: CertificateParams::default()
            .serialize_request(key)
            .unwrap()
            .pem()
            .unwrap(),
        hostname: "vps\u{1b}[31m".to_owned(),
    };
    serde_json::to_vec(&request).unwrap()
}

fn shown(key: &KeyPair) -> String {
    words(&sha256(&key.subject_public_key_info()))
}

/// Asks once; whatever is said.
async fn asks(world: &World, key: &KeyPair) -> (StatusCode, Value) {
    let (status, answer) = world.visit("POST", "/v1/enrol", body(key)).await;
    (status, serde_json::from_slice(&answer).unwrap())
}

/// Asks in the background, and is heard of at the controller when this returns.
async fn waits(world: &Arc<World>, key: &Arc<KeyPair>) -> (JoinHandle<(StatusCode, Value)>, JoinView) {
    let (there, mine) = (Arc::clone(world), Arc::clone(key));
    let asking = tokio::spawn(async move { asks(&there, &mine).await });
    (asking, waiting(world, key).await)
}

/// Waits until a key is heard of at the controller.
async fn waiting(world: &World, key: &KeyPair) -> JoinView {
    let words = shown(key);
    loop {
        let joins = pending(world).await;
        if let Some(join) = joins.waiting.into_iter().find(|join| join.words == words) {
            return join;
        }
        tokio::task::yield_now().await;
    }
}

async fn pending(world: &World) -> Joins {
    world.get("/v1/joins").await.1.unwrap()
}

async fn awaits(world: &World, name: &str) -> Added {
    let add = json!({"name": name, "approve": true});
    let (status, added) = world.command("POST", "/v1/hosts", &add).await;
    assert_eq!(status, StatusCode::CREATED);
    added.unwrap()
}

async fn approve(world: &World, join: &str, host: &str, words: &str) -> (StatusCode, Value) {
    let order = json!({"host": host, "fingerprint": words});
    let path = format!("/v1/joins/{join}/approve");
    let (status, answer) = world.command("POST", &path, &order).await;
    (status, answer.unwrap_or_else(|refusal| refusal))
}

fn joined((status, answer): (StatusCode, Value)) -> JoinReply {
    assert_eq!(status, StatusCode::OK, "{answer}");
    match serde_json::from_value(answer).unwrap() {
        EnrolReply::Joined(reply) => *reply,
        other => panic!("not joined but {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_a_secret_joins_once_its_words_were_compared_and_has_a_session() {
    let world = Arc::new(World::start().await);
    let added = awaits(&world, "chat-1").await;
    assert_eq!(added.token.parse(), Ok(Invitation::Pins(world.pin().into())));
    assert!(added.one_liner.contains(&added.token) && !added.one_liner.contains("cja1_"));
    let key = Arc::new(key());
    let (asking, join) = waits(&world, &key).await;
    assert_eq!(
        (join.hostname.as_str(), join.address.as_str()),
        ("vps[31m", "127.0.0.1")
    );
    // Other words, another host, another key: nothing comes of it.
    let (status, told) = approve(&world, &join.id, "chat-1", "zoo zoo zoo zoo zoo zoo").await;
    assert_eq!(
        (status, &told["code"]),
        (StatusCode::CONFLICT, &json!("FINGERPRINT_DIFFERS"))
    );
    let (_, told) = approve(&world, &join.id, "chat-2", &join.words).await;
    assert_eq!(told["code"], "HOST_NOT_AWAITED");
    let (_, told) = approve(&world, "0000000000000000", "chat-1", &join.words).await;
    assert_eq!(told["code"], "JOIN_UNKNOWN");
    assert_eq!(pending(&world).await.awaited.len(), 1);

    let (status, _) = approve(&world, &join.id, "chat-1", &join.words.to_uppercase()).await;
    assert_eq!(status, StatusCode::OK);
    let reply = joined(asking.await.unwrap());
    assert_eq!(reply.name.as_str(), "chat-1");
    Agent::dial(&world, identity(&reply, &key))
        .await
        .greet(Uuid::new_v4())
        .await;
    let now = pending(&world).await;
    assert!(now.awaited.is_empty() && now.waiting.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn f07_a_lost_answer_is_given_again_to_the_approved_key_even_after_a_restart_and_to_no_other() {
    let world = Arc::new(World::start().await);
    awaits(&world, "chat-1").await;
    let key = Arc::new(key());
    let (asking, join) = waits(&world, &key).await;
    approve(&world, &join.id, "chat-1", &join.words).await;
    let first = joined(asking.await.unwrap());
    let world = Arc::into_inner(world).unwrap().restart().await;
    let again = joined(asks(&world, &key).await);
    assert_eq!((first.host, &first.certificate), (again.host, &again.certificate));
    let (status, _) = asks(&world, &crate::agent::key()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_holds_though_the_controller_restarts_before_the_host_hears_of_it() {
    let world = Arc::new(World::start().await);
    awaits(&world, "chat-1").await;
    let key = Arc::new(key());
    let (asking, join) = waits(&world, &key).await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    approve(&world, &join.id, "chat-1", &join.words).await;
    let world = Arc::into_inner(world).unwrap().restart().await;
    assert_eq!(joined(asks(&world, &key).await).name.as_str(), "chat-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn f05_whoever_is_not_awaited_or_denied_is_refused_in_the_same_words_and_one_too_many_asks_later() {
    let world = Arc::new(World::start().await);
    let not_awaited = asks(&world, &key()).await;
    assert_eq!(not_awaited.0, StatusCode::FORBIDDEN);
    awaits(&world, "chat-1").await;
    let key = Arc::new(key());
    let (asking, join) = waits(&world, &key).await;
    let path = format!("/v1/joins/{}/deny", join.id);
    let (status, denied) = world.command::<_, JoinView>("POST", &path, &()).await;
    assert_eq!((status, denied.unwrap()), (StatusCode::OK, join.clone()));
    assert_eq!(asking.await.unwrap(), not_awaited);
    assert_eq!(asks(&world, &key).await, not_awaited);
    for number in 0..8 {
        let from = world.address.ip();
        assert_eq!(world.centre.waiting.asks([number; 32], from, "", 0), Ok(true));
    }
    let (status, _) = asks(&world, &crate::agent::key()).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    // What each was is in the audit, and nowhere else.
    let audit = world.audit().await;
    let refused: Vec<&str> = audit
        .iter()
        .filter(|entry| entry.verdict == "JOIN_REFUSED")
        .map(|entry| entry.detail.as_str())
        .collect();
    let denied = "the operator has denied this key";
    assert_eq!(refused, ["no host is awaited", denied, denied]);
    let said = |action: &str, verdict: &str| -> Option<&Entry> {
        audit
            .iter()
            .find(|entry| entry.action == action && entry.verdict == verdict)
    };
    assert_eq!(said("join", "waits").unwrap().detail, join.words);
    assert_eq!(said("host.deny", "done").unwrap().subject, join.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_host_takes_the_place_of_the_one_before_and_a_token_that_was_out_is_void() {
    let world = Arc::new(World::start().await);
    let first = token(&world.add("chat-1").await);
    awaits(&world, "chat-1").await;
    assert!(join(&world, &first, &key()).await.is_none());
    let key = Arc::new(key());
    let (asking, join_view) = waits(&world, &key).await;
    approve(&world, &join_view.id, "chat-1", &join_view.words).await;
    let before = joined(asking.await.unwrap());
    let mut old = Agent::dial(&world, identity(&before, &key)).await;
    old.greet(Uuid::new_v4()).await;
    awaits(&world, "chat-1").await;
    let new = Arc::new(crate::agent::key());
    let (asking, join_view) = waits(&world, &new).await;
    approve(&world, &join_view.id, "chat-1", &join_view.words).await;
    let after = joined(asking.await.unwrap());
    assert_eq!(before.host, after.host);
    assert!(matches!(
        old.hear().await,
        Some(chatalot_protocol::message::ToAgent::Rejected { .. })
    ));
    let (status, host) = world.get::<HostView>("/v1/hosts/chat-1").await;
    assert_eq!((status, host.unwrap().id), (StatusCode::OK, before.host));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_worth_nothing_once_the_host_is_revoked_given_a_token_or_the_root_is_replaced() {
    for undo in ["revoke", "token", "replace"] {
        let world = Arc::new(World::start().await);
        awaits(&world, "chat-1").await;
        let key = Arc::new(key());
        // Without a connection: once this has ended, nobody at the controller waits for an answer any more.
        let request = Request::post("/v1/enrol")
            .body(Full::new(Bytes::from(body(&key))))
            .unwrap();
        let web = world.web();
        let asking =
            tokio::spawn(async move { web.answer(request, Ipv4Addr::LOCALHOST.into()).await.status() });
        let join = waiting(&world, &key).await;
        asking.abort();
        assert!(asking.await.unwrap_err().is_cancelled());
        approve(&world, &join.id, "chat-1", &join.words).await;
        match undo {
            "revoke" => {
                let path = "/v1/hosts/chat-1/revoke";
                let (status, _) = world.command::<_, Value>("POST", path, &()).await;
                assert_eq!(status, StatusCode::OK);
            }
            "token" => drop(world.add("chat-1").await),
            _ => {
                let ended = world.centre.store.write(|c| rotation::end_all(c, now_ms()));
                ended.await.unwrap();
            }
        }
        assert_eq!(asks(&world, &key).await.0, StatusCode::FORBIDDEN, "{undo}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_an_admin_of_all_hosts_sees_or_decides_who_waits() {
    let world = Arc::new(World::start().await);
    awaits(&world, "chat-1").await;
    let key = Arc::new(key());
    let (_asking, join) = waits(&world, &key).await;
    let limited = world
        .token("limited", Role::Admin, json!({"host": "chat-1"}))
        .await;
    let lesser = world.token("approver", Role::Approve, json!({})).await;
    let order = json!({"host": "chat-1", "fingerprint": join.words});
    for token in [&limited, &lesser] {
        for (method, path) in [
            ("GET", "/v1/joins".to_owned()),
            ("POST", format!("/v1/joins/{}/approve", join.id)),
            ("POST", format!("/v1/joins/{}/deny", join.id)),
        ] {
            let (status, _) = world.remote(token, method, &path, &order).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path}");
        }
    }
    let admin = world.token("admin", Role::Admin, json!({})).await;
    let path = format!("/v1/joins/{}/approve", join.id);
    let (status, _) = world.remote(&admin, "POST", &path, &order).await;
    assert_eq!(status, StatusCode::OK);
    let audit = world.audit().await;
    let approved = audit
        .iter()
        .find(|entry| entry.action == "host.approve" && entry.verdict == "done")
        .unwrap();
    assert_eq!(
        (
            approved.by.as_str(),
            approved.subject.as_str(),
            approved.detail.as_str()
        ),
        ("admin", join.id.as_str(), "chat-1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f09_a_request_that_is_no_request_does_not_wait() {
    let world = World::start().await;
    awaits(&world, "chat-1").await;
    let weak = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let huge = [body(&key()), vec![b' '; 9 << 10]].concat();
    for bad in [body(&weak), huge, b"{}".to_vec(), b"{\"csr\":\"\"}".to_vec()] {
        let (status, _) = world.visit("POST", "/v1/enrol", bad).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    assert!(pending(&world).await.waiting.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_stops_keeps_nobody_waiting() {
    let world = Arc::new(World::start().await);
    awaits(&world, "chat-1").await;
    let key = Arc::new(key());
    let (asking, _) = waits(&world, &key).await;
    world.centre.waiting.close();
    let (status, answer) = asking.await.unwrap();
    assert_eq!((status, &answer["type"]), (StatusCode::OK, &json!("waiting")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_own_code_joins_by_its_words_and_says_nothing_to_another_controller() {
    use chatalot_agent::host::linux::{self, LinuxHost};
    use chatalot_agent::link::{approval, identity as agents};
    let world = Arc::new(World::start().await);
    awaits(&world, "chat-1").await;
    let host = LinuxHost::new(linux::Config::default());
    let (state, address) = (tempfile::tempdir().unwrap(), world.address.to_string());
    let refused = approval::join(&host, state.path(), (&address, [7; 32].into()), &mut |_| {}).await;
    assert!(refused.is_err() && pending(&world).await.waiting.is_empty());

    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let mut say = |line: &str| drop(tell.send(line.to_owned()));
    let joining = approval::join(&host, state.path(), (&address, world.pin().into()), &mut say);
    let approving = async {
        let shown: String = told.recv().await.unwrap();
        let join = loop {
            if let Some(join) = pending(&world).await.waiting.pop() {
                break join;
            }
            tokio::task::yield_now().await;
        };
        assert!(shown.ends_with(&join.words), "{shown} is not {}", join.words);
        approve(&world, &join.id, "chat-1", &join.words).await
    };
    let (reply, (status, _)) = tokio::join!(joining, approving);
    assert_eq!(status, StatusCode::OK);
    let reply = reply.unwrap();
    let identity = agents::load(state.path()).unwrap().unwrap();
    assert_eq!(identity.membership.host, reply.host);
    let heard = crate::agent::knocks(&world, (identity.chain, identity.key)).await;
    assert!(matches!(
        heard,
        Some(chatalot_protocol::message::ToAgent::Welcome(_))
    ));
}
