//! Deployments on their way to the host.

use crate::agent::{Agent, event, joined, started};
use crate::world::World;
use chatalot_protocol::api::{DeployRequest, Deployed, DeploymentView};
use chatalot_protocol::event::What;
use chatalot_protocol::inputs::Inputs;
use chatalot_protocol::message::{Order, ToAgent};
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::plan::PlanHash;
use chatalot_protocol::report::DeploymentState;
use chatalot_protocol::secret::Secret;
use chatalot_protocol::work::Work;
use chatalotctl::store::deployments;
use hyper::StatusCode;
use std::collections::BTreeMap;
use std::path::Path;
use uuid::Uuid;

pub(crate) fn deploy_request() -> DeployRequest {
    let inputs = Inputs {
        domain: Some("chat.example.com".into()),
        admin_username: Some("alice".into()),
        registry_user: Some("robot".into()),
        registry_token: Some(Secret::new("hunter2-hunter2")),
        ..Inputs::default()
    };
    let (site, secrets) = inputs.complete().unwrap();
    DeployRequest {
        order: Order { site, secrets },
        plan: PlanHash::of(&[7; 32]),
        work: Work::Deploy,
    }
}

pub(crate) async fn deploy(world: &World, name: &str) -> DeploymentId {
    let path = format!("/v1/hosts/{name}/deployments");
    let (status, deployed) = world
        .command::<_, Deployed>("POST", &path, &deploy_request())
        .await;
    assert_eq!(status, StatusCode::CREATED);
    deployed.unwrap().deployment
}

async fn view(world: &World, id: DeploymentId) -> DeploymentView {
    world.get(&format!("/v1/deployments/{id}")).await.1.unwrap()
}

pub(crate) fn finished(state: DeploymentState) -> What {
    What::DeploymentFinished {
        state,
        advice: None,
        diagnosis: Vec::new(),
        values: BTreeMap::from([("public_url".into(), "https://chat.example.com".into())]),
        handover: None,
    }
}

fn contains(folder: &Path, needle: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return contains(&path, needle);
        }
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes
            .windows(needle.len())
            .any(|window| window == needle.as_bytes())
    })
}

#[tokio::test]
async fn f34_a_job_is_sent_again_until_its_first_event_and_its_secrets_go_with_it() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let id = deploy(&world, "chat-1").await;
    let epoch = Uuid::new_v4();
    let mut world = world;
    for _ in 0..2 {
        let (mut agent, _) = Agent::pipe(&world, peer);
        agent.greet(epoch).await;
        let Some(ToAgent::Job(job)) = agent.hear().await else {
            panic!("no job")
        };
        assert_eq!(job.id, id);
        let secret = job.order.secrets.registry_token.unwrap();
        assert_eq!(secret.expose(), "hunter2-hunter2");
        drop(agent);
        world = world.restart().await;
    }
    assert!(contains(&world.centre.config.state, "hunter2-hunter2"));
    let (mut agent, _) = Agent::pipe(&world, peer);
    agent.greet(epoch).await;
    assert!(matches!(agent.hear().await, Some(ToAgent::Job(_))));
    assert_eq!(view(&world, id).await.state, DeploymentState::Queued);
    agent.events(vec![event(1, id, started())]).await;
    agent.hear_acked(1).await;
    assert_eq!(view(&world, id).await.state, DeploymentState::Running);
    assert!(!contains(&world.centre.config.state, "hunter2-hunter2"));
    agent
        .events(vec![event(2, id, finished(DeploymentState::Succeeded))])
        .await;
    agent.hear_acked(2).await;
    let view = view(&world, id).await;
    assert_eq!(view.state, DeploymentState::Succeeded);
    assert_eq!(view.values["public_url"], "https://chat.example.com");
    assert_eq!(view.host.as_deref(), Some("chat-1"));
}

#[tokio::test]
async fn a_connected_host_gets_its_job_at_once_and_only_one_at_a_time() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (mut agent, _) = Agent::pipe(&world, peer);
    agent.greet(Uuid::new_v4()).await;
    let id = deploy(&world, "chat-1").await;
    assert!(matches!(agent.hear().await, Some(ToAgent::Job(job)) if job.id == id));
    let path = "/v1/hosts/chat-1/deployments";
    let (status, refused) = world
        .command::<_, Deployed>("POST", path, &deploy_request())
        .await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(refused.unwrap_err()["code"], "DEPLOYMENT_RUNNING");
}

#[tokio::test]
async fn f45_a_deployment_that_was_never_sent_is_cancelled_at_once_and_a_sent_one_by_its_host() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let unsent = deploy(&world, "chat-1").await;
    let cancel = |id| format!("/v1/deployments/{id}/cancel");
    let (_, cancelled) = world
        .command::<_, DeploymentView>("POST", &cancel(unsent), &())
        .await;
    assert_eq!(cancelled.unwrap().state, DeploymentState::Cancelled);
    assert!(!contains(&world.centre.config.state, "hunter2-hunter2"));
    let (mut agent, _) = Agent::pipe(&world, peer);
    agent.greet(Uuid::new_v4()).await;
    let sent = deploy(&world, "chat-1").await;
    assert!(matches!(agent.hear().await, Some(ToAgent::Job(job)) if job.id == sent));
    let (_, cancelled) = world
        .command::<_, DeploymentView>("POST", &cancel(sent), &())
        .await;
    assert_eq!(cancelled.unwrap().state, DeploymentState::Queued);
    assert_eq!(agent.hear().await, Some(ToAgent::Cancel { deployment: sent }));
    agent
        .events(vec![event(1, sent, finished(DeploymentState::Cancelled))])
        .await;
    agent.hear_acked(1).await;
    let (_, again) = world
        .command::<_, DeploymentView>("POST", &cancel(sent), &())
        .await;
    assert_eq!(again.unwrap().state, DeploymentState::Cancelled);
}

#[tokio::test]
async fn f35_a_job_that_nobody_came_for_in_time_is_refused() {
    let world = World::start().await;
    joined(&world, "chat-1").await;
    let id = deploy(&world, "chat-1").await;
    let late = chatalotctl::clock::now_ms() + 3_600_000;
    let expired = world.centre.store.write(move |c| deployments::expire(c, late));
    assert_eq!(expired.await.unwrap(), [id]);
    let view = view(&world, id).await;
    assert_eq!(view.state, DeploymentState::Refused);
    assert_eq!(view.advice.unwrap().code, "JOB_EXPIRED");
}

#[tokio::test]
async fn f61_a_domain_that_the_host_was_not_added_with_is_refused() {
    let world = World::start().await;
    let add = serde_json::json!({"name": "chat-1", "domains": ["other.example.com"]});
    let (_, added) = world
        .command::<_, chatalotctl::model::Added>("POST", "/v1/hosts", &add)
        .await;
    let token = crate::world::token(&added.ok().unwrap());
    crate::agent::join(&world, &token, &crate::agent::key())
        .await
        .unwrap();
    let path = "/v1/hosts/chat-1/deployments";
    let (status, refused) = world
        .command::<_, Deployed>("POST", path, &deploy_request())
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(refused.unwrap_err()["code"], "DOMAIN_NOT_ALLOWED");
}

#[tokio::test]
async fn what_does_not_exist_is_named_with_a_stable_code() {
    let world = World::start().await;
    for (path, code) in [
        ("/v1/hosts/nobody", "HOST_UNKNOWN"),
        ("/v1/deployments/nonsense", "DEPLOYMENT_UNKNOWN"),
        (
            "/v1/deployments/0190b7a0-0000-7000-8000-000000000000/watch",
            "DEPLOYMENT_UNKNOWN",
        ),
        ("/v1/nothing", "NOT_FOUND"),
    ] {
        let (status, answer) = world.get::<DeploymentView>(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(answer.unwrap_err()["code"], code, "{path}");
    }
}

#[tokio::test]
async fn an_order_that_is_lost_or_damaged_ends_its_deployment_and_the_host_takes_the_next() {
    let world = World::start().await;
    let (peer, _) = joined(&world, "chat-1").await;
    for damage in [None, Some("{")] {
        let id = deploy(&world, "chat-1").await;
        let order = world.centre.config.state.join(format!("jobs/{id}.json"));
        match damage {
            None => std::fs::remove_file(order).unwrap(),
            Some(text) => std::fs::write(order, text).unwrap(),
        }
        let (mut agent, _) = Agent::pipe(&world, peer);
        agent.greet(Uuid::new_v4()).await;
        let watched = world
            .visit_socket(&format!("/v1/deployments/{id}/watch?logs=0"))
            .await;
        assert!(watched.contains("ORDER_LOST"), "{watched}");
        assert_eq!(view(&world, id).await.state, DeploymentState::Failed);
    }
    let id = deploy(&world, "chat-1").await;
    let (mut agent, _) = Agent::pipe(&world, peer);
    agent.greet(Uuid::new_v4()).await;
    let told = agent.hear().await;
    assert!(matches!(told, Some(ToAgent::Job(job)) if job.id == id));
}
