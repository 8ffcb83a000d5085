use super::*;
use hickory_resolver::proto::op::{Message, MessageType};
use hickory_resolver::proto::rr::rdata::CNAME;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

/// A DNS server on loopback, which answers by what the name begins with.
struct Server {
    address: SocketAddr,
    task: AbortHandle,
}

impl Server {
    async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let serve = async move {
            let mut packet = [0; 1500];
            loop {
                let (n, from) = socket.recv_from(&mut packet).await.unwrap();
                if let Some(answer) = answer(&packet[..n]) {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        };
        let task = tokio::spawn(serve).abort_handle();
        Self { address, task }
    }

    async fn says(&self, name: &str) -> (Records<Ipv4Addr>, Records<Ipv6Addr>) {
        ask(&[self.address], absolute(name).unwrap()).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn answer(packet: &[u8]) -> Option<Vec<u8>> {
    let mut message = Message::from_vec(packet).unwrap();
    message.metadata.message_type = MessageType::Response;
    let query = message.queries[0].clone();
    let (name, kind) = (query.name().clone(), query.query_type());
    let mut add = |of: &Name, data| message.answers.push(Record::from_rdata(of.clone(), 60, data));
    let alias = Name::from_ascii("alias.example.").unwrap();
    match name.to_ascii().split('.').next()? {
        "silent" => return None,
        "garbage" => return Some(vec![packet[0], packet[1], 0xff]),
        "none" => {}
        "missing" => message.metadata.response_code = ResponseCode::NXDomain,
        "broken" => message.metadata.response_code = ResponseCode::ServFail,
        "refused" => message.metadata.response_code = ResponseCode::Refused,
        "circle" => {
            add(&name, RData::CNAME(CNAME(alias.clone())));
            add(&alias, RData::CNAME(CNAME(name)));
        }
        "alias" => {
            add(&name, RData::CNAME(CNAME(alias.clone())));
            if kind == RecordType::A {
                add(&alias, RData::A("203.0.113.8".parse().unwrap()));
            }
        }
        _ if kind == RecordType::A => {
            add(&name, RData::A("203.0.113.9".parse().unwrap()));
            add(&name, RData::A("203.0.113.7".parse().unwrap()));
        }
        _ => add(&name, RData::AAAA("2001:db8::9".parse().unwrap())),
    }
    Some(message.to_vec().unwrap())
}

fn v4(addresses: &[&str]) -> Records<Ipv4Addr> {
    Records::Found(addresses.iter().map(|address| address.parse().unwrap()).collect())
}

#[tokio::test]
async fn f57_addresses_are_told_sorted_and_aliases_followed() {
    let server = Server::start().await;
    let (a, aaaa) = server.says("chat.example.com").await;
    assert_eq!(a, v4(&["203.0.113.7", "203.0.113.9"]));
    assert_eq!(aaaa, Records::Found(vec!["2001:db8::9".parse().unwrap()]));
    let (a, aaaa) = server.says("alias.example.com").await;
    assert_eq!(a, v4(&["203.0.113.8"]));
    assert_eq!(aaaa, Records::Found(Vec::new()));
}

#[tokio::test]
async fn f57_a_name_without_records_or_none_at_all_is_an_answer() {
    let server = Server::start().await;
    for name in ["none.example.com", "missing.example.com"] {
        let (a, aaaa) = server.says(name).await;
        assert_eq!((a, aaaa), (v4(&[]), Records::Found(Vec::new())), "{name}");
    }
}

#[tokio::test]
async fn f57_a_resolver_that_fails_is_told_from_a_name_that_is_missing() {
    let server = Server::start().await;
    for (name, why) in [
        ("broken.example.com", "it failed (SERVFAIL)"),
        ("refused.example.com", "it refused (REFUSED)"),
        ("circle.example.com", "its aliases lead in a circle"),
        ("silent.example.com", "no answer within 3 s"),
        (
            "garbage.example.com",
            "protocol error: decoding error: unexpected end of input reached",
        ),
    ] {
        let (a, _) = server.says(name).await;
        assert_eq!(a, Records::Failed(why.to_owned()), "{name}");
    }
}

#[tokio::test]
async fn f57_a_silent_resolver_does_not_keep_the_systems_others_from_answering() {
    let server = Server::start().await;
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let servers = [silent.local_addr().unwrap(), server.address];
    let (a, _) = ask(&servers, absolute("chat.example.com").unwrap()).await;
    assert_eq!(a, v4(&["203.0.113.7", "203.0.113.9"]));
}

#[tokio::test]
async fn f57_every_resolver_is_asked_by_itself() {
    let server = Server::start().await;
    let here = tempfile::tempdir().unwrap();
    let resolv_conf = here.path().join("resolv.conf");
    std::fs::write(
        &resolv_conf,
        format!(
            "search none.example\nnameserver 127.0.0.1#{}\n",
            server.address.port()
        ),
    )
    .unwrap();
    let config = Config {
        resolvers: vec![server.address, SocketAddr::from(([127, 0, 0, 1], 9))],
        resolv_conf,
        ..Config::default()
    };
    let answers = resolve(&config, "chat.example.com").await.unwrap();
    assert_eq!(answers[0].resolver, "system");
    assert_eq!(answers[0].a, v4(&["203.0.113.7", "203.0.113.9"]));
    assert_eq!(answers[1].a, answers[0].a);
    assert!(matches!(&answers[2].a, Records::Failed(_)), "{:?}", answers[2]);
    assert!(resolve(&config, "not a name\u{7}").await.is_err());
    let found = names::addresses(&config, "chat.example.com").await;
    assert_eq!(found.len(), 3);
    assert!(found[0].is_ipv4() && found[2] == "2001:db8::9".parse::<IpAddr>().unwrap());
}
