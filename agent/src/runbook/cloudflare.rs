//! Cloudflare's address ranges: a name that leads there leads to a proxy of theirs, not to the host.

use std::net::Ipv4Addr;

/// As published at <https://www.cloudflare.com/ips-v4>: network and prefix length.
const RANGES: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(173, 245, 48, 0), 20),
    (Ipv4Addr::new(103, 21, 244, 0), 22),
    (Ipv4Addr::new(103, 22, 200, 0), 22),
    (Ipv4Addr::new(103, 31, 4, 0), 22),
    (Ipv4Addr::new(141, 101, 64, 0), 18),
    (Ipv4Addr::new(108, 162, 192, 0), 18),
    (Ipv4Addr::new(190, 93, 240, 0), 20),
    (Ipv4Addr::new(188, 114, 96, 0), 20),
    (Ipv4Addr::new(197, 234, 240, 0), 22),
    (Ipv4Addr::new(198, 41, 128, 0), 17),
    (Ipv4Addr::new(162, 158, 0, 0), 15),
    (Ipv4Addr::new(104, 16, 0, 0), 13),
    (Ipv4Addr::new(104, 24, 0, 0), 14),
    (Ipv4Addr::new(172, 64, 0, 0), 13),
    (Ipv4Addr::new(131, 0, 72, 0), 22),
];

/// Whether an address is one of theirs.
pub(super) fn owns(ip: Ipv4Addr) -> bool {
    RANGES
        .iter()
        .any(|(network, length)| (u32::from(ip) ^ u32::from(*network)) >> (32 - length) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_to_their_edges() {
        assert!(owns(Ipv4Addr::new(104, 16, 0, 0)) && owns(Ipv4Addr::new(104, 27, 255, 255)));
        assert!(!owns(Ipv4Addr::new(104, 28, 0, 0)) && !owns(Ipv4Addr::new(203, 0, 113, 42)));
    }
}
