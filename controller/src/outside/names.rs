//! The addresses of a domain, asked of our own resolvers: never what a host says of itself, and no hosts file.

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::RData;
use hickory_resolver::{Resolver, TokioResolver};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// How long a resolver may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many of the system's resolvers are asked, as the C library does.
const MOST: usize = 3;
/// What names the system's resolvers.
const SYSTEM: &str = "/etc/resolv.conf";

/// A resolver: an address, port 53 where none is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server(SocketAddr);

impl FromStr for Server {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
        address
            .or_else(|_| text.parse())
            .map(Self)
            .map_err(|_| "not an address such as 192.0.2.53 or 192.0.2.53:5353".to_owned())
    }
}

/// Every address of a name, each once; none where it does not exist. Fails where nobody can tell.
pub async fn addresses(servers: &[Server], name: &str) -> Result<Vec<IpAddr>, String> {
    let servers = if servers.is_empty() {
        system().await
    } else {
        servers.to_vec()
    };
    let resolver = resolver(&servers).map_err(|error| crate::chain(&error))?;
    let name = format!("{}.", name.trim_end_matches('.'));
    let (four, six) = futures_util::join!(resolver.ipv4_lookup(&*name), resolver.ipv6_lookup(&*name));
    let mut found = Vec::new();
    let mut failed = Vec::new();
    for answer in [four, six] {
        match answer {
            Ok(lookup) => found.extend(addresses_in(&lookup)),
            Err(NetError::Dns(DnsError::NoRecordsFound(_))) => {}
            Err(error) => failed.push(crate::chain(&error)),
        }
    }
    match failed.into_iter().next() {
        Some(why) if found.is_empty() => Err(why),
        _ => Ok(found),
    }
}

fn addresses_in(lookup: &Lookup) -> Vec<IpAddr> {
    let addresses = lookup.answers().iter().filter_map(|record| match &record.data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
        _ => None,
    });
    let mut addresses: Vec<IpAddr> = addresses.collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

fn resolver(servers: &[Server]) -> Result<TokioResolver, NetError> {
    let mut options = ResolverOpts::default();
    options.timeout = PATIENCE;
    options.attempts = 1;
    options.num_concurrent_reqs = servers.len();
    // Asked anew each time: a record that was just mended counts at once.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    let servers = servers.iter().map(|Server(server)| {
        let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
        for connection in &mut connections {
            connection.port = server.port();
        }
        NameServerConfig::new(server.ip(), true, connections)
    });
    let config = ResolverConfig::from_name_servers(servers.collect());
    Resolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
}

/// The system's resolvers; the one on this machine where none is named.
async fn system() -> Vec<Server> {
    let text = tokio::fs::read_to_string(SYSTEM).await.unwrap_or_default();
    let named = named(&text);
    if named.is_empty() {
        vec![Server(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)))]
    } else {
        named
    }
}

fn named(text: &str) -> Vec<Server> {
    let lines = text.lines().map(str::split_whitespace);
    let named = lines.filter_map(|mut words| (words.next() == Some("nameserver")).then(|| words.next())?);
    named.filter_map(|word| word.parse().ok()).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UdpSocket;

    #[test]
    fn a_resolver_is_an_address_with_or_without_a_port() {
        let port = |text: &str| text.parse::<Server>().map(|server| server.0.port()).ok();
        assert_eq!(port("192.0.2.53"), Some(53));
        assert_eq!(port("192.0.2.53:5353"), Some(5353));
        assert_eq!(port("[2001:db8::53]:5353"), Some(5353));
        assert_eq!(port("2001:db8::53"), Some(53));
        assert_eq!(port("resolver.example"), None);
        let text =
            "# nameserver 192.0.2.1\nsearch example.com\nnameserver 192.0.2.2\nnameserver 192.0.2.3 x\n";
        assert_eq!(named(text).len(), 2);
    }

    /// A resolver that answers every question for an A record with this address, and says of others that there is none.
    async fn server(address: [u8; 4]) -> Server {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let server = Server(socket.local_addr().unwrap());
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let name = buffer[12..length].iter().position(|byte| *byte == 0).unwrap();
                let question = &buffer[12..12 + name + 5];
                let is_a = question[question.len() - 3] == 1;
                let head = [0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0];
                let mut reply = [&buffer[..2], &head, question].concat();
                if is_a {
                    reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                    reply.extend(address);
                }
                let _ = socket.send_to(&reply, from).await;
            }
        });
        server
    }

    #[tokio::test]
    async fn a_name_is_asked_of_the_named_resolver_for_both_kinds() {
        let server = server([203, 0, 113, 42]).await;
        let found = addresses(&[server], "chat.example.com").await;
        assert_eq!(found, Ok(vec!["203.0.113.42".parse().unwrap()]));
    }

    #[tokio::test]
    async fn where_no_resolver_answers_nothing_can_be_told() {
        let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let server = Server(nobody.local_addr().unwrap());
        drop(nobody);
        assert!(addresses(&[server], "chat.example.com").await.is_err());
    }
}
