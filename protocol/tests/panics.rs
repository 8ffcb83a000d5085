//! What a panic says of values that hold secrets: what it was about, and none of them.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test cannot do is a failed test"
)]

use chatalot_protocol::enrol::{JoinRequest, JoinToken};
use chatalot_protocol::message::{Ask, Order, ToAgent};
use chatalot_protocol::secret::Secret;
use chatalot_protocol::site::Secrets;
use serde_json::Value;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

const SECRETS: [&str; 3] = ["hunter2-hunter2", "swordfish-swordfish", "opensesame-opensesame"];

/// What is said where nobody expected this value.
fn said(value: impl Debug) -> String {
    let panicked = catch_unwind(AssertUnwindSafe(|| -> () { panic!("{value:?}") }));
    panicked.unwrap_err().downcast_ref::<String>().unwrap().clone()
}

fn golden(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/v1/{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn f59_a_panic_about_whatever_holds_secrets_shows_none_of_them() {
    let [registry_token, oidc_client_secret, cloudflare_token] =
        SECRETS.map(|secret| Some(Secret::new(secret)));
    let secrets = Secrets {
        registry_token,
        oidc_client_secret,
        cloudflare_token,
    };
    let ToAgent::Job(mut job) = serde_json::from_value(golden("to_agent.job")).unwrap() else {
        panic!("no job")
    };
    job.order.secrets = secrets.clone();
    let order = Order {
        site: job.order.site.clone(),
        secrets: secrets.clone(),
    };
    let join: JoinRequest = serde_json::from_value(golden("http.join_request")).unwrap();
    let proof = join.token_secret.clone().unwrap();
    let token = JoinToken {
        pins: [7; 32].into(),
        id: [1; 8],
        secret: Secret::new("5a".repeat(32)),
    };
    let texts = [
        said(secrets),
        said(ToAgent::Job(job)),
        said(Ask::Plan(Box::new(order))),
        said(join),
        said(&token),
    ];
    let forbidden = SECRETS.into_iter().chain([proof.expose(), token.secret.expose()]);
    for secret in forbidden {
        assert!(secret.len() > 12);
        for text in &texts {
            assert!(!text.contains(secret), "{text}");
        }
    }
    assert!(
        texts[1].contains("chat.example.com") && texts[4].contains("Secret(…)"),
        "{texts:?}"
    );
}
