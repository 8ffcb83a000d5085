//! What somebody else has to approve: kept, carried out once, in the name of whoever asked.

use crate::agent::joined;
use crate::deployments::deploy_request;
use crate::world::World;
use chatalot_protocol::api::DeployRequest;
use chatalot_protocol::work::Work;
use chatalotctl::access::Role;
use chatalotctl::store::StoreError;
use hyper::StatusCode;
use serde_json::{Value, json};

const DEPLOY: &str = "/v1/hosts/chat-1/deployments";

async fn guarded() -> (World, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_with(folder, |config| config.approval_by = Some(Role::Approve)).await;
    joined(&world, "chat-1").await;
    let alice = world
        .token("alice", Role::Approve, json!({"host": "chat-1"}))
        .await;
    let bob = world.token("bob", Role::Approve, json!({})).await;
    (world, alice, bob)
}

async fn asked(world: &World, token: &str) -> String {
    let (status, advice) = world.remote(token, "POST", DEPLOY, &deploy_request()).await;
    assert_eq!(
        (status, &advice["code"]),
        (StatusCode::ACCEPTED, &json!("APPROVAL_PENDING"))
    );
    let (_, all) = world.remote(token, "GET", "/v1/approvals", &()).await;
    all[0]["id"].as_str().unwrap().to_owned()
}

fn held(world: &World) -> usize {
    std::fs::read_dir(world.centre.config.state.join("held"))
        .unwrap()
        .count()
}

#[tokio::test]
async fn a_deployment_waits_until_somebody_else_approves_it_and_is_then_done_once() {
    let (world, alice, bob) = guarded().await;
    let id = asked(&world, &alice).await;
    assert_eq!(held(&world), 1);
    let world = world
        .restart_with(|config| config.approval_by = Some(Role::Approve))
        .await;
    let approve = format!("/v1/approvals/{id}/approve");
    let (status, advice) = world.remote(&alice, "POST", &approve, &()).await;
    assert_eq!(
        (status, &advice["code"]),
        (StatusCode::FORBIDDEN, &json!("APPROVAL_BY_ANOTHER"))
    );
    let (status, view) = world.remote(&bob, "POST", &approve, &()).await;
    assert_eq!(
        (status, &view["state"], &view["status"]),
        (StatusCode::OK, &json!("done"), &json!(201)),
        "{view}"
    );
    assert_eq!(held(&world), 0);
    let deployment = view["answer"]["deployment"].as_str().unwrap();
    let (status, _) = world
        .remote(&alice, "GET", &format!("/v1/deployments/{deployment}"), &())
        .await;
    assert_eq!(status, StatusCode::OK);
    let (status, advice) = world.remote(&bob, "POST", &approve, &()).await;
    assert_eq!(
        (status, &advice["code"]),
        (StatusCode::CONFLICT, &json!("APPROVAL_OVER")),
        "{advice}"
    );
    let who = world.centre.store.read(|c| {
        Ok::<_, StoreError>(c.query_row("SELECT requested_by FROM deployments", [], |row| {
            row.get::<_, String>(0)
        })?)
    });
    let who = who.await.unwrap();
    assert!(
        who.starts_with("alice (token ") && who.contains("approved by bob (token "),
        "{who}"
    );
    let done = world
        .audit()
        .await
        .into_iter()
        .rfind(|e| e.action == "deploy")
        .unwrap();
    assert_eq!(
        (done.by.as_str(), done.verdict.as_str(), done.detail.as_str()),
        ("alice", "done", deployment)
    );
    assert!(done.plan.is_some());
}

#[tokio::test]
async fn a_request_ends_when_it_is_rejected_its_time_is_over_or_its_asker_is_gone() {
    let (world, alice, bob) = guarded().await;
    let id = asked(&world, &alice).await;
    let (_, view) = world
        .remote(&bob, "POST", &format!("/v1/approvals/{id}/reject"), &())
        .await;
    assert_eq!((&view["state"], held(&world)), (&json!("rejected"), 0));

    let id = asked(&world, &alice).await;
    let age = world.centre.store.write(|c| {
        c.execute("UPDATE approvals SET expires_ms = 1 WHERE state = 'pending'", [])?;
        Ok::<_, StoreError>(())
    });
    age.await.unwrap();
    let (_, advice) = world
        .remote(&bob, "POST", &format!("/v1/approvals/{id}/approve"), &())
        .await;
    assert_eq!(
        (&advice["code"], held(&world)),
        (&json!("APPROVAL_OVER"), 0),
        "{advice}"
    );
    let (_, view) = world
        .remote(&bob, "GET", &format!("/v1/approvals/{id}"), &())
        .await;
    assert_eq!(view["state"], "expired");

    let id = asked(&world, &alice).await;
    let (status, _) = world
        .command::<_, Value>("POST", "/v1/tokens/alice/revoke", &())
        .await;
    assert_eq!(status, StatusCode::OK);
    let (_, advice) = world
        .remote(&bob, "POST", &format!("/v1/approvals/{id}/approve"), &())
        .await;
    assert_eq!(advice["code"], "REQUESTER_GONE");
    let count = world.centre.store.read(|c| {
        Ok::<_, StoreError>(c.query_row("SELECT count(*) FROM deployments", [], |row| row.get::<_, i64>(0))?)
    });
    assert_eq!(count.await.unwrap(), 0);
}

#[tokio::test]
async fn the_socket_is_one_person_and_reading_waits_for_nobody() {
    let (world, _, bob) = guarded().await;
    let (status, _) = world.command::<_, Value>("POST", DEPLOY, &deploy_request()).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let (_, all) = world.get::<Vec<Value>>("/v1/approvals").await;
    let id = all.unwrap()[0]["id"].as_str().unwrap().to_owned();
    let (status, _) = world
        .command::<_, Value>("POST", &format!("/v1/approvals/{id}/approve"), &())
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(
        world.remote(&bob, "GET", "/v1/hosts", &()).await.0,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_second_approver_is_needed_for_what_cannot_be_taken_back_and_for_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_with(folder, |config| config.second_approver = Some(Role::Admin)).await;
    joined(&world, "chat-1").await;
    let bob = world.token("bob", Role::Approve, json!({})).await;
    for work in [Work::Uninstall, Work::UninstallWithData] {
        let request = DeployRequest {
            work,
            ..deploy_request()
        };
        let (status, advice) = world.remote(&bob, "POST", DEPLOY, &request).await;
        assert_eq!(
            (status, &advice["code"]),
            (StatusCode::ACCEPTED, &json!("APPROVAL_PENDING"))
        );
    }
    let (_, all) = world.get::<Vec<Value>>("/v1/approvals").await;
    let all = all.unwrap();
    assert_eq!(
        (&all[0]["action"], &all[0]["needs"]),
        (&json!("uninstall_with_data"), &json!("admin"))
    );
    // The role that is asked for is the one that counts.
    let carol = world.token("carol", Role::Approve, json!({})).await;
    let approve = format!("/v1/approvals/{}/approve", all[0]["id"].as_str().unwrap());
    assert_eq!(
        world.remote(&carol, "POST", &approve, &()).await.0,
        StatusCode::FORBIDDEN
    );
    let (status, view) = world.command::<_, Value>("POST", &approve, &()).await;
    let view = view.unwrap();
    assert_eq!((status, &view["status"]), (StatusCode::OK, &json!(201)), "{view}");
    let cancel = format!(
        "/v1/deployments/{}/cancel",
        view["answer"]["deployment"].as_str().unwrap()
    );
    assert_eq!(world.remote(&bob, "POST", &cancel, &()).await.0, StatusCode::OK);
    assert_eq!(
        world.remote(&bob, "POST", DEPLOY, &deploy_request()).await.0,
        StatusCode::CREATED
    );
}
