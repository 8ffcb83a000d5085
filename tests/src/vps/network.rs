//! The wire: cut, the VPS keeps its addresses and routes, and nothing answers any more. And a second address on it.

use super::{IMAGE, Vps};
use crate::command::{Result, docker};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Puts a one-to-one NAT of its own before a VPS: the wire goes into a namespace that has the public address (`$1`) and the
/// way out (`$2`), and what is left has an inner one (`$3`). As in the large clouds, the VPS reaches its public address too.
const NAT: &str = "set -e; ip netns add nat; in_nat() { ip netns exec nat \"$@\"; }
    routes=$(ip -4 route show scope global | grep -v '^default'); ip link set eth0 netns nat; ip link add eth0 type veth peer name inner netns nat
    ip address add \"$3/24\" dev eth0; ip link set eth0 up
    for each in lo eth0 inner; do in_nat ip link set $each up; done
    in_nat ip address add \"$1/26\" dev eth0; in_nat ip address add \"${3%.*}.1/24\" dev inner
    in_nat ip route add default via \"$2\"; ip route add default via \"${3%.*}.1\"
    echo \"$routes\" | while read -r route; do in_nat ip route add $route; done
    in_nat sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
    in_nat iptables -t nat -A PREROUTING -d \"$1\" -j DNAT --to-destination \"$3\"
    in_nat iptables -t nat -A POSTROUTING -s \"$3\" -o eth0 -j SNAT --to-source \"$1\"
    in_nat iptables -t nat -A POSTROUTING -s \"$3\" -d \"$3\" -o inner -j MASQUERADE";

impl Vps {
    /// Puts a one-to-one NAT before the VPS, until it is booted again; its inner address. It needs iptables there.
    pub fn behind_nat(&self) -> Result<Ipv4Addr> {
        let inner = Ipv4Addr::new(10, 77, 0, 2);
        let [public, out] = [self.address, crate::Sandbox::GATEWAY].map(|v4| v4.to_string());
        self.exec(&["sh", "-c", NAT, "sh", &public, &out, &inner.to_string()])?
            .ok()?;
        Ok(inner)
    }

    /// Cuts the VPS off from everything, without a word to either side.
    pub fn cut_network(&self) -> Result<()> {
        self.wire("ip link set dev \"$1\" nomaster")
    }

    /// Plugs it back in; connections that lived through the cut go on.
    pub fn restore_network(&self) -> Result<()> {
        self.wire("ip link set dev \"$1\" master \"$2\"")
    }

    /// Gives the VPS a public IPv6 address beside its other, which the machine that runs the tests reaches.
    pub fn with_ipv6(&self) -> Result<Ipv6Addr> {
        let [ours, gateway] = [self.address, crate::Sandbox::GATEWAY].map(|v4| {
            let [a, b, c, d] = v4.octets().map(u16::from);
            Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, a << 8 | b, c << 8 | d)
        });
        self.must(&format!(
            "echo 0 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6; ip -6 address add {ours}/64 dev eth0 nodad"
        ))?;
        self.wire(&format!("ip -6 address replace {gateway}/64 dev \"$2\" nodad"))?;
        Ok(ours)
    }

    /// Works on the machine's end of the VPS's wire (`$1`) and the bridge (`$2`), from a container in the
    /// machine's own network, so that the tests themselves need no privilege but docker's.
    fn wire(&self, work: &str) -> Result<()> {
        let peer = self.must("cat /sys/class/net/eth0/iflink")?;
        let network = docker(&["network", "inspect", "-f", "{{.Id}}", "chatalot-sandbox"])?;
        let bridge = format!("br-{}", network.get(..12).unwrap_or_default());
        let script = format!(
            "set -- \"$(ip -o link | sed -n 's/^{}: \\([^:@]*\\).*/\\1/p')\" {bridge}; {work}",
            peer.trim()
        );
        docker(&[
            "run",
            "--rm",
            "--network=host",
            "--cap-add=NET_ADMIN",
            IMAGE,
            "sh",
            "-c",
            &script,
        ])?;
        Ok(())
    }
}
