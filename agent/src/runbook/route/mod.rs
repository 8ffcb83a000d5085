//! Who is let in at the public address: everybody, or until the administrator has registered only a few.
//!
//! Whoever registers first owns a chatalot, whatever the name. A site may therefore have its proxy let in nobody but
//! given addresses and the host itself, until that account exists. What holds is decided once, remembered, and put
//! into the proxy in its own terms; the daemon opens the route afterwards (`crate::opener`).

pub mod admin;

use super::Cx;
use chatalot_protocol::site::{Network, Networks, Site};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where it is remembered what holds for a site that is to be limited.
pub const KEY: &str = "route";
/// It is open for good.
pub const OPEN: &str = "open";
const LIMITED: &str = "limited";

/// An address of this host that nobody is let in from, and that no site may let in: to be seen as a stranger is.
pub const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Who alone is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetIn {
    given: Networks,
    own: Vec<IpAddr>,
}

impl LetIn {
    /// Every address and network, the host's own first. Not all of loopback: see [`STRANGER`].
    pub fn networks(&self) -> Vec<Network> {
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let own = loopback.into_iter().chain(self.own.iter().copied());
        let mut all: Vec<Network> = own.map(Network::from).collect();
        all.extend(self.given.iter());
        all
    }

    /// An address of the host's own that is let in, IPv4 where there is one.
    pub fn own(&self) -> Option<IpAddr> {
        let v4 = self.own.iter().find(|address| address.is_ipv4());
        v4.or_else(|| self.own.first()).copied()
    }

    /// Whether an address of the host's own is known to be let in.
    pub fn knows(&self, own: IpAddr) -> bool {
        self.own.contains(&own)
    }
}

impl fmt::Display for LetIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.given.fmt(f)
    }
}

/// Who alone is let in by what is remembered; nobody in particular where all are.
pub fn let_in(site: &Site, memory: &BTreeMap<String, String>) -> Option<LetIn> {
    if site.limit_until_admin.is_empty() || is_open(memory) {
        return None;
    }
    let words = memory.get(KEY).map(String::as_str).unwrap_or_default();
    Some(LetIn {
        given: site.limit_until_admin.clone(),
        own: words
            .split(' ')
            .skip(1)
            .filter_map(|word| word.parse().ok())
            .collect(),
    })
}

/// The same for a check.
pub fn limit(cx: &Cx<'_>) -> Option<LetIn> {
    let_in(cx.site, cx.memory)
}

/// Whether the route of a site that was to be limited is open for good.
pub fn is_open(memory: &BTreeMap<String, String>) -> bool {
    memory.get(KEY).is_some_and(|word| word == OPEN)
}

/// What is remembered of a limit, with the host's own addresses at that time.
pub fn limited(own: &[IpAddr]) -> String {
    let own = own.iter().map(|address| format!(" {address}"));
    std::iter::once(LIMITED.to_owned()).chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatalot_protocol::inputs::Inputs;

    fn site(limit: &str) -> Site {
        let inputs = Inputs {
            domain: Some("chat.example.com".into()),
            admin_username: Some("alice".into()),
            limit_until_admin: Some(limit.into()),
            ..Inputs::default()
        };
        inputs.complete().unwrap().0
    }

    #[test]
    fn a_limit_holds_from_the_first_and_until_it_is_remembered_to_be_over() {
        let site = site("198.51.100.7,2001:db8::/48");
        let mut memory = BTreeMap::new();
        assert!(let_in(&site, &memory).is_some());
        let own = ["203.0.113.42".parse().unwrap(), "2001:db8:1::1".parse().unwrap()];
        memory.insert(KEY.to_owned(), limited(&own));
        let known = let_in(&site, &memory).unwrap();
        let all: Vec<String> = known.networks().iter().map(ToString::to_string).collect();
        assert_eq!(
            all,
            [
                "127.0.0.1",
                "::1",
                "203.0.113.42",
                "2001:db8:1::1",
                "198.51.100.7",
                "2001:db8::/48"
            ]
        );
        assert!(known.own() == Some(own[0]) && known.knows(own[1]) && !known.knows(STRANGER));
        memory.insert(KEY.to_owned(), OPEN.to_owned());
        assert_eq!(let_in(&site, &memory), None);
    }
}
