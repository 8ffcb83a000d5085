//! What an operator does with a host that has joined, and what becomes of its identity.

use crate::agent::{Agent, event, hello, identity, join, key, started};
use crate::deployments::{deploy, deploy_request, finished};
use crate::generations::{Host, shown};
use crate::world::{World, token};
use chatalot_protocol::api::{Deployed, DeploymentView};
use chatalot_protocol::message::{RejectReason, ToAgent, ToController};
use chatalot_protocol::report::DeploymentState;
use chatalotctl::config::Config;
use chatalotctl::model::{HostView, Membership};
use chatalotctl::store::StoreError;
use hyper::StatusCode;
use std::time::{Duration, Instant};
use uuid::Uuid;

async fn told(world: &World, verb: &str) -> Result<HostView, String> {
    let path = format!("/v1/hosts/chat-1/{verb}");
    let (_, answer) = world.command::<_, HostView>("POST", &path, &()).await;
    answer.map_err(|advice| advice["code"].as_str().unwrap().to_owned())
}

/// Makes it as if the certificates of all hosts had ended.
async fn expire(world: &World) {
    let done = world.centre.store.write(|c| {
        c.execute("UPDATE certificates SET not_after_ms = 1", [])?;
        Ok::<_, StoreError>(())
    });
    done.await.unwrap();
}

#[tokio::test]
async fn f12_revoking_cuts_a_live_session_within_a_second_and_keeps_the_host_out() {
    let world = World::start().await;
    let host = Host::join(&world, "chat-1").await;
    let mut live = Agent::dial(&world, identity(&host.reply, &host.key)).await;
    live.greet(Uuid::new_v4()).await;
    let began = Instant::now();
    assert_eq!(
        told(&world, "revoke").await.unwrap().membership,
        Membership::Revoked
    );
    let rejected = live.hear().await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let revoked = RejectReason::Revoked;
    assert!(
        matches!(rejected, Some(ToAgent::Rejected { reason, retry_after_secs: 300 }) if reason == revoked),
        "{rejected:?}"
    );
    assert!(live.hear().await.is_none() && !world.centre.fleet.is_connected(host.reply.host));
    assert!(host.is_rejected(&world, revoked).await);
    assert_eq!(
        host.renew(&world).await.err().as_deref(),
        Some("the host is revoked")
    );
    let world = world.restart().await;
    assert!(host.is_rejected(&world, revoked).await);
}

#[tokio::test]
async fn f12_a_host_that_is_revoked_in_the_middle_of_a_job_gets_no_other_and_is_heard_out_once_it_is_let_in_again()
 {
    let world = World::start().await;
    let host = Host::join(&world, "chat-1").await;
    let epoch = Uuid::new_v4();
    let mut live = Agent::dial(&world, identity(&host.reply, &host.key)).await;
    live.greet(epoch).await;
    let id = deploy(&world, "chat-1").await;
    assert!(matches!(live.hear().await, Some(ToAgent::Job(job)) if job.id == id));
    live.events(vec![event(1, id, started())]).await;
    live.hear_acked(1).await;

    let began = Instant::now();
    told(&world, "revoke").await.unwrap();
    while live.hear().await.is_some() {}
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let path = "/v1/hosts/chat-1/deployments";
    let (status, refused) = world
        .command::<_, Deployed>("POST", path, &deploy_request())
        .await;
    assert_eq!(
        (status, &refused.unwrap_err()["code"]),
        (StatusCode::CONFLICT, &"HOST_KEPT_OUT".into())
    );
    assert!(host.is_rejected(&world, RejectReason::Revoked).await);
    let path = format!("/v1/deployments/{id}");
    let state = async || world.get::<DeploymentView>(&path).await.1.unwrap().state;
    assert_eq!(
        state().await,
        DeploymentState::Running,
        "what goes on there nobody knows"
    );

    // The host has gone on by itself, and tells how it ended.
    told(&world, "readmit").await.unwrap();
    let back = host.renew(&world).await.unwrap();
    let mut live = Agent::dial(&world, identity(&back.reply, &back.key)).await;
    live.greet(epoch).await;
    live.events(vec![event(2, id, finished(DeploymentState::Succeeded))])
        .await;
    live.hear_acked(2).await;
    assert_eq!(state().await, DeploymentState::Succeeded);
}

#[tokio::test]
async fn f12_revoking_ends_what_is_queued_and_says_why() {
    let world = World::start().await;
    let host = Host::join(&world, "chat-1").await;
    let (id, host_id) = (Uuid::now_v7(), host.reply.host);
    let queued = world.centre.store.write(move |c| {
        c.execute(
            "INSERT INTO deployments (id, host, domain, plan, requested_by, created_ms, not_after_ms, state)
             VALUES (?1, ?2, 'chat.example.com', '', 'test', 1, 9000000000000, 'queued')",
            (id.as_bytes(), host_id.0.as_bytes()),
        )?;
        Ok::<_, StoreError>(())
    });
    queued.await.unwrap();
    told(&world, "revoke").await.unwrap();
    let path = format!("/v1/deployments/{id}");
    let view = world.get::<serde_json::Value>(&path).await.1.unwrap();
    assert_eq!(
        (&view["state"], &view["advice"]["code"]),
        (&"cancelled".into(), &"HOST_REVOKED".into())
    );
}

#[tokio::test]
async fn f14_a_host_whose_certificate_has_expired_stays_out_and_one_command_readmits_it_once() {
    let world = World::start().await;
    let host = Host::join(&world, "chat-1").await;
    assert_eq!(told(&world, "readmit").await.unwrap_err(), "HOST_NOT_KEPT_OUT");
    expire(&world).await;
    assert_eq!(
        host.renew(&world).await.err().as_deref(),
        Some("the certificate has expired")
    );
    assert!(told(&world, "readmit").await.unwrap().readmit_until_ms.is_some());
    let key = key();
    let request = host.request(&key);
    let back = Host::ask(&world, &request).await.unwrap();
    assert_eq!(back.host, host.reply.host);
    // The reply may have been lost.
    let again = Host::ask(&world, &request).await.unwrap();
    assert_eq!(again.certificate, back.certificate);
    assert!(host.renew(&world).await.is_err(), "once");
    let back = Host { reply: back, key };
    assert!(back.is_welcome(&world).await);
    assert!(host.is_rejected(&world, RejectReason::Revoked).await);
    assert!(
        back.is_welcome(&world).await,
        "the key before is worth nothing, and locks nothing"
    );
}

#[tokio::test]
async fn f14_a_revoked_or_locked_host_comes_back_with_its_key_within_the_time_and_not_after() {
    let world = World::start().await;
    let first = Host::join(&world, "chat-1").await;
    told(&world, "revoke").await.unwrap();
    told(&world, "readmit").await.unwrap();
    let late = world.centre.store.write(|c| {
        c.execute("UPDATE hosts SET readmit_until_ms = 1", [])?;
        Ok::<_, StoreError>(())
    });
    late.await.unwrap();
    assert!(first.renew(&world).await.is_err());
    told(&world, "readmit").await.unwrap();
    assert!(
        first.is_rejected(&world, RejectReason::Revoked).await,
        "not before it has asked"
    );
    let second = first.renew(&world).await.unwrap();
    assert!(second.is_welcome(&world).await);
    let third = second.renew(&world).await.unwrap();
    assert!(third.is_welcome(&world).await);
    assert!(second.is_rejected(&world, RejectReason::Locked).await);
    told(&world, "readmit").await.unwrap();
    let fourth = third.renew(&world).await.unwrap();
    assert!(fourth.is_welcome(&world).await);
    assert_eq!(shown(&world, "chat-1").await.membership, Membership::Active);
}

#[tokio::test]
async fn a_renamed_host_keeps_its_id_its_session_and_no_other_hosts_name() {
    let world = World::start().await;
    let host = Host::join(&world, "chat-1").await;
    Host::join(&world, "chat-2").await;
    let rename = |to: &str| serde_json::json!({ "to": to });
    let (status, taken) = world
        .command::<_, HostView>("POST", "/v1/hosts/chat-1/rename", &rename("chat-2"))
        .await;
    assert_eq!(
        (status, &taken.unwrap_err()["code"]),
        (StatusCode::CONFLICT, &"NAME_TAKEN".into())
    );
    let (_, renamed) = world
        .command::<_, HostView>("POST", "/v1/hosts/chat-1/rename", &rename("chat-3"))
        .await;
    assert_eq!(renamed.unwrap().id, host.reply.host);
    assert!(host.is_welcome(&world).await);
    let anew = Host::join(&world, "chat-1").await;
    assert_ne!(anew.reply.host, host.reply.host);
}

#[tokio::test]
async fn an_invited_host_that_is_revoked_cannot_use_its_token() {
    let world = World::start().await;
    let added = world.add("chat-1").await;
    assert_eq!(
        told(&world, "revoke").await.unwrap().membership,
        Membership::Invited
    );
    assert!(join(&world, &token(&added), &key()).await.is_none());
    assert_eq!(told(&world, "readmit").await.unwrap_err(), "HOST_NOT_CONNECTED");
}

#[tokio::test]
async fn f06_the_loser_of_two_hosts_with_one_token_raises_an_alarm() {
    let world = World::start().await;
    let token = token(&world.add("chat-1").await);
    assert!(join(&world, &token, &key()).await.is_some());
    assert!(shown(&world, "chat-1").await.alarms.is_empty());
    assert!(join(&world, &token, &key()).await.is_none());
    assert!(join(&world, &token, &key()).await.is_none());
    let alarms = shown(&world, "chat-1").await.alarms;
    assert_eq!((alarms.len(), &*alarms[0].code), (1, "TOKEN_USED_TWICE"));
}

#[tokio::test]
async fn f17_two_machines_with_one_identity_are_noticed_and_a_reboot_is_not() {
    let world = World::start().await;
    let host = Host::join(&world, "chat-1").await;
    let boots = |boots: &'static [&'static str]| {
        let (world, host) = (&world, &host);
        async move {
            for boot in boots {
                let mut agent = Agent::dial(world, identity(&host.reply, &host.key)).await;
                let mut hello = hello(Uuid::new_v4());
                (*boot).clone_into(&mut hello.boot_id);
                agent.say(&ToController::Hello(Box::new(hello))).await;
                agent.hear().await.unwrap();
            }
            shown(world, "chat-1").await.alarms
        }
    };
    assert_eq!(boots(&["a", "a", "b", "b", "c", ""]).await, []);
    let alarms = boots(&["d", "e", "d", "e"]).await;
    assert_eq!((alarms.len(), &*alarms[0].code), (1, "TWO_MACHINES"));
}

#[tokio::test]
async fn the_agents_own_keeper_renews_in_time_again_and_again_and_comes_back_when_it_is_readmitted() {
    use chatalot_agent::host::linux::{self, LinuxHost};
    use chatalot_agent::link::{identity as agents, join as joining, renewal::Keeper};
    let folder = tempfile::tempdir().unwrap();
    let short = |config: &mut Config| config.certificate_life = Duration::from_secs(3);
    let world = World::start_with(folder, short).await;
    let (state, host) = (
        tempfile::tempdir().unwrap(),
        std::sync::Arc::new(LinuxHost::new(linux::Config::default())),
    );
    let token = token(&world.add("chat-1").await);
    let address = world.address.to_string();
    joining::join(&host, state.path(), &address, &token)
        .await
        .unwrap();
    let keeper = Keeper::new(host, state.path().to_owned());
    let (stop, mut changes) = (tokio_util::sync::CancellationToken::new(), keeper.changes());
    let running = tokio::spawn(keeper.clone().run(stop.clone()));
    let stream = keeper.identity().unwrap().membership.stream;
    let mut serials = std::collections::BTreeSet::new();
    for _ in 0..3 {
        tokio::time::timeout(Duration::from_secs(20), changes.changed())
            .await
            .expect("it is renewed")
            .unwrap();
        let now = agents::load(state.path()).unwrap().unwrap();
        serials.insert(now.chain[0].to_vec());
        assert_eq!(
            now.membership.stream, stream,
            "the events are those of the same stream"
        );
        let told = crate::agent::knocks(&world, (now.chain, now.key)).await;
        assert!(matches!(told, Some(ToAgent::Welcome(_))), "{told:?}");
    }
    assert_eq!(serials.len(), 3);
    stop.cancel();
    running.await.unwrap();
    told(&world, "revoke").await.unwrap();
    assert!(keeper.renew().await.is_err());
    told(&world, "readmit").await.unwrap();
    keeper.renew().await.unwrap();
    let now = keeper.identity().unwrap();
    let told = crate::agent::knocks(&world, (now.chain, now.key)).await;
    assert!(matches!(told, Some(ToAgent::Welcome(_))), "{told:?}");
}
