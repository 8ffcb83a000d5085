//! The controller is lost, and comes back from its backup: elsewhere, with every agent, and without doing anything twice.

use crate::agent::{Agent, joined};
use crate::deployments::{deploy, deploy_request};
use crate::generations::Host;
use crate::world::World;
use chatalot_protocol::api::DeploymentView;
use chatalot_protocol::message::{RejectReason, ToAgent, ToController};
use chatalot_protocol::report::DeploymentState;
use chatalotctl::access::Role;
use chatalotctl::backup::{self, BackupError};
use hyper::StatusCode;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use uuid::Uuid;

#[tokio::test]
async fn f33_a_lost_controller_comes_back_elsewhere_with_every_agent_a_higher_epoch_and_no_job_twice() {
    let world = World::start_with(tempfile::tempdir().unwrap(), |config| {
        config.address = Some("ctl.example.com:8443".into());
        config.standby = vec!["standby.example.com:8443".into()];
    })
    .await;
    let (_, one) = joined(&world, "chat-1").await;
    let (_, two) = joined(&world, "chat-2").await;
    let (life, pin, old) = (Uuid::new_v4(), world.pin(), world.address);
    let mut agent = Agent::dial(&world, (one.0.clone(), one.1.clone_key())).await;
    let welcome = agent.greet(life).await;
    assert_eq!(
        welcome.addresses,
        ["ctl.example.com:8443", "standby.example.com:8443"]
    );
    let waiting = deploy(&world, "chat-2").await;
    let token = world.token("alice", Role::Admin, json!({})).await;
    let invitation = world.add("chat-3").await;
    // Taken while it runs.
    let bytes = backup::take(&world.centre.config.state).unwrap();
    let secret = deploy_request().order.secrets.registry_token.unwrap();
    assert!(
        !contains(&bytes, secret.expose().as_bytes()),
        "no secret of a site"
    );
    drop(world.stop().await);

    let elsewhere = tempfile::tempdir().unwrap();
    let done = backup::restore(&bytes, &elsewhere.path().join("state"), false).unwrap();
    assert_eq!((done.hosts, done.jobs_ended, done.tokens_ended), (2, 1, 1));
    let world = World::start_with(elsewhere, |_| ()).await;
    assert_ne!(world.address, old);
    assert_eq!(world.pin(), pin, "the pin that agents and tokens know");
    for identity in [one, two] {
        let mut agent = Agent::dial(&world, identity).await;
        let welcome = agent.greet(life).await;
        assert!(welcome.epoch > 1 && welcome.epoch == done.epoch);
        agent.say(&ToController::Ping { n: 1 }).await;
        // The job that waited would have come first.
        assert_eq!(agent.hear().await, Some(ToAgent::Pong { n: 1 }));
    }
    let (_, view) = world
        .get::<DeploymentView>(&format!("/v1/deployments/{waiting}"))
        .await;
    let view = view.unwrap();
    assert_eq!(view.state, DeploymentState::Refused);
    assert_eq!(view.advice.unwrap().code, "CONTROLLER_RESTORED");
    assert_eq!(
        world.remote(&token, "GET", "/v1/hosts", &()).await.0,
        StatusCode::UNAUTHORIZED
    );
    let used = crate::agent::join(&world, &crate::world::token(&invitation), &crate::agent::key()).await;
    assert!(used.is_none(), "an invitation from before is worth nothing");
    // The record goes on, and says what happened.
    assert!(world.audit().await.iter().any(|entry| entry.action == "restore"));
}

#[tokio::test]
async fn f33_a_host_that_has_renewed_since_the_backup_comes_back_and_its_certificate_before_does_not() {
    let world = World::start().await;
    let before = Host::join(&world, "chat-1").await;
    let revoked = Host::join(&world, "chat-2").await;
    let outdated = Host::join(&world, "chat-3").await;
    let late = outdated.renew(&world).await.unwrap();
    assert!(late.is_welcome(&world).await);
    let path = "/v1/hosts/chat-2/revoke";
    assert!(
        world
            .command::<_, serde_json::Value>("POST", path, &())
            .await
            .0
            .is_success()
    );
    let bytes = backup::take(&world.centre.config.state).unwrap();
    let since = before.renew(&world).await.unwrap();
    assert!(since.is_welcome(&world).await);
    drop(world.stop().await);

    let elsewhere = tempfile::tempdir().unwrap();
    backup::restore(&bytes, &elsewhere.path().join("state"), false).unwrap();
    let world = World::start_with(elsewhere, |_| ()).await;
    assert!(since.is_welcome(&world).await && since.is_welcome(&world).await);
    assert!(
        late.is_welcome(&world).await,
        "what was in force at the backup is so now"
    );
    assert!(revoked.is_rejected(&world, RejectReason::Revoked).await);
    let next = since.renew(&world).await.unwrap();
    assert!(next.is_welcome(&world).await);
    assert!(before.is_rejected(&world, RejectReason::Locked).await);
}

#[tokio::test]
async fn a_backup_that_is_restored_twice_gives_two_epochs_and_one_that_keeps_tokens_says_so() {
    let world = World::start().await;
    let token = world.token("alice", Role::Admin, json!({})).await;
    let bytes = backup::take(&world.centre.config.state).unwrap();
    drop(world.stop().await);
    let elsewhere = tempfile::tempdir().unwrap();
    let first = backup::restore(&bytes, &elsewhere.path().join("state"), true).unwrap();
    assert_eq!(first.tokens_ended, 0);
    let world = World::start_with(elsewhere, |_| ()).await;
    assert_eq!(
        world.remote(&token, "GET", "/v1/hosts", &()).await.0,
        StatusCode::OK
    );
    let again = backup::take(&world.centre.config.state).unwrap();
    let third = tempfile::tempdir().unwrap();
    let second = backup::restore(&again, &third.path().join("state"), true).unwrap();
    assert!(second.epoch > first.epoch);
}

#[tokio::test]
async fn f51_a_backup_with_any_bit_flipped_or_cut_short_is_refused_and_leaves_nothing() {
    let world = World::start().await;
    let bytes = backup::take(&world.centre.config.state).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let step = bytes.len() / 97;
    for at in (0..120).chain((0..bytes.len()).step_by(step)) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        let refused = backup::restore(&flipped, &state, false);
        assert!(matches!(refused, Err(BackupError::Damaged(_))), "{at}");
    }
    for length in (0..bytes.len()).step_by(step) {
        assert!(
            backup::restore(&bytes[..length], &state, false).is_err(),
            "{length}"
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_backup_is_for_its_owner_alone_and_replaces_nothing() {
    let world = World::start().await;
    let state = world.centre.config.state.clone();
    let bytes = backup::take(&state).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backup");
    backup::keep(&bytes, &path).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(matches!(backup::keep(&bytes, &path), Err(BackupError::Exists(_))));
    assert!(matches!(
        backup::restore(&bytes, &state, false),
        Err(BackupError::NotEmpty(_))
    ));
    assert!(matches!(
        backup::take(folder.path()),
        Err(BackupError::NoState(_))
    ));
    let left = std::fs::read_dir(&state).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("backup")
    });
    assert_eq!(left.count(), 0);
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}
