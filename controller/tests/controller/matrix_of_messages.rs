//! Role × verb on the channel: every message against every kind of certificate.

use crate::agent::{Agent, hello, identity, join, joined, key};
use crate::world::{Identity, World, tls, token};
use chatalot_protocol::audit::Anchor;
use chatalot_protocol::identity::{ALPN_CHANNEL, agent_uri};
use chatalot_protocol::message::{Answer, RejectReason, ToAgent, ToController};
use chatalot_protocol::names::{DeploymentId, HostId, StepId};
use chatalotctl::api::routes::ROUTES;
use hyper::StatusCode;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, SanType};
use rustls_pki_types::PrivatePkcs8KeyDer;
use uuid::Uuid;

/// Every message that an agent may send. Another one does not compile without its place here.
fn messages() -> Vec<ToController> {
    let all = vec![
        ToController::Hello(Box::new(hello(Uuid::new_v4()))),
        ToController::Answer {
            id: 1,
            answer: Box::new(Answer::Pong),
        },
        ToController::Events { events: Vec::new() },
        ToController::LogOpened {
            deployment: DeploymentId::fresh(),
            stream: 1,
            step: StepId::known("a.b"),
        },
        ToController::Ping { n: 1 },
        ToController::Pong { n: 1 },
        ToController::Audited {
            anchor: Anchor::START,
        },
        ToController::EpochRefused { known: 9 },
        ToController::Trusts { version: 1 },
    ];
    for message in &all {
        match message {
            ToController::Hello(_)
            | ToController::Answer { .. }
            | ToController::Events { .. }
            | ToController::LogOpened { .. }
            | ToController::Ping { .. }
            | ToController::Pong { .. }
            | ToController::Audited { .. }
            | ToController::EpochRefused { .. }
            | ToController::Trusts { .. }
            | ToController::Unknown => {}
        }
    }
    all
}

/// Certificates of every kind, and whether a hello with one is welcome, refused in words, or not even heard.
async fn certificates(world: &World) -> Vec<(&'static str, Option<Identity>, &'static str)> {
    let (peer, ours) = joined(world, "host-1").await;
    let (old, voided) = joined(world, "host-2").await;
    let again = token(&world.add("host-2").await);
    let new = key();
    let reply = join(world, &again, &new).await.unwrap();
    assert_eq!(reply.host, old.host);
    let cluster = world.centre.cluster.id;
    let root = std::fs::read_to_string(world.centre.config.state.join("ca/root.key")).unwrap();
    let issuer = || {
        let root = rcgen::KeyPair::from_pem(&root).unwrap();
        Issuer::from_ca_cert_der(&world.centre.authority.now().root.certificate, root).unwrap()
    };
    let signed = |uri: String, usage| {
        let leaf = key();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.extended_key_usages = vec![usage];
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&[0x41; 16]));
        let certificate = params.signed_by(&leaf, &issuer()).unwrap();
        let key = PrivatePkcs8KeyDer::from(leaf.serialize_der()).into();
        Some((vec![certificate.der().clone()], key))
    };
    let client = ExtendedKeyUsagePurpose::ClientAuth;
    vec![
        ("an agent", Some(ours), "welcome"),
        (
            "an agent that joined anew",
            Some(identity(&reply, &new)),
            "welcome",
        ),
        ("the agent before it", Some(voided), "rejected"),
        ("none", None, "silence"),
        (
            "an admin",
            signed(format!("spiffe://{cluster}/admin/root"), client.clone()),
            "silence",
        ),
        (
            "another cluster",
            signed(agent_uri(Uuid::new_v4(), peer.host), client.clone()),
            "silence",
        ),
        (
            "a host that is not there",
            signed(agent_uri(cluster, HostId::fresh()), client.clone()),
            "rejected",
        ),
        (
            "a serial that is not known",
            signed(agent_uri(cluster, peer.host), client),
            "rejected",
        ),
        (
            "a server",
            signed(agent_uri(cluster, peer.host), ExtendedKeyUsagePurpose::ServerAuth),
            "silence",
        ),
    ]
}

#[tokio::test]
async fn f11_every_first_message_against_every_kind_of_certificate() {
    let world = World::start().await;
    for (name, identity, wanted) in certificates(&world).await {
        let config = tls(world.pin(), &[ALPN_CHANNEL], identity);
        for message in messages() {
            let heard = match world.dial(&config).await {
                Ok(stream) => {
                    let mut agent = Agent { stream };
                    let said = agent.try_say(&message).await;
                    if said { agent.hear().await } else { None }
                }
                Err(_) => None,
            };
            let is_hello = matches!(message, ToController::Hello(_));
            let fits = match (&heard, wanted, is_hello) {
                (Some(ToAgent::Welcome(_)), "welcome", true)
                | (Some(ToAgent::Rejected { .. }), "rejected", true)
                | (None, "silence", _) => true,
                (Some(ToAgent::Rejected { reason, .. }), wanted, false) => {
                    *reason == RejectReason::Malformed && wanted != "silence"
                }
                _ => false,
            };
            assert!(fits, "{name} says {message:?} and hears {heard:?}");
        }
    }
}

#[tokio::test]
async fn f11_a_certificate_of_an_agent_opens_no_endpoint() {
    let world = World::start().await;
    let (_, identity) = joined(&world, "chat-1").await;
    let config = tls(world.pin(), &[b"http/1.1"], Some(identity));
    for route in ROUTES {
        let path = route.path.replace(['{', '}'], "");
        let stream = world.dial(&config).await.unwrap();
        let (status, _) = crate::world::exchange(stream, route.method, &path, b"{}".to_vec()).await;
        // After twenty of them the address is shut out.
        let refused = [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS];
        assert!(refused.contains(&status), "{}: {status}", route.name);
    }
}
