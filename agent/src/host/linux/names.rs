//! Names for our own connections, without the C library: the hosts file, then the system's resolvers.

use super::{Config, dns, files};
use crate::host::Records;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// How many resolvers the C library would ask.
const MOST: usize = 3;

/// The addresses of a name, IPv4 first; empty if it has none.
pub(super) async fn addresses(config: &Config, name: &str) -> Vec<IpAddr> {
    if let Ok(address) = name.parse() {
        return vec![address];
    }
    let known = hosts(&text(&config.hosts), name);
    if !known.is_empty() {
        return known;
    }
    if name == "localhost" || name.ends_with(".localhost") {
        return vec![IpAddr::from([127, 0, 0, 1])];
    }
    let Ok(name) = dns::absolute(name) else {
        return Vec::new();
    };
    let (a, aaaa) = dns::ask(&system(config), name).await;
    let mut addresses: Vec<IpAddr> = found(a).into_iter().map(IpAddr::V4).collect();
    addresses.extend(found(aaaa).into_iter().map(IpAddr::V6));
    addresses
}

/// The system's resolvers; the one on this host where none is named.
pub(super) fn system(config: &Config) -> Vec<SocketAddr> {
    let named = resolvers(&text(&config.resolv_conf));
    if named.is_empty() {
        vec![SocketAddr::from(([127, 0, 0, 1], 53))]
    } else {
        named
    }
}

fn text(path: &Path) -> String {
    let content = files::read(path).ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&content).into_owned()
}

fn found<T>(records: Records<T>) -> Vec<T> {
    match records {
        Records::Found(records) => records,
        Records::Failed(_) => Vec::new(),
    }
}

/// Reads resolv.conf. A port may follow an address after a `#` in square brackets' place: `127.0.0.1#5353`.
pub fn resolvers(text: &str) -> Vec<SocketAddr> {
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver"))
            .then(|| words.next())
            .flatten()
    });
    let parsed = named.filter_map(|word| {
        let (address, port) = word.split_once('#').unwrap_or((word, "53"));
        // A zone such as `%eth0` is of no use without the interface's number.
        let address: IpAddr = address.split('%').next()?.parse().ok()?;
        Some(SocketAddr::new(address, port.parse().ok()?))
    });
    parsed.take(MOST).collect()
}

/// The addresses that a hosts file has for a name.
pub fn hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words
                .any(|word| word.eq_ignore_ascii_case(name))
                .then_some(address)
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_is_read_as_the_c_library_reads_it() {
        let text = "# made by hand\nsearch example.com\nnameserver 127.0.0.53\nnameserver 2001:db8::53\nnameserver fe80::1%eth0\nnameserver 9.9.9.9\noptions edns0\n";
        let wanted: Vec<SocketAddr> = ["127.0.0.53:53", "[2001:db8::53]:53", "[fe80::1]:53"]
            .map(|address| address.parse().unwrap())
            .to_vec();
        assert_eq!(resolvers(text), wanted);
        assert_eq!(resolvers("nameserver\nnameserver x\nnonsense"), []);
        assert_eq!(
            resolvers("nameserver 127.0.0.1#5353"),
            ["127.0.0.1:5353".parse().unwrap()]
        );
    }

    #[test]
    fn the_hosts_file_knows_names_in_any_case() {
        let text = "127.0.0.1 localhost\n::1 localhost ip6-localhost # all\n203.0.113.9\tchat.example.com chat\n# 1.2.3.4 x\n";
        assert_eq!(
            hosts(text, "Chat.Example.com"),
            ["203.0.113.9".parse::<IpAddr>().unwrap()]
        );
        assert_eq!(hosts(text, "localhost").len(), 2);
        assert!(hosts(text, "x").is_empty());
    }
}
