//! The host's own addresses.

use crate::host::HostError;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use std::net::IpAddr;
use std::path::Path;

/// The kernel's folder of interfaces.
const INTERFACES: &str = "/sys/class/net";

/// The addresses of the host's own interfaces, sorted: no loopback, no link-local, no private ones of a bridge that only
/// joins containers or virtual machines on this host. A public one there is routed to it.
pub(super) fn addresses() -> Result<Vec<IpAddr>, HostError> {
    let all = getifaddrs().map_err(|errno| HostError::Unknown {
        what: "the host's addresses",
        why: errno.desc().to_owned(),
    })?;
    let mut addresses: Vec<IpAddr> = all
        .filter(|interface| {
            interface.flags.contains(InterfaceFlags::IFF_UP)
                && !interface.flags.contains(InterfaceFlags::IFF_LOOPBACK)
                && !is_bridge(&interface.interface_name)
        })
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            let address = v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))?;
            Some((interface.interface_name, address))
        })
        .filter(|(name, address)| {
            let inner = is_private(*address) && joins_only_what_is_here(&Path::new(INTERFACES).join(name));
            is_own(*address) && !inner
        })
        .map(|(_, address)| address)
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// Whether an interface only joins containers on this host, by the names that Docker gives.
fn is_bridge(name: &str) -> bool {
    name == "docker0" || name == "docker_gwbridge" || name.starts_with("br-") || name.starts_with("veth")
}

/// Whether it is a bridge, of whatever name, none of whose ports leads out of this host.
fn joins_only_what_is_here(interface: &Path) -> bool {
    let Ok(ports) = interface.join("brif").read_dir() else {
        return false;
    };
    let mut names = ports.flatten().map(|port| port.file_name());
    names.all(|name| {
        let name = name.to_string_lossy();
        ["veth", "vnet", "tap", "lxc"]
            .iter()
            .any(|kind| name.starts_with(kind))
    })
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

fn is_own(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bridges_and_addresses_that_lead_nowhere_are_left_out() {
        for name in ["docker0", "br-1f2e3d", "veth12ab"] {
            assert!(is_bridge(name), "{name}");
        }
        for name in ["eth0", "ens3", "br0", "wg0"] {
            assert!(!is_bridge(name), "{name}");
        }
        let folder = tempfile::tempdir().unwrap();
        for (name, ports, inner) in [
            ("chat-net", &["veth1a", "vnet0"][..], true),
            ("empty", &[], true),
            ("vmbr0", &["veth1a", "enp3s0"], false),
        ] {
            let interface = folder.path().join(name);
            std::fs::create_dir_all(interface.join("brif")).unwrap();
            for port in ports {
                std::fs::write(interface.join("brif").join(port), "").unwrap();
            }
            assert_eq!(joins_only_what_is_here(&interface), inner, "{name}");
        }
        assert!(
            !joins_only_what_is_here(folder.path()),
            "what is no bridge may lead anywhere"
        );
        for (address, own) in [
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("fe80::1", false),
            ("::1", false),
            ("203.0.113.9", true),
            ("10.0.0.2", true),
            ("2001:db8::1", true),
        ] {
            assert_eq!(is_own(address.parse().unwrap()), own, "{address}");
        }
        assert!(addresses().unwrap().iter().all(|address| is_own(*address)));
    }
}
