//! Addresses and networks of addresses, as an operator writes them down.

use super::{BadValue, refuse};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::{fmt, str::FromStr};

const WANTED: &str = "addresses or networks such as 198.51.100.7, 2001:db8::/32, with commas between them";
/// More are a firewall's business.
const MOST: usize = 32;

/// An address, or a network: `198.51.100.7`, `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    length: u8,
}

impl FromStr for Network {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        let Ok(address) = address.parse::<IpAddr>() else {
            return refuse(text, WANTED);
        };
        let whole = if address.is_ipv4() { 32 } else { 128 };
        match length.map_or(Ok(whole), str::parse) {
            // The whole internet is no limit.
            Ok(length) if (1..=whole).contains(&length) => Ok(Self { address, length }),
            _ => refuse(text, WANTED),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// One or more networks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Networks(Vec<Network>);

impl Networks {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Network> {
        self.0.iter()
    }
}

impl FromStr for Networks {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        let words = text
            .split([',', ' '])
            .map(str::trim)
            .filter(|word| !word.is_empty());
        let networks: Vec<Network> = words.map(str::parse).collect::<Result<_, _>>()?;
        if (1..=MOST).contains(&networks.len()) {
            Ok(Self(networks))
        } else {
            refuse(text, WANTED)
        }
    }
}

impl TryFrom<String> for Networks {
    type Error = BadValue;
    fn try_from(text: String) -> Result<Self, BadValue> {
        text.parse()
    }
}

impl From<Networks> for String {
    fn from(networks: Networks) -> Self {
        networks.to_string()
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_of_both_families_are_read() {
        let networks: Networks = "198.51.100.7,2001:db8::/32 10.0.0.0/8".parse().unwrap();
        assert_eq!(networks.to_string(), "198.51.100.7/32, 2001:db8::/32, 10.0.0.0/8");
        assert_eq!(networks.to_string().parse::<Networks>().unwrap(), networks);
    }

    #[test]
    fn what_is_no_network_or_everything_is_refused() {
        for bad in [
            "",
            "chat.example.com",
            "10.0.0.0/33",
            "0.0.0.0/0",
            "::/0",
            "1.2.3.4 {",
            "1.2.3.4/-1",
        ] {
            assert!(bad.parse::<Networks>().is_err(), "{bad}");
        }
    }
}
