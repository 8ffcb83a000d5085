//! Addresses that may be let in somewhere: single ones, and networks.

use super::{BadValue, refuse};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use std::{fmt, str::FromStr};

const WANTED: &str = "an IP address, or a network such as 198.51.100.0/24 or 2001:db8::/48 with no bits set beyond its prefix, and not around loopback";

/// Within loopback, and nobody's.
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// An address, or a network of them in CIDR notation; never all there are, nor loopback, from which a host looks at
/// itself as a stranger would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether an address is in it.
    pub fn contains(self, address: IpAddr) -> bool {
        let same_family = self.address.is_ipv4() == address.is_ipv4();
        same_family && masked(address, self.prefix) == self.address
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self {
            prefix: width(address),
            address,
        }
    }
}

const fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// An address with nothing but the bits of a prefix.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let beyond = u32::from(width(address).saturating_sub(prefix));
    match address {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & u32::MAX.checked_shl(beyond).unwrap_or(0)).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & u128::MAX.checked_shl(beyond).unwrap_or(0)).into()),
    }
}

impl FromStr for Network {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let Ok(address) = address.parse::<IpAddr>() else {
            return refuse(text, WANTED);
        };
        // Proxies see a client of IPv4 as that.
        let mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
        let prefix = prefix.map_or(Some(width(address)), |digits| {
            let plain =
                digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
            digits.parse().ok().filter(|_| plain)
        });
        match prefix {
            Some(prefix)
                if !mapped
                    && (1..=width(address)).contains(&prefix)
                    && masked(address, prefix) == address =>
            {
                let network = Self { address, prefix };
                if network.contains(STRANGER) {
                    return refuse(text, WANTED);
                }
                Ok(network)
            }
            _ => refuse(text, WANTED),
        }
    }
}

impl TryFrom<String> for Network {
    type Error = BadValue;
    fn try_from(text: String) -> Result<Self, BadValue> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == width(self.address) {
            self.address.fmt(f)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }
}

/// Several of them, with commas between: each once, at most [`Networks::MOST`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// The most that a list may have.
    pub const MOST: usize = 32;

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Network> + '_ {
        self.0.iter().copied()
    }
}

impl FromStr for Networks {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        let mut all = Vec::new();
        for part in text.split(',').map(str::trim) {
            let network = part.parse()?;
            if !all.contains(&network) {
                all.push(network);
            }
        }
        if all.len() > Self::MOST {
            return refuse(text, "at most 32 addresses and networks");
        }
        Ok(Self(all))
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, network) in self.0.iter().enumerate() {
            write!(f, "{}{network}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_read_and_written_in_one_form() {
        for (text, shown) in [
            ("198.51.100.7", "198.51.100.7"),
            ("198.51.100.7/32", "198.51.100.7"),
            ("198.51.100.0/24", "198.51.100.0/24"),
            ("2001:DB8:0::/48", "2001:db8::/48"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_lets_in_everybody_or_says_two_things_at_once_is_refused() {
        for bad in [
            "",
            "0.0.0.0/0",
            "::/0",
            "198.51.100.7/24",
            "198.51.100.0/33",
            "198.51.100.0/+8",
            "198.51.100.0/024",
            "198.51.100.0/",
            "127.0.0.0/8",
            "0.0.0.0/1",
            "::ffff:198.51.100.7",
            "example.com",
            "198.51.100.7 { }",
            "1.2.3",
            "fe80::1%eth0",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_network_contains_what_shares_its_prefix() {
        let within = |network: &str, address: &str| {
            network
                .parse::<Network>()
                .unwrap()
                .contains(address.parse().unwrap())
        };
        assert!(within("198.51.100.0/24", "198.51.100.255") && !within("198.51.100.0/24", "198.51.101.0"));
        assert!(within("2001:db8::/48", "2001:db8:0:1::1") && !within("2001:db8::/48", "198.51.100.1"));
        assert!(within("128.0.0.0/1", "203.0.113.1") && !within("203.0.113.1", "203.0.113.2"));
    }

    #[test]
    fn a_list_has_each_once_and_an_end() {
        let list: Networks = "198.51.100.7, 2001:db8::/48,198.51.100.7".parse().unwrap();
        assert_eq!(list.to_string(), "198.51.100.7, 2001:db8::/48");
        assert!("198.51.100.7,".parse::<Networks>().is_err());
        let many: Vec<String> = (0..33).map(|n| format!("198.51.100.{n}")).collect();
        assert!(many.join(",").parse::<Networks>().is_err());
    }
}
