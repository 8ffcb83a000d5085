//! API tokens over the one port: made, used, limited, ended, and remembered.

use crate::world::World;
use chatalotctl::access::Role;
use chatalotctl::store::StoreError;
use hyper::StatusCode;
use serde_json::{Value, json};

#[tokio::test]
async fn a_token_works_from_afar_until_it_is_revoked_and_a_restart_changes_neither() {
    let world = World::start().await;
    let token = world.token("alice", Role::Read, json!({})).await;
    let (status, me) = world.remote(&token, "GET", "/v1/whoami", &()).await;
    assert_eq!(
        (status, &me["name"], &me["role"]),
        (StatusCode::OK, &json!("alice"), &json!("read"))
    );
    let world = world.restart().await;
    assert_eq!(
        world.remote(&token, "GET", "/v1/hosts", &()).await.0,
        StatusCode::OK
    );
    let (status, _) = world
        .command::<_, Value>("POST", "/v1/tokens/alice/revoke", &())
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        world.remote(&token, "GET", "/v1/hosts", &()).await.0,
        StatusCode::UNAUTHORIZED
    );
    let world = world.restart().await;
    assert_eq!(
        world.remote(&token, "GET", "/v1/hosts", &()).await.0,
        StatusCode::UNAUTHORIZED
    );
    let (_, listed) = world.get::<Vec<Value>>("/v1/tokens").await;
    let listed = listed.unwrap();
    assert!(
        listed[0]["revoked_ms"].is_i64() && listed[0]["used_ms"].is_i64(),
        "{listed:?}"
    );
}

#[tokio::test]
async fn a_name_is_in_force_once_and_a_life_has_its_bounds() {
    let world = World::start().await;
    world.token("alice", Role::Read, json!({})).await;
    for (add, code) in [
        (
            json!({"name": "alice", "role": "read", "ttl_secs": 60}),
            "TOKEN_EXISTS",
        ),
        (
            json!({"name": "bob", "role": "read", "ttl_secs": 0}),
            "TOKEN_LIFE_INVALID",
        ),
        (
            json!({"name": "bob", "role": "read", "ttl_secs": 40_000_000}),
            "TOKEN_LIFE_INVALID",
        ),
        (
            json!({"name": "bob", "role": "root", "ttl_secs": 60}),
            "REQUEST_INVALID",
        ),
        (
            json!({"name": "bob", "role": "read", "ttl_secs": 60, "host": "nobody"}),
            "HOST_UNKNOWN",
        ),
        (
            json!({"name": "bob", "role": "read", "ttl_secs": 60, "host": "a", "label": "b"}),
            "REQUEST_INVALID",
        ),
    ] {
        let (_, answer) = world.command::<_, Value>("POST", "/v1/tokens", &add).await;
        assert_eq!(answer.unwrap()["code"], code);
    }
    let (status, _) = world
        .command::<_, Value>("POST", "/v1/tokens/alice/revoke", &())
        .await;
    assert_eq!(status, StatusCode::OK);
    world.token("alice", Role::Read, json!({})).await;
}

#[tokio::test]
async fn twenty_failures_shut_an_address_out_and_the_audit_knows_the_reasons() {
    let world = World::start().await;
    let token = world.token("alice", Role::Admin, json!({})).await;
    for _ in 0..20 {
        let (status, _) = world.remote("hunter2", "GET", "/v1/hosts", &()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    // Even a good one, or guessing could go on beside it.
    let (status, _) = world.remote(&token, "GET", "/v1/hosts", &()).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    let refused: Vec<_> = world
        .audit()
        .await
        .into_iter()
        .filter(|e| e.verdict == "NOT_AUTHENTICATED")
        .collect();
    assert_eq!(refused.len(), 20);
    assert_eq!(
        (refused[0].action.as_str(), refused[0].detail.as_str()),
        ("host.list", "not a token")
    );
    assert_eq!(refused[0].via, "address 127.0.0.1");
}

#[tokio::test]
async fn the_audit_says_who_did_what_and_how_it_ended_and_shows_an_edit() {
    let world = World::start().await;
    let admin = world.token("alice", Role::Admin, json!({})).await;
    let reader = world.token("bob", Role::Read, json!({})).await;
    let (status, _) = world
        .remote(&admin, "POST", "/v1/hosts", &json!({"name": "chat-1"}))
        .await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, _) = world
        .remote(&reader, "POST", "/v1/hosts", &json!({"name": "chat-2"}))
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, _) = world
        .remote(&admin, "POST", "/v1/tokens/nobody/revoke", &())
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let said: Vec<String> = world
        .audit()
        .await
        .iter()
        .map(|e| format!("{} {} {} {}", e.by, e.action, e.subject, e.verdict))
        .collect();
    assert_eq!(
        said[4..],
        [
            "alice host.add  allowed",
            "alice host.add  done",
            "bob host.add  NOT_ALLOWED",
            "alice token.revoke nobody allowed",
            "alice token.revoke nobody TOKEN_UNKNOWN",
        ]
    );
    let edit = world.centre.store.write(|c| {
        c.execute(
            "UPDATE audit SET body = replace(body, 'alice', 'mallory') WHERE n = 6",
            [],
        )?;
        Ok::<_, StoreError>(())
    });
    edit.await.unwrap();
    let (_, records) = world
        .get::<Vec<chatalot_protocol::audit::Record>>("/v1/audit")
        .await;
    let broken = chatalot_protocol::audit::verify(&records.unwrap(), None).unwrap_err();
    assert!(broken.to_string().contains('6'), "{broken}");
}

#[tokio::test]
async fn neither_an_api_token_nor_its_secret_is_in_the_state_folder() {
    let world = World::start().await;
    let token = world.token("alice", Role::Admin, json!({})).await;
    world.remote(&token, "GET", "/v1/hosts", &()).await;
    let secret = token.parse::<chatalotctl::access::ApiToken>().unwrap().secret;
    let mut read = 0;
    for file in ["controller.db", "controller.db-wal"] {
        let bytes = std::fs::read(world.centre.config.state.join(file)).unwrap_or_default();
        read += bytes.len();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(secret.expose()) && !text.contains(&token));
    }
    assert!(read > 0);
}
