//! The wire: cut, the VPS keeps its addresses and routes, and nothing answers any more. And a second address on it.

use super::{IMAGE, Vps};
use crate::command::{Result, docker};
use std::net::Ipv6Addr;

impl Vps {
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
