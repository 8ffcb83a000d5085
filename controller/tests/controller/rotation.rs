//! Row 18: from one root to the next, with real agents over TLS.

use crate::agent::knocks;
use crate::real::RealAgent;
use crate::world::{World, tls};
use chatalot_agent::link::identity::Identity;
use chatalot_protocol::enrol::Pins;
use chatalotctl::access::{ApiToken, Role};
use chatalotctl::authority::Standing;
use chatalotctl::rotation::view::{CaView, Lack};
use chatalotctl::rotation::{Phase, Step};
use hyper::StatusCode;
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use x509_parser::parse_x509_certificate;

impl World {
    /// One step, as the operator takes it.
    pub(crate) async fn step(&self, step: Step) -> Result<CaView, Value> {
        let (path, body) = match step {
            Step::DropOld => ("/v1/ca/drop-old", Value::Null),
            Step::Rollback | Step::DropNew => ("/v1/ca/rollback", Value::Null),
            to => ("/v1/ca/rotate", json!({"to": to})),
        };
        let (status, answer) = self.command::<_, CaView>("POST", path, &body).await;
        assert_eq!(status == StatusCode::OK, answer.is_ok());
        answer
    }

    pub(crate) async fn ca(&self) -> CaView {
        self.get::<CaView>("/v1/ca").await.1.unwrap()
    }

    /// Waits until the rotation is as it should be.
    pub(crate) async fn ca_becomes(&self, what: &str, is_so: impl Fn(&CaView) -> bool) -> CaView {
        let until = Instant::now() + Duration::from_mins(1);
        loop {
            let view = self.ca().await;
            if is_so(&view) {
                return view;
            }
            assert!(Instant::now() < until, "{what}: {view:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until nobody holds the next step up, and takes it.
    async fn go_on(&self, step: Step) -> CaView {
        self.ca_becomes("nobody holds it up", |view| view.stragglers.is_empty())
            .await;
        self.step(step).await.unwrap()
    }

    fn standing(&self) -> Arc<Standing> {
        self.centre.authority.now()
    }
}

const FORWARD: [Step; 4] = [Step::Publish, Step::IssueNew, Step::ServeNew, Step::DropOld];

/// Whether a host trusts these roots and no other.
fn trusts(identity: &Identity, roots: &[&CertificateDer<'static>]) -> bool {
    identity.authorities.iter().collect::<Vec<_>>() == roots
}

/// The name of whoever has signed a host's certificate.
fn signer(identity: &Identity) -> String {
    let (_, certificate) = parse_x509_certificate(&identity.chain[0]).unwrap();
    certificate.issuer().to_string()
}

/// Whether a host takes who shows such certificates for its controller.
pub(crate) async fn takes_for_its_controller(identity: &Identity, shown: &Standing) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (config, _) = shown.tls.choose(std::iter::once(b"http/1.1".as_slice()));
    let shows = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        // A client that hangs up is what is looked for.
        drop(tokio_rustls::TlsAcceptor::from(config).accept(stream).await);
    });
    let mut roots = rustls::RootCertStore::empty();
    for root in &identity.authorities {
        roots.add(root.clone()).unwrap();
    }
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let name = rustls_pki_types::ServerName::try_from("controller.chatalot.internal").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let connected = tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    shows.await.unwrap();
    connected.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_hosts_go_through_every_phase_new_ones_join_in_each_and_the_old_root_is_at_its_end() {
    let world = World::start().await;
    let mut agents = vec![RealAgent::new(&world, "chat-0").await];
    let (before, old) = (agents[0].identity(), world.standing());
    let invited = world.add("late").await;
    let token = world.token("before", Role::Read, json!({})).await;
    let pins = old.curl_pins();
    let (mut during, mut early) = (None, None);
    for (number, step) in FORWARD.into_iter().enumerate() {
        let view = world.go_on(step).await;
        assert_eq!(view.hosts, 1 + number as u64 + u64::from(step == Step::DropOld));
        if step == Step::Publish {
            during = Some(world.token("during", Role::Read, json!({})).await);
            early = Some(world.add("early").await);
        }
        if step == Step::ServeNew {
            // A token from before the rotation is good for as long as its root is.
            assert_eq!(view.old_tokens, ["before"]);
            agents.push(RealAgent::joined(&world, &invited).await);
            agents.last_mut().unwrap().start();
            assert_eq!(
                world.remote(&token, "GET", "/v1/hosts", &()).await.0,
                StatusCode::OK
            );
        }
        agents.push(RealAgent::new(&world, &format!("new-{number}")).await);
        assert!(
            world
                .add(&format!("line-{number}"))
                .await
                .fetch
                .contains("--pinnedpubkey")
        );
    }
    let now = world.standing();
    let new = &now.root;
    assert_eq!((new.number, now.rotation.phase), (2, Phase::Standby));
    for agent in &agents {
        agent
            .becomes("trusts the new root alone", |identity| {
                trusts(identity, &[&new.certificate])
            })
            .await;
        agent.is_connected(&world).await;
        assert!(signer(&agent.identity()).ends_with("root 2"), "{}", agent.name);
        assert!(takes_for_its_controller(&agent.identity(), &now).await);
        assert!(
            !takes_for_its_controller(&agent.identity(), &old).await,
            "{}",
            agent.name
        );
    }
    // Nor does the controller take a certificate of the old root, and its key is gone.
    assert!(takes_for_its_controller(&before, &old).await);
    assert_eq!(knocks_again(&world, before).await, None);
    let kept: Vec<_> = ["root.key", "root.pem", "server.key"]
        .into_iter()
        .filter(|name| world.centre.config.state.join("ca").join(name).exists())
        .collect();
    assert!(kept.is_empty(), "{kept:?}");
    // curl pins the key that was the next one, and another is the next.
    assert_eq!(pins.split(';').nth(1), now.curl_pins().split(';').next());
    assert!(world.add("last").await.fetch.contains(&now.curl_pins()));
    let dialled = |pins: Pins| {
        let config = tls(pins, &[b"http/1.1"], None);
        let world = &world;
        async move { world.dial(&config).await.is_ok() }
    };
    let (before, during): (ApiToken, ApiToken) = (token.parse().unwrap(), during.unwrap().parse().unwrap());
    assert!(!dialled(before.pins).await && dialled(during.pins).await);
    // A line from the first phase is good to the end.
    let late = RealAgent::joined(&world, &early.unwrap()).await;
    assert!(trusts(&late.identity(), &[&new.certificate]));
    let said: Vec<String> = world
        .audit()
        .await
        .into_iter()
        .map(|entry| entry.action)
        .collect();
    assert!(said.contains(&"ca.rotate".to_owned()) && said.contains(&"ca.drop-old".to_owned()));
}

/// What somebody hears who comes with an identity that was; `None` where TLS does not even let him speak.
async fn knocks_again(world: &World, identity: Identity) -> Option<chatalot_protocol::message::ToAgent> {
    knocks(world, (identity.chain, identity.key)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_a_host_that_is_away_all_the_time_holds_the_rotation_up_until_it_is_put_out_and_finds_back() {
    let world = World::start().await;
    let here = RealAgent::new(&world, "here").await;
    let mut away = RealAgent::new(&world, "away").await;
    away.stop().await;
    let new = world.step(Step::Publish).await.unwrap().next.unwrap();
    let held = world
        .ca_becomes("only one holds it up", |view| view.stragglers.len() == 1)
        .await;
    assert_eq!(
        (held.stragglers[0].host.as_str(), held.stragglers[0].lacks),
        ("away", Lack::Trust)
    );
    for _ in 0..2 {
        let refused = world.step(Step::IssueNew).await.unwrap_err();
        assert_eq!(refused["code"], "CA_HOSTS_BEHIND");
        assert!(
            refused["evidence"][0].as_str().unwrap().starts_with("away: "),
            "{refused}"
        );
    }
    let skipped = world.step(Step::DropOld).await.unwrap_err();
    assert_eq!(skipped["code"], "CA_STEP_OUT_OF_ORDER");
    // It was there for the first phase, and away from then on: its certificate holds up the last one.
    away.start();
    world.go_on(Step::IssueNew).await;
    away.stop().await;
    world.go_on_without(&away, Step::ServeNew).await;
    assert_eq!(world.ca().await.root.number, 2);
    assert_eq!(world.standing().root.pin(), unhexed(&new.pin));
    let told = world
        .command::<_, Value>("POST", "/v1/hosts/away/readmit", &())
        .await;
    assert_eq!(told.0, StatusCode::OK);
    away.start();
    away.is_connected(&world).await;
    let roots = world.standing();
    away.becomes("trusts the new root", |identity| {
        trusts(identity, &[&roots.root.certificate])
    })
    .await;
    here.is_connected(&world).await;
    world.ca_becomes("all are back", |view| view.hosts == 2).await;
}

fn unhexed(text: &str) -> [u8; 32] {
    chatalot_protocol::enrol::unhex(text).unwrap()
}

impl World {
    /// The rest of the rotation, for which a host has to be put out.
    async fn go_on_without(&self, away: &RealAgent, first: Step) {
        self.go_on_for(first, &away.name).await;
        let refused = self.step(Step::DropOld).await.unwrap_err();
        assert_eq!(refused["code"], "CA_HOSTS_BEHIND", "{refused}");
        let out = self
            .command::<_, Value>("POST", &format!("/v1/hosts/{}/revoke", away.name), &())
            .await;
        assert_eq!(out.0, StatusCode::OK);
        self.go_on(Step::DropOld).await;
    }

    async fn go_on_for(&self, step: Step, away: &str) {
        self.ca_becomes("it may go on", |view| {
            view.stragglers
                .iter()
                .all(|straggler| straggler.host.as_str() == away)
        })
        .await;
        self.step(step).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_a_host_that_missed_everything_finds_back_when_it_is_readmitted() {
    let world = World::start().await;
    let mut away = RealAgent::new(&world, "away").await;
    away.stop().await;
    let before = away.identity();
    world.step(Step::Publish).await.unwrap();
    let out = world
        .command::<_, Value>("POST", "/v1/hosts/away/revoke", &())
        .await;
    assert_eq!(out.0, StatusCode::OK);
    for step in &FORWARD[1..] {
        world.step(*step).await.unwrap();
    }
    // It trusts the old root alone, whose word for the new one it is shown.
    assert!(takes_for_its_controller(&before, &world.standing()).await);
    let back = world
        .command::<_, Value>("POST", "/v1/hosts/away/readmit", &())
        .await;
    assert_eq!(back.0, StatusCode::OK);
    away.start();
    away.is_connected(&world).await;
    let roots = world.standing();
    assert!(trusts(&away.identity(), &[&roots.root.certificate]));
    // The next rotation is a rotation like any other.
    for step in FORWARD {
        world.go_on(step).await;
    }
    away.is_connected(&world).await;
    assert_eq!(world.ca().await.root.number, 3);
    away.becomes("has the third root's certificate", |identity| {
        signer(identity).ends_with("root 3")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_a_rollback_midway_leaves_all_connected() {
    for reached in 1..=3 {
        let world = World::start().await;
        let agents = [
            RealAgent::new(&world, "one").await,
            RealAgent::new(&world, "two").await,
        ];
        let old = world.standing();
        for step in &FORWARD[..reached] {
            world.go_on(*step).await;
        }
        let both = RealAgent::new(&world, "three").await;
        let back = world.step(Step::Rollback).await.unwrap();
        assert!(matches!(back.phase, Phase::Back | Phase::Standby));
        world
            .ca_becomes("it is over", |view| view.phase == Phase::Standby)
            .await;
        for agent in agents.iter().chain([&both]) {
            agent
                .becomes("is as before", |identity| {
                    trusts(identity, &[&old.root.certificate])
                        && signer(identity).ends_with("controller root")
                })
                .await;
            agent.is_connected(&world).await;
        }
        assert_eq!(world.standing().root.pin(), old.root.pin());
        assert_eq!(world.standing().curl_pins(), old.curl_pins());
        let again = world.step(Step::Rollback).await.unwrap_err();
        assert_eq!(again["code"], "CA_STEP_OUT_OF_ORDER");
    }
}
