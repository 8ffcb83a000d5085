//! Row 18: a rotation that is cut off anywhere, or restored from a backup, is in one phase or in the next.

use crate::agent::knocks;
use crate::generations::Host;
use crate::real::RealAgent;
use crate::world::World;
use chatalotctl::access::Role;
use chatalotctl::backup;
use chatalotctl::centre::Centre;
use chatalotctl::clock::now_ms;
use chatalotctl::rotation::{self, Phase, Step};
use chatalotctl::store::rotation as kept;
use hyper::StatusCode;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

/// Every step, and those that go before it.
const PATHS: [&[Step]; 7] = [
    &[Step::Publish],
    &[Step::Publish, Step::IssueNew],
    &[Step::Publish, Step::IssueNew, Step::ServeNew],
    &[Step::Publish, Step::IssueNew, Step::ServeNew, Step::DropOld],
    &[Step::Publish, Step::Rollback],
    &[Step::Publish, Step::IssueNew, Step::Rollback],
    &[Step::Publish, Step::IssueNew, Step::ServeNew, Step::Rollback],
];

fn files(state: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(state.join("ca")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Makes what a step takes; writes it down where the crash comes after that. The rest of the step does not happen.
async fn begin(centre: &Arc<Centre>, step: Step, is_kept: bool) {
    let before = centre.authority.now();
    let after = before.rotation.after(step, now_ms()).unwrap();
    let standing = centre
        .authority
        .prepare(&before, after, centre.cluster.id)
        .unwrap();
    if is_kept {
        let keep = move |c: &rusqlite::Connection| kept::keep(c, &after, &standing.bundle);
        centre.store.write(keep).await.unwrap();
    }
}

#[tokio::test]
async fn f18_a_step_that_is_cut_off_was_taken_or_was_not() {
    for path in PATHS {
        let (last, before) = path.split_last().unwrap();
        for is_kept in [false, true] {
            let mut world = World::start().await;
            for step in before {
                world.centre.turn(*step).await.unwrap();
            }
            let (was, state) = (world.ca().await, world.centre.config.state.clone());
            let (names, cluster) = (files(&state), world.centre.cluster.id);
            begin(&world.centre, *last, is_kept).await;
            world = world.restart().await;
            let now = world.ca().await;
            assert_eq!(
                now.phase != was.phase || now.root != was.root,
                is_kept,
                "{path:?}"
            );
            assert!(is_kept || (now == was && files(&state) == names), "{path:?}");
            assert_eq!(world.centre.cluster.id, cluster);
            // It goes on from there, and hosts join and come in.
            if !is_kept {
                world.step(*last).await.unwrap();
            }
            world
                .ca_becomes("a way back ends", |view| view.phase != Phase::Back)
                .await;
            let host = Host::join(&world, "chat-1").await;
            assert!(host.is_welcome(&world).await, "{path:?}");
            let bundle = world.centre.authority.now().bundle.clone();
            world = world.restart().await;
            assert_eq!(world.centre.authority.now().bundle, bundle, "signed once");
            assert!(host.is_welcome(&world).await, "{path:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_a_controller_and_an_agent_that_are_started_again_between_all_phases_go_on() {
    let mut world = World::start().await;
    let mut agent = RealAgent::new(&world, "chat-1").await;
    for step in [Step::Publish, Step::IssueNew, Step::ServeNew, Step::DropOld] {
        world
            .ca_becomes("nobody holds it up", |view| view.stragglers.is_empty())
            .await;
        world.step(step).await.unwrap();
        agent.stop().await;
        let address = world.address;
        world = world.restart_with(|config| config.listen = address).await;
        agent.start();
        agent.is_connected(&world).await;
    }
    let roots = world.centre.authority.now();
    agent
        .becomes("trusts the new root alone", |identity| {
            identity.authorities == [roots.root.certificate.clone()]
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_a_backup_of_any_phase_makes_a_controller_that_goes_on_with_it() {
    for reached in 0..=4 {
        let mut world = World::start().await;
        let mut agent = RealAgent::new(&world, "chat-1").await;
        let steps = [Step::Publish, Step::IssueNew, Step::ServeNew, Step::DropOld];
        for step in &steps[..reached] {
            world
                .ca_becomes("nobody holds it up", |view| view.stragglers.is_empty())
                .await;
            world.step(*step).await.unwrap();
        }
        let (was, address) = (world.ca().await, world.address);
        let bytes = backup::take(&world.centre.config.state).unwrap();
        if reached == 1 {
            // What happens after the backup is not forgotten by the host.
            for step in &steps[1..] {
                world
                    .ca_becomes("nobody holds it up", |view| view.stragglers.is_empty())
                    .await;
                world.step(*step).await.unwrap();
            }
            agent
                .becomes("has dropped the old root", |identity| {
                    identity.authorities.len() == 1
                })
                .await;
        }
        agent.stop().await;
        drop(world.stop().await);
        let elsewhere = tempfile::tempdir().unwrap();
        backup::restore(&bytes, &elsewhere.path().join("state"), false).unwrap();
        world = World::start_with(elsewhere, |config| config.listen = address).await;
        let now = world.ca().await;
        assert_eq!(
            (now.phase, &now.root, &now.next),
            (was.phase, &was.root, &was.next)
        );
        let is_midway = now.phase != Phase::Standby;
        assert_eq!(now.version > was.version, is_midway, "news to whoever knows more");
        agent.start();
        agent.is_connected(&world).await;
        for step in &steps[reached..] {
            world
                .ca_becomes("nobody holds it up", |view| view.stragglers.is_empty())
                .await;
            world.step(*step).await.unwrap();
        }
        let roots = world.centre.authority.now();
        assert_eq!(roots.root.number, 2);
        agent
            .becomes("trusts the new root alone", |identity| {
                identity.authorities == [roots.root.certificate.clone()]
            })
            .await;
        agent.is_connected(&world).await;
    }
}

#[tokio::test]
async fn f18_a_missing_file_of_a_rotation_is_told_and_none_is_made_in_its_place() {
    let world = World::start().await;
    world.step(Step::Publish).await.unwrap();
    let (status, _) = world.get::<serde_json::Value>("/v1/ca").await;
    assert_eq!(status, StatusCode::OK);
    let folder = world.stop().await;
    let config = crate::world::config(folder.path());
    for name in ["root.key", "root-2.key", "bridge-2-1.pem", "next.key"] {
        let path = config.state.join("ca").join(name);
        let kept = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let refused = Centre::open(config.clone()).await.err().unwrap();
        assert!(refused.to_string().contains("is missing"), "{name}: {refused}");
        assert!(!path.exists(), "{name}");
        std::fs::write(&path, kept).unwrap();
    }
    Centre::open(config).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_a_root_in_other_hands_is_replaced_at_once_and_every_host_joins_again_as_what_it_was() {
    let world = World::start().await;
    let mut agent = RealAgent::new(&world, "chat-1").await;
    let was = agent.is_connected(&world).await;
    let (stolen, address) = (world.centre.authority.now(), world.address);
    let token = world.token("alice", Role::Admin, json!({})).await;
    let state = world.centre.config.state.clone();
    let running = rotation::replace(&state).await.unwrap_err();
    assert!(
        running.to_string().contains("another `chatalotctl serve`"),
        "{running}"
    );
    agent.stop().await;
    let folder = world.stop().await;
    let root = rotation::replace(&state).await.unwrap();
    assert_eq!((root.number, files(&state).len()), (2, 5));
    let world = World::start_with(folder, |config| config.listen = address).await;
    assert_eq!(world.ca().await.root, root);
    let (now, before) = (world.centre.authority.now(), agent.identity());
    assert!(!crate::rotation::takes_for_its_controller(&before, &now).await);
    let pins = now.curl_pins();
    assert!(
        stolen.curl_pins().split(';').all(|pin| !pins.contains(pin)),
        "the next key was stolen as well"
    );
    assert_eq!(knocks(&world, (before.chain, before.key)).await, None);
    assert_eq!(
        world.remote(&token, "GET", "/v1/hosts", &()).await.0,
        StatusCode::UNAUTHORIZED
    );
    agent.join_again(&world).await;
    agent.start();
    let is = agent.is_connected(&world).await;
    assert_eq!((is.id, is.name), (was.id, was.name));
    assert!(crate::rotation::takes_for_its_controller(&agent.identity(), &now).await);
    assert!(!crate::rotation::takes_for_its_controller(&agent.identity(), &stolen).await);
    assert!(
        world
            .audit()
            .await
            .iter()
            .any(|entry| entry.action == "ca.replace")
    );
}
