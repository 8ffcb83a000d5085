//! Role × verb, generated from the tables: every endpoint and every question against every kind of token. A new one
//! is in its table, or does not exist.

use crate::agent::joined;
use crate::matrix_of_messages::recorded;
use crate::world::World;
use chatalot_protocol::enrol::unhex;
use chatalot_protocol::message::Ask;
use chatalot_protocol::names::{DeploymentId, HostId};
use chatalotctl::access::{ApiToken, Caller, Reach, Role};
use chatalotctl::api::Api;
use chatalotctl::api::routes::{About, Needs, ROUTES, Route, role_to_ask};
use chatalotctl::ca::sha256;
use chatalotctl::clock::now_ms;
use chatalotctl::store::access::{self, Kept};
use chatalotctl::store::{approvals, deployments};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use uuid::Uuid;

/// Whoever may stand before the gate.
enum Who {
    Local,
    /// Nobody who is let in: what is shown instead of a token.
    Stranger(Option<String>),
    Holder(String, Role, Covers),
}

/// Whether the host that is asked about is in reach.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Covers {
    All,
    ThisHost,
    OtherHost,
}

struct Gate {
    world: World,
    api: Arc<Api>,
    deployment: DeploymentId,
    approval: Uuid,
    visits: u32,
}

impl Gate {
    async fn new() -> Self {
        let world = World::start().await;
        let (host, _) = joined(&world, "chat-1").await;
        joined(&world, "chat-2").await;
        let (deployment, approval, now) = (DeploymentId::fresh(), Uuid::now_v7(), now_ms());
        let made = world.centre.store.write(move |c| {
            c.execute(
                "INSERT INTO deployments (id, host, domain, plan, requested_by, created_ms, not_after_ms, state, finished)
                 VALUES (?1, ?2, 'a.example', '', '', 0, 0, 'cancelled', 1)",
                (deployment.0.as_bytes(), host.host.0.as_bytes()),
            )?;
            approvals::keep(c, &waiting(approval, host.host, now))?;
            deployments::belongs(c, deployment, host.host)
        });
        assert!(made.await.unwrap());
        let (_, labelled) = world
            .command::<_, Value>("POST", "/v1/hosts/chat-1/labels", &json!({"labels": ["one"]}))
            .await;
        assert_eq!(labelled.unwrap()["labels"], json!(["one"]));
        let (api, _) = world.api();
        Self {
            world,
            api,
            deployment,
            approval,
            visits: 0,
        }
    }

    async fn everybody(&self) -> Vec<(String, Who)> {
        let mut all = vec![("the socket".to_owned(), Who::Local)];
        let reaches = [
            ("everywhere", json!({}), Covers::All),
            ("its host", json!({"host": "chat-1"}), Covers::ThisHost),
            ("its label", json!({"label": "one"}), Covers::ThisHost),
            ("another host", json!({"host": "chat-2"}), Covers::OtherHost),
            ("another label", json!({"label": "two"}), Covers::OtherHost),
        ];
        for role in Role::ALL {
            for (number, (reach, of, covers)) in reaches.iter().enumerate() {
                let text = self
                    .world
                    .token(&format!("{role}-{number}"), role, of.clone())
                    .await;
                all.push((format!("{role} {reach}"), Who::Holder(text, role, *covers)));
            }
        }
        for (what, shown) in self.strangers().await {
            all.push((what.to_owned(), Who::Stranger(shown)));
        }
        all
    }

    /// Everything that is no token in force.
    async fn strangers(&self) -> [(&'static str, Option<String>); 8] {
        let admin = self.world.token("gone", Role::Admin, json!({})).await;
        let (status, _) = self
            .world
            .command::<_, Value>("POST", "/v1/tokens/gone/revoke", &())
            .await;
        assert_eq!(status, StatusCode::OK);
        let real = self.world.token("real", Role::Admin, json!({})).await;
        let token: ApiToken = real.parse().unwrap();
        let wrong = ApiToken::new(token.pins, token.id, [1; 32]).text();
        let unknown = ApiToken::new(token.pins, [9; 8], token.proof()).text();
        let invitation = self.world.add("chat-3").await.token;
        [
            ("nothing", None),
            ("no token", Some("hunter2".to_owned())),
            ("a revoked token", Some(admin)),
            ("a wrong secret", Some(wrong.expose().to_owned())),
            ("an unknown token", Some(unknown.expose().to_owned())),
            ("an expired token", Some(self.expired().await)),
            ("a cut token", Some(real[..real.len() - 1].to_owned())),
            ("a join token", Some(invitation)),
        ]
    }

    async fn expired(&self) -> String {
        let token = ApiToken::new(self.world.pin(), [5; 8], [6; 32]);
        let kept = Kept {
            id: token.id,
            secret: sha256(&unhex::<32>(token.secret.expose()).unwrap()),
            name: "late".parse().unwrap(),
            role: Role::Admin,
            reach: Reach::Everywhere,
            by: String::new(),
            created_ms: 0,
            expires_ms: now_ms() - 1,
        };
        assert!(
            self.world
                .centre
                .store
                .write(move |c| access::keep(c, &kept))
                .await
                .unwrap()
        );
        token.text().expose().to_owned()
    }

    fn path(&self, route: &Route) -> String {
        route
            .path
            .replace("{host}", "chat-1")
            .replace("{deployment}", &self.deployment.to_string())
            .replace("{approval}", &self.approval.to_string())
            .replace("{token}", "nobody")
            .replace("{join}", "0000000000000000")
    }

    async fn ask(&mut self, who: &Who, route: &Route, body: &Value) -> (StatusCode, Value) {
        let mut request = Request::builder().method(route.method).uri(self.path(route));
        if let Who::Holder(token, ..) | Who::Stranger(Some(token)) = who {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Full::new(Bytes::from(body.to_string()))).unwrap();
        // Each from an address of its own: how often one may fail is tested elsewhere.
        self.visits += 1;
        let from = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + self.visits));
        let reply = match who {
            Who::Local => self.api.answer(Caller::local(0), request).await,
            _ => self.api.visit(request, from).await,
        };
        let status = reply.status();
        let bytes = reply.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }
}

fn waiting(id: Uuid, host: HostId, now: i64) -> approvals::Waiting {
    approvals::Waiting {
        id,
        action: "deploy".into(),
        path: "/v1/hosts/chat-1/deployments".into(),
        subject: "chat-1".into(),
        host: Some(host),
        plan: None,
        needs: Role::Approve,
        requested_by: "somebody who is gone".into(),
        requester: "token 0000000000000000".into(),
        created_ms: now,
        expires_ms: now + 3_600_000,
    }
}

/// Whether somebody with a role, who reaches so far, may do what takes another.
fn may(role: Role, covers: Covers, needs: Role, about: About) -> bool {
    role >= needs
        && match about {
            About::Oneself => true,
            About::Everything => covers == Covers::All,
            About::Host | About::Deployment | About::Approval => covers != Covers::OtherHost,
        }
}

#[tokio::test]
async fn f11_every_endpoint_against_every_kind_of_token() {
    let mut gate = Gate::new().await;
    let everybody = gate.everybody().await;
    let mut refusal = None;
    let mut judged = 0;
    for route in ROUTES {
        let needs = match route.needs {
            Needs::Role(role) => role,
            Needs::Question => Role::Plan,
        };
        for (name, who) in &everybody {
            let (status, answer) = gate.ask(who, route, &json!({})).await;
            let said = format!("{name} at {}: {status} {answer}", route.name);
            match who {
                Who::Stranger(_) => {
                    assert_eq!(status, StatusCode::UNAUTHORIZED, "{said}");
                    // One answer, whatever is wrong.
                    assert_eq!(&answer, refusal.get_or_insert(answer.clone()), "{said}");
                }
                Who::Local => assert!(
                    status != StatusCode::UNAUTHORIZED && answer["code"] != "NOT_ALLOWED",
                    "{said}"
                ),
                Who::Holder(_, role, covers) => {
                    assert_ne!(status, StatusCode::UNAUTHORIZED, "{said}");
                    let refused = answer["code"] == "NOT_ALLOWED";
                    assert_eq!(!refused, may(*role, *covers, needs, route.about), "{said}");
                }
            }
            judged += 1;
        }
    }
    assert_eq!(judged, ROUTES.len() * 29);
}

#[tokio::test]
async fn f11_every_question_against_every_kind_of_token() {
    let mut gate = Gate::new().await;
    let everybody = gate.everybody().await;
    let route = ROUTES
        .iter()
        .find(|route| route.needs == Needs::Question)
        .unwrap();
    for ask in recorded::<Ask>("ask.") {
        let body = serde_json::to_value(&ask).unwrap();
        for (name, who) in &everybody {
            let Who::Holder(_, role, covers) = who else {
                continue;
            };
            let (status, answer) = gate.ask(who, route, &body).await;
            let allowed = may(*role, *covers, role_to_ask(&ask), route.about);
            let wanted = if allowed {
                "HOST_NOT_CONNECTED"
            } else {
                "NOT_ALLOWED"
            };
            assert_eq!(answer["code"], wanted, "{name} asks {body}: {status}");
        }
    }
}

#[tokio::test]
async fn f11_a_host_out_of_reach_is_told_from_none_by_nobody() {
    let mut gate = Gate::new().await;
    let token = gate
        .world
        .token("other", Role::Admin, json!({"host": "chat-2"}))
        .await;
    let who = Who::Holder(token.clone(), Role::Admin, Covers::OtherHost);
    let route = ROUTES.iter().find(|route| route.name == "host.show").unwrap();
    let there = gate.ask(&who, route, &json!({})).await;
    let missing = gate.world.remote(&token, "GET", "/v1/hosts/nobody", &()).await;
    assert_eq!(there, missing);
    let (_, hosts) = gate.world.remote(&token, "GET", "/v1/hosts", &()).await;
    assert_eq!(hosts.as_array().unwrap().len(), 1);
    assert_eq!(hosts[0]["name"], "chat-2");
}
