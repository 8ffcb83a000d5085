//! Role × verb on the channel: every message against every kind of certificate.

use crate::agent::{Agent, identity, join, joined, key};
use crate::generations::Host;
use crate::world::{Identity, World, exchange, exchange_as, tls, token};
use chatalot_protocol::identity::{ALPN_CHANNEL, agent_uri};
use chatalot_protocol::message::{RejectReason, ToAgent, ToController};
use chatalot_protocol::names::HostId;
use chatalot_protocol::version::NEWEST;
use chatalotctl::api::routes::ROUTES;
use chatalotctl::peer::Peer;
use chatalotctl::web::DOORS;
use hyper::StatusCode;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, SanType};
use rustls_pki_types::PrivatePkcs8KeyDer;
use serde::de::DeserializeOwned;
use std::net::Ipv4Addr;
use std::path::Path;
use uuid::Uuid;

/// What there is of a kind, out of the recorded messages: a message without a record fails the protocol's own tests, so
/// that a new one has its place here as soon as it exists.
pub(crate) fn recorded<T: DeserializeOwned>(kind: &str) -> Vec<T> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../protocol/tests/golden/v{NEWEST}"));
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let ours = files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(kind));
    let all: Vec<T> = ours
        .map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        .collect();
    assert!(all.len() > 5, "{kind}");
    all
}

/// Every message that an agent may send.
fn messages() -> Vec<ToController> {
    recorded("to_controller.")
}

/// Who is to hear what, when it begins with a message.
fn fits(message: &ToController, heard: Option<&ToAgent>, wanted: &str) -> bool {
    let is_hello = matches!(message, ToController::Hello(_));
    match (heard, wanted, is_hello) {
        (Some(ToAgent::Welcome(_)), "welcome", true)
        | (Some(ToAgent::Rejected { .. }), "rejected", true)
        | (None, "silence", _) => true,
        (Some(ToAgent::Rejected { reason, .. }), wanted, false) => {
            *reason == RejectReason::Malformed && wanted != "silence"
        }
        _ => false,
    }
}

/// What is answered to a first message.
async fn first(world: &World, identity: Option<Identity>, message: &ToController) -> Option<ToAgent> {
    let config = tls(world.pin(), &[ALPN_CHANNEL], identity);
    let stream = world.dial(&config).await.ok()?;
    let mut agent = Agent { stream };
    if agent.try_say(message).await {
        agent.hear().await
    } else {
        None
    }
}

/// Who signs, as the controller's own root does.
fn own(world: &World) -> Issuer<'static, rcgen::KeyPair> {
    let root = std::fs::read_to_string(world.centre.config.state.join("ca/root.key")).unwrap();
    let root = rcgen::KeyPair::from_pem(&root).unwrap();
    Issuer::from_ca_cert_der(&world.centre.authority.now().root.certificate, root).unwrap()
}

/// Somebody else who signs, under the same name.
fn foreign(world: &World) -> Issuer<'static, rcgen::KeyPair> {
    Issuer::from_ca_cert_der(&world.centre.authority.now().root.certificate, key()).unwrap()
}

/// A certificate for an agent, right in everything that is not said here.
fn signed(
    issuer: &Issuer<'_, rcgen::KeyPair>,
    uri: String,
    serial: &[u8],
    usage: ExtendedKeyUsagePurpose,
    until: i32,
) -> Identity {
    let leaf = key();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    params.extended_key_usages = vec![usage];
    params.serial_number = Some(rcgen::SerialNumber::from_slice(serial));
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let certificate = params.signed_by(&leaf, issuer).unwrap();
    let key = PrivatePkcs8KeyDer::from(leaf.serialize_der()).into();
    (vec![certificate.der().clone()], key)
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
    let own = own(world);
    let signed = |uri: String, usage| Some(signed(&own, uri, &[0x41; 16], usage, 4000));
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
        let again = || {
            identity
                .as_ref()
                .map(|(chain, key)| (chain.clone(), key.clone_key()))
        };
        for message in messages() {
            let heard = first(&world, again(), &message).await;
            let said = format!("{name} says {message:?} and hears {heard:?}");
            assert!(fits(&message, heard.as_ref(), wanted), "{said}");
        }
    }
}

/// The certificates of a host over its life, each of a host of its own.
async fn generations(world: &World) -> Vec<(&'static str, Identity, &'static str)> {
    let of = |host: &Host| identity(&host.reply, &host.key);
    let revoke = async |name: &str| {
        let path = format!("/v1/hosts/{name}/revoke");
        let (status, _) = world.command::<_, serde_json::Value>("POST", &path, &()).await;
        assert_eq!(status, StatusCode::OK);
    };
    let pending = Host::join(world, "pending").await.renew(world).await.unwrap();
    let still = Host::join(world, "still").await;
    still.renew(world).await.unwrap();
    let replaced = Host::join(world, "replaced").await;
    assert!(replaced.renew(world).await.unwrap().is_welcome(world).await);
    let copied = Host::join(world, "locked").await;
    let locked = copied.renew(world).await.unwrap();
    assert!(locked.is_welcome(world).await && copied.is_rejected(world, RejectReason::Locked).await);
    let revoked = Host::join(world, "revoked").await;
    revoke("revoked").await;
    let expired = Host::join(world, "expired").await;
    let peer = Peer::of(
        &of(&expired).0[0],
        expired.reply.cluster,
        Ipv4Addr::LOCALHOST.into(),
    )
    .unwrap();
    let uri = agent_uri(world.centre.cluster.id, peer.host);
    let client = ExtendedKeyUsagePurpose::ClientAuth;
    vec![
        ("renewed, and not yet used", of(&pending), "welcome"),
        (
            "the one before it, which is in force until then",
            of(&still),
            "welcome",
        ),
        ("the one before one that was used", of(&replaced), "rejected"),
        ("of a locked host", of(&locked), "rejected"),
        ("of a revoked host", of(&revoked), "rejected"),
        (
            "by another authority",
            signed(&foreign(world), uri.clone(), &peer.serial, client.clone(), 4000),
            "silence",
        ),
        (
            "by our own, beside the one it was given",
            signed(&own(world), uri.clone(), &peer.serial, client.clone(), 4000),
            "welcome",
        ),
        (
            "expired",
            signed(&own(world), uri, &peer.serial, client, 2020),
            "silence",
        ),
    ]
}

#[tokio::test]
async fn f10_f11_f12_f14_f16_every_first_message_with_every_certificate_that_a_host_has_had_or_might_show() {
    for message in messages() {
        // What is said may change what a certificate is worth, so each message has hosts of its own.
        let world = World::start().await;
        for (name, identity, wanted) in generations(&world).await {
            let heard = first(&world, Some(identity), &message).await;
            let said = format!("{name}: {message:?} hears {heard:?}");
            assert!(fits(&message, heard.as_ref(), wanted), "{said}");
        }
    }
}

#[tokio::test]
async fn f11_a_certificate_of_an_agent_opens_no_endpoint() {
    // After twenty tries an address is shut out, so as many have a controller of their own.
    for routes in ROUTES.chunks(20) {
        let world = World::start().await;
        let (_, identity) = joined(&world, "chat-1").await;
        let config = tls(world.pin(), &[b"http/1.1"], Some(identity));
        for route in routes {
            let path = route.path.replace(['{', '}'], "");
            let stream = world.dial(&config).await.unwrap();
            let (status, _) = exchange(stream, route.method, &path, b"{}".to_vec()).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{}", route.name);
        }
    }
}

/// The doors of the port that take no token: what each asks for, from somebody who has nothing, from a host and from an
/// operator. Who one is opens none of them; what one brings does.
#[tokio::test]
async fn f11_every_door_of_the_port_against_every_kind_of_visitor() {
    for door in DOORS {
        let world = World::start().await;
        let (_, identity) = joined(&world, "chat-1").await;
        let token = world
            .token("admin", chatalotctl::access::Role::Admin, serde_json::json!({}))
            .await;
        let nobody = tls(world.pin(), &[b"http/1.1"], None);
        let host = tls(world.pin(), &[b"http/1.1"], Some(identity));
        let path = door.path.replace("{architecture}", "x86_64");
        let mut heard = Vec::new();
        for (config, bearer) in [(&nobody, ""), (&host, ""), (&nobody, &*token)] {
            let stream = world.dial(config).await.unwrap();
            let (method, body) = (door.method.as_str(), b"{}".to_vec());
            heard.push(exchange_as(stream, bearer, method, &path, body).await.0);
        }
        let wanted = if door.behind.is_guarded() {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::OK
        };
        assert_eq!(heard, [wanted; 3], "{} {}", door.method, door.path);
    }
}
