//! Cutting the wire: the VPS keeps its addresses and routes, and nothing answers any more.

use super::{IMAGE, Vps};
use crate::command::{Result, docker};

impl Vps {
    /// Cuts the VPS off from everything, without a word to either side.
    pub fn cut_network(&self) -> Result<()> {
        self.wire("ip link set dev \"$1\" nomaster")
    }

    /// Plugs it back in; connections that lived through the cut go on.
    pub fn restore_network(&self) -> Result<()> {
        self.wire("ip link set dev \"$1\" master \"$2\"")
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
