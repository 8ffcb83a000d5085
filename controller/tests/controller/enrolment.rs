//! Joining: tokens are used once, replies may be lost, requests may lie.

use crate::agent::{Agent, hello, identity, join, joined, key, request};
use crate::world::{World, token};
use chatalot_protocol::enrol::JoinReply;
use chatalot_protocol::message::{RejectReason, ToAgent, ToController};
use chatalot_protocol::secret::Secret;
use chatalotctl::clock::now_ms;
use chatalotctl::model::Added;
use chatalotctl::store::StoreError;
use chatalotctl::store::tokens::{self, Refusal, Shown};
use hyper::StatusCode;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, SanType};
use uuid::Uuid;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

#[tokio::test]
async fn f05_unknown_used_and_wrong_tokens_are_refused_in_the_same_words() {
    let world = World::start().await;
    let good = token(&world.add("chat-1").await);
    assert!(join(&world, &good, &key()).await.is_some());
    let mut unknown = good.clone();
    unknown.id[0] ^= 1;
    let mut wrong = good.clone();
    wrong.secret = Secret::new("0".repeat(64));
    let mut answers = Vec::new();
    for bad in [&good, &unknown, &wrong] {
        let body = request(bad, &key(), &CertificateParams::default());
        answers.push(world.visit("POST", "/v1/join", body).await);
    }
    assert_eq!(answers[0].0, StatusCode::FORBIDDEN);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    // The network is told one thing; the audit knows which it was.
    let joins: Vec<_> = world
        .audit()
        .await
        .into_iter()
        .filter(|entry| entry.action == "join")
        .collect();
    let said: Vec<_> = joins
        .iter()
        .map(|entry| (entry.verdict.as_str(), entry.detail.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            ("done", ""),
            ("JOIN_REFUSED", "the token was used by another key"),
            ("JOIN_REFUSED", "unknown token"),
            ("JOIN_REFUSED", "wrong secret"),
        ]
    );
}

#[tokio::test]
async fn f05_an_expired_token_is_refused_even_to_the_key_that_used_it() {
    let world = World::start().await;
    let token = token(&world.add("chat-1").await);
    let shown = Shown {
        id: token.id,
        secret: chatalotctl::ca::sha256(
            &chatalot_protocol::enrol::unhex::<32>(token.secret.expose()).unwrap(),
        ),
        spki: [1; 32],
    };
    let hours = 3_600_000;
    let use_at = |at| {
        let never = |_| Err(chatalotctl::ca::CaError::Random);
        world
            .centre
            .store
            .write(move |c| tokens::consume(c, &shown, at, never).map(drop))
    };
    assert!(matches!(use_at(now_ms() + hours).await, Err(Refusal::Expired)));
    // The certificate could not be made: the token was not used up either.
    assert!(matches!(use_at(now_ms()).await, Err(Refusal::Issue(_))));
    let key = key();
    assert!(join(&world, &token, &key).await.is_some());
    assert!(matches!(use_at(now_ms() + hours).await, Err(Refusal::Expired)));
}

#[tokio::test(flavor = "multi_thread")]
async fn f06_of_two_hosts_with_one_token_exactly_one_gets_a_certificate() {
    let world = World::start().await;
    for round in 0..8 {
        let token = token(&world.add(&format!("chat-{round}")).await);
        let (one, other) = (key(), key());
        let (a, b) = tokio::join!(join(&world, &token, &one), join(&world, &token, &other));
        assert!(a.is_some() != b.is_some());
    }
}

#[tokio::test]
async fn f07_a_lost_reply_is_given_again_to_the_same_key_even_after_a_restart() {
    let world = World::start().await;
    let (token, key) = (token(&world.add("chat-1").await), key());
    let first = join(&world, &token, &key).await.unwrap();
    let world = world.restart().await;
    let again = join(&world, &token, &key).await.unwrap();
    assert_eq!(first.certificate, again.certificate);
    assert_eq!(first.host, again.host);
    let (_, identity) = (again.cluster, identity(&again, &key));
    Agent::dial(&world, identity).await.greet(Uuid::new_v4()).await;
}

#[tokio::test]
async fn f09_whatever_a_request_asks_for_the_certificate_has_only_our_fields() {
    let world = World::start().await;
    let token = token(&world.add("chat-1").await);
    let mut evil = CertificateParams::new(vec!["controller.chatalot.internal".to_owned()]).unwrap();
    let spiffe = format!("spiffe://{}/agent/{}", world.centre.cluster.id, Uuid::now_v7());
    evil.subject_alt_names
        .push(SanType::URI(spiffe.try_into().unwrap()));
    evil.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    evil.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = key();
    let body = request(&token, &key, &evil);
    let (status, reply) = world.visit("POST", "/v1/join", body).await;
    assert_eq!(status, StatusCode::OK);
    let reply: JoinReply = serde_json::from_slice(&reply).unwrap();
    let der = &identity(&reply, &key).0[0];
    let (_, certificate) = X509Certificate::from_der(der).unwrap();
    let names = &certificate
        .subject_alternative_name()
        .unwrap()
        .unwrap()
        .value
        .general_names;
    let ours = chatalot_protocol::identity::agent_uri(reply.cluster, reply.host);
    assert_eq!(names.as_slice(), [GeneralName::URI(&ours)]);
    assert!(!certificate.is_ca() && certificate.subject().iter().next().is_none());
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
    assert_eq!(certificate.raw_serial().len(), 16);
}

#[tokio::test]
async fn f09_a_request_that_is_unsigned_weak_or_huge_is_refused_and_the_token_stays_good() {
    let world = World::start().await;
    let token = token(&world.add("chat-1").await);
    let params = CertificateParams::default();
    let weak = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let good = String::from_utf8(request(&token, &key(), &params)).unwrap();
    let middle = good.find("REQUEST-----").unwrap() + 150;
    let mut forged = good.clone().into_bytes();
    forged[middle] = if forged[middle] == b'A' { b'B' } else { b'A' };
    let huge = format!("{good}{}", " ".repeat(1 << 20)).into_bytes();
    for (number, bad) in [request(&token, &weak, &params), forged, huge, b"{}".to_vec()]
        .into_iter()
        .enumerate()
    {
        let (status, _) = world.visit("POST", "/v1/join", bad).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{number}");
    }
    let (status, _) = world.visit("POST", "/v1/join", good.into_bytes()).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_name_is_given_out_again_until_its_host_has_joined() {
    let world = World::start().await;
    let first = token(&world.add("chat-1").await);
    let second = token(&world.add("chat-1").await);
    assert!(join(&world, &first, &key()).await.is_none());
    assert!(join(&world, &second, &key()).await.is_some());
}

#[tokio::test]
async fn a_host_that_is_invited_again_goes_on_until_it_joins_anew_and_is_then_shut_out() {
    let world = World::start().await;
    let (old, old_identity) = joined(&world, "chat-1").await;
    let (chain, old_key) = &old_identity;
    let mut agent = Agent::dial(&world, (chain.clone(), old_key.clone_key())).await;
    agent.greet(Uuid::new_v4()).await;
    let added = world.add("chat-1").await;
    assert!(added.again && added.host == old.host);
    agent.say(&ToController::Ping { n: 1 }).await;
    assert_eq!(agent.hear().await, Some(ToAgent::Pong { n: 1 }));
    let key = key();
    let reply = join(&world, &token(&added), &key).await.unwrap();
    assert_eq!((reply.host, reply.name.as_str()), (old.host, "chat-1"));
    let told = agent.hear().await;
    assert!(matches!(told, Some(ToAgent::Rejected { .. })), "{told:?}");
    let mut late = Agent::dial(&world, old_identity).await;
    late.say(&ToController::Hello(Box::new(hello(Uuid::new_v4()))))
        .await;
    let told = late.hear().await;
    let revoked = RejectReason::Revoked;
    assert!(
        matches!(told, Some(ToAgent::Rejected { reason, .. }) if reason == revoked),
        "{told:?}"
    );
    let mut new = Agent::dial(&world, identity(&reply, &key)).await;
    new.greet(Uuid::new_v4()).await;
    // A reply that is asked for again does not end the session of the same identity.
    assert!(join(&world, &token(&added), &key).await.is_some());
    new.say(&ToController::Ping { n: 2 }).await;
    assert_eq!(new.hear().await, Some(ToAgent::Pong { n: 2 }));
}

#[tokio::test]
async fn an_invitation_without_domains_leaves_those_that_a_joined_host_may_serve() {
    let world = World::start().await;
    let add = serde_json::json!({"name": "chat-1", "domains": ["chat.example.com"]});
    let (_, added) = world.command::<_, Added>("POST", "/v1/hosts", &add).await;
    assert!(join(&world, &token(&added.unwrap()), &key()).await.is_some());
    world.add("chat-1").await;
    let (_, host) = world
        .get::<chatalotctl::model::HostView>("/v1/hosts/chat-1")
        .await;
    let host = host.unwrap();
    assert_eq!(host.domains.len(), 1);
    assert!(host.certificate_until_ms.unwrap() > now_ms());
}

#[tokio::test]
async fn neither_the_token_nor_its_secret_is_in_the_database() {
    let world = World::start().await;
    let added = world.add("chat-1").await;
    let found = world
        .centre
        .store
        .write(|c| Ok::<_, StoreError>(c.execute_batch("PRAGMA wal_checkpoint").is_ok()));
    found.await.unwrap();
    let secret = token(&added).secret;
    for file in ["controller.db", "controller.db-wal"] {
        let bytes = std::fs::read(world.centre.config.state.join(file)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(secret.expose()) && !text.contains(&added.token));
    }
}

#[tokio::test]
async fn two_controllers_never_share_a_state_folder() {
    let world = World::start().await;
    let second = chatalotctl::serve::Controller::start(world.centre.config.clone()).await;
    assert!(second.err().unwrap().to_string().contains("another"));
}

#[tokio::test]
async fn a_host_that_has_joined_is_told_by_name() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (_, host) = world
        .get::<chatalotctl::model::HostView>("/v1/hosts/chat-1")
        .await;
    let host = host.unwrap();
    assert_eq!((host.id, host.connected), (peer.host, false));
}
