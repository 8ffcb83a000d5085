//! Who may have what looked at from outside, and where nobody looks whatever is asked.

use crate::agent::{Agent, event, joined, started};
use crate::deployments::deploy;
use crate::world::World;
use chatalot_protocol::message::{ToAgent, ToController};
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::outside::{Door, Look, LookAt, Nonce, Told};
use tokio::io::DuplexStream;
use tokio::net::UdpSocket;
use uuid::Uuid;

/// A resolver that knows every name, at an address within a house.
async fn inner_resolver() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let name = buffer[12..length].iter().position(|byte| *byte == 0).unwrap();
            let question = &buffer[12..12 + name + 5];
            let is_a = question[question.len() - 3] == 1;
            let head = [0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0];
            let mut reply = [&buffer[..2], &head, question].concat();
            if is_a {
                reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1]);
            }
            let _ = socket.send_to(&reply, from).await;
        }
    });
    address
}

async fn ask(agent: &mut Agent<DuplexStream>, id: u64, domain: &str) -> Told {
    let look = Box::new(Look {
        domain: domain.parse().unwrap(),
        at: LookAt::Probe {
            nonce: Nonce::fresh(),
            doors: vec![Door::tcp(443)],
        },
    });
    agent.say(&ToController::LookFromOutside { id, look }).await;
    loop {
        match agent.hear().await {
            Some(ToAgent::SeenFromOutside { id: told, told: what }) if told == id => return *what,
            Some(_) => {}
            None => panic!("the session ended"),
        }
    }
}

fn code(told: &Told) -> &str {
    match told {
        Told::Declined { advice } => &advice.code,
        _ => "seen",
    }
}

async fn world() -> World {
    let resolver = inner_resolver().await;
    World::start_with(tempfile::tempdir().unwrap(), |config| {
        config.resolvers = vec![resolver.parse().unwrap()];
    })
    .await
}

#[tokio::test]
async fn f11_a_host_has_only_its_own_domain_looked_at() {
    let world = world().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (mut agent, _running) = Agent::pipe(&world, peer);
    assert!(agent.greet(Uuid::new_v4()).await.looks);
    let before = ask(&mut agent, 1, "chat.example.com").await;
    assert_eq!(code(&before), "OUTSIDE_NOT_ITS_OWN");
    deploy(&world, "chat-1").await;
    assert_eq!(code(&ask(&mut agent, 2, "chat.example.com").await), "seen");
    let other = ask(&mut agent, 3, "bank.example.com").await;
    assert_eq!(code(&other), "OUTSIDE_NOT_ITS_OWN");

    // Another host's domain is not its own, and what it has started by itself was approved by nobody.
    let (peer, _) = joined(&world, "chat-2").await;
    let (mut agent, _running) = Agent::pipe(&world, peer);
    agent.greet(Uuid::new_v4()).await;
    agent
        .events(vec![event(1, DeploymentId::fresh(), started())])
        .await;
    agent.hear_acked(1).await;
    let others = ask(&mut agent, 1, "chat.example.com").await;
    assert_eq!(code(&others), "OUTSIDE_NOT_ITS_OWN");
}

#[tokio::test]
async fn f11_nobody_knocks_within_a_house_nor_without_end() {
    let world = world().await;
    let (peer, _) = joined(&world, "chat-1").await;
    let (mut agent, _running) = Agent::pipe(&world, peer);
    agent.greet(Uuid::new_v4()).await;
    deploy(&world, "chat-1").await;
    let Told::Seen { addresses } = ask(&mut agent, 1, "chat.example.com").await else {
        panic!("nothing was seen");
    };
    assert_eq!(addresses.len(), 1);
    assert_eq!(addresses[0].address.to_string(), "10.0.0.1");
    assert!(
        addresses[0].barred && addresses[0].sights.is_empty(),
        "{addresses:?}"
    );
    let mut last = String::new();
    for id in 2..40 {
        let told = ask(&mut agent, id, "chat.example.com").await;
        code(&told).clone_into(&mut last);
    }
    assert_eq!(last, "OUTSIDE_TOO_OFTEN");
}
