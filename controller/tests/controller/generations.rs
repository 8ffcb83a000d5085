//! Generations of an identity: renewed by whoever has the key, in force from their first use, noticed when copied.

use crate::agent::{Agent, hello, identity, join, key, knocks};
use crate::world::{World, token};
use chatalot_protocol::enrol::{JoinReply, hex};
use chatalot_protocol::message::{RejectReason, ToAgent, ToController};
use chatalot_protocol::renew::RenewRequest;
use chatalotctl::model::{HostView, Membership};
use chatalotctl::peer::Peer;
use rcgen::{CertificateParams, KeyPair, SigningKey};
use std::net::Ipv4Addr;
use uuid::Uuid;

/// A host with the key and the certificate of one generation.
pub(crate) struct Host {
    pub(crate) reply: JoinReply,
    pub(crate) key: KeyPair,
}

impl Host {
    pub(crate) async fn join(world: &World, name: &str) -> Self {
        let key = key();
        let reply = join(world, &token(&world.add(name).await), &key).await.unwrap();
        Self { reply, key }
    }

    fn serial(&self) -> String {
        let der = &identity(&self.reply, &self.key).0[0];
        hex(x509_parser::parse_x509_certificate(der).unwrap().1.raw_serial())
    }

    pub(crate) fn request(&self, new: &KeyPair) -> RenewRequest {
        let csr = CertificateParams::default().serialize_request(new).unwrap();
        let (host, serial, csr) = (self.reply.host, self.serial(), csr.pem().unwrap());
        let proof = self.key.sign(&RenewRequest::signed(host, &serial, &csr)).unwrap();
        let proof = hex(&proof);
        RenewRequest {
            host,
            serial,
            csr,
            proof,
        }
    }

    pub(crate) async fn ask(world: &World, request: &RenewRequest) -> Result<JoinReply, String> {
        let body = serde_json::to_vec(request).unwrap();
        let (status, reply) = world.visit("POST", "/v1/renew", body).await;
        if status.is_success() {
            return Ok(serde_json::from_slice(&reply).unwrap());
        }
        let advice: serde_json::Value = serde_json::from_slice(&reply).unwrap();
        Err(advice["saw"].as_str().unwrap().to_owned())
    }

    /// The next generation of this host.
    pub(crate) async fn renew(&self, world: &World) -> Result<Self, String> {
        let key = key();
        let reply = Self::ask(world, &self.request(&key)).await?;
        Ok(Self { reply, key })
    }

    /// What this generation is told at the door.
    pub(crate) async fn knocks(&self, world: &World) -> Option<ToAgent> {
        knocks(world, identity(&self.reply, &self.key)).await
    }

    pub(crate) async fn is_welcome(&self, world: &World) -> bool {
        matches!(self.knocks(world).await, Some(ToAgent::Welcome(_)))
    }

    pub(crate) async fn is_rejected(&self, world: &World, wanted: RejectReason) -> bool {
        matches!(self.knocks(world).await, Some(ToAgent::Rejected { reason, .. }) if reason == wanted)
    }
}

pub(crate) async fn shown(world: &World, name: &str) -> HostView {
    world.get(&format!("/v1/hosts/{name}")).await.1.unwrap()
}

#[tokio::test]
async fn a_renewed_certificate_is_in_force_from_its_first_use_and_for_the_same_host() {
    let world = World::start().await;
    let first = Host::join(&world, "chat-1").await;
    let second = first.renew(&world).await.unwrap();
    assert_eq!(second.reply.host, first.reply.host);
    assert!(second.reply.renew_after_secs.unwrap() > 0);
    // Until then the one before goes on, for the agent may not have stored the new one.
    assert!(first.is_welcome(&world).await && first.is_welcome(&world).await);
    assert!(second.is_welcome(&world).await);
    let third = second.renew(&world).await.unwrap();
    assert!(third.is_welcome(&world).await);
    assert_eq!(shown(&world, "chat-1").await.membership, Membership::Active);
}

#[tokio::test]
async fn f16_an_old_certificate_used_after_promotion_locks_the_host_and_raises_an_alarm() {
    let world = World::start().await;
    let first = Host::join(&world, "chat-1").await;
    let second = first.renew(&world).await.unwrap();
    let mut live = Agent::dial(&world, identity(&second.reply, &second.key)).await;
    live.greet(Uuid::new_v4()).await;
    assert!(first.is_rejected(&world, RejectReason::Locked).await);
    let told = live.hear().await;
    let locked = RejectReason::Locked;
    assert!(
        matches!(told, Some(ToAgent::Rejected { reason, .. }) if reason == locked),
        "{told:?}"
    );
    assert!(second.is_rejected(&world, RejectReason::Locked).await);
    let host = shown(&world, "chat-1").await;
    assert_eq!(host.membership, Membership::Locked);
    assert_eq!(host.alarms[0].code, "IDENTITY_COPIED");
    let refused = second.renew(&world).await.err();
    assert_eq!(refused.as_deref(), Some("the host is locked"));
    assert!(world.restart().await.centre.fleet.is_empty());
}

#[tokio::test]
async fn f16_renewing_with_an_old_certificate_locks_the_host_too() {
    let world = World::start().await;
    let first = Host::join(&world, "chat-1").await;
    let second = first.renew(&world).await.unwrap();
    assert!(second.is_welcome(&world).await);
    assert!(first.renew(&world).await.err().unwrap().contains("replaced"));
    assert!(second.is_rejected(&world, RejectReason::Locked).await);
}

#[tokio::test]
async fn f16_a_connection_that_was_under_way_when_its_successor_came_in_locks_nothing() {
    let world = World::start().await;
    let first = Host::join(&world, "chat-1").await;
    let second = first.renew(&world).await.unwrap();
    let certificate = &identity(&first.reply, &first.key).0[0];
    let (cluster, address) = (first.reply.cluster, Ipv4Addr::LOCALHOST.into());
    let peer = Peer::of(certificate, cluster, address).unwrap();
    assert!(second.is_welcome(&world).await);
    let (mut slow, _) = Agent::pipe(&world, peer);
    slow.say(&ToController::Hello(Box::new(hello(Uuid::new_v4()))))
        .await;
    let told = slow.hear().await;
    let superseded = RejectReason::Superseded;
    assert!(
        matches!(told, Some(ToAgent::Rejected { reason, .. }) if reason == superseded),
        "{told:?}"
    );
    assert_eq!(shown(&world, "chat-1").await.membership, Membership::Active);
}

#[tokio::test]
async fn f15_a_crash_before_promotion_locks_nothing_whichever_certificate_the_agent_has() {
    let world = World::start().await;
    let first = Host::join(&world, "chat-1").await;
    // The reply is lost, and the key with it.
    let lost = first.renew(&world).await.unwrap();
    let second = first.renew(&world).await.unwrap();
    assert!(
        lost.is_rejected(&world, RejectReason::Revoked).await,
        "it was replaced unused"
    );
    assert!(first.is_welcome(&world).await && second.is_welcome(&world).await);
    // Stored and never used, when it is renewed again.
    let third = second.renew(&world).await.unwrap();
    let fourth = third.renew(&world).await.unwrap();
    assert!(fourth.is_welcome(&world).await);
    assert_eq!(shown(&world, "chat-1").await.membership, Membership::Active);
}

#[tokio::test]
async fn f07_a_lost_renewal_is_given_again_to_the_same_key_even_after_a_restart() {
    let world = World::start().await;
    let first = Host::join(&world, "chat-1").await;
    let key = key();
    let request = first.request(&key);
    let once = Host::ask(&world, &request).await.unwrap();
    let world = world.restart().await;
    let again = Host::ask(&world, &request).await.unwrap();
    assert_eq!(once.certificate, again.certificate);
    assert!(Host { reply: again, key }.is_welcome(&world).await);
}

#[tokio::test]
async fn a_renewal_without_the_key_of_the_certificate_is_refused_and_says_nothing() {
    let world = World::start().await;
    let (ours, other) = (
        Host::join(&world, "chat-1").await,
        Host::join(&world, "chat-2").await,
    );
    let good = ours.request(&key());
    let stolen = Host {
        reply: ours.reply.clone(),
        key: key(),
    }
    .request(&key());
    let mut elsewhere = good.clone();
    elsewhere.host = other.reply.host;
    let mut swapped = good.clone();
    swapped.csr = ours.request(&key()).csr;
    let mut nobody = good.clone();
    nobody.serial = "41".repeat(16);
    let mut senseless = good.clone();
    senseless.proof = "é0".into();
    for bad in [stolen, elsewhere, swapped, nobody, senseless] {
        let refused = Host::ask(&world, &bad).await.unwrap_err();
        assert!(refused.contains("not signed with the key"), "{refused}");
    }
    let mut unsigned = good.clone();
    unsigned.csr = "none".into();
    assert!(Host::ask(&world, &unsigned).await.is_err());
    // A key that is in use is not certified for another host, nor again for its own.
    let refused = Host::ask(&world, &ours.request(&other.key)).await.unwrap_err();
    assert!(refused.contains("not a new one"), "{refused}");
    assert!(Host::ask(&world, &ours.request(&ours.key)).await.is_err());
    assert!(ours.is_welcome(&world).await);
}
