//! Who listens on a port.

use super::cgroup::{self, Home};
use super::docker::containers::Publishers;
use super::{files, sock_diag};
use crate::host::{HostError, PortOwner, Transport, plain_line};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Programs that hold a port for a container.
const FOR_DOCKER: [&str; 3] = ["docker-proxy", "dockerd", "rootlesskit"];

/// Whoever listens on a port of any address of this host; a container rather than what holds the port for it.
pub(super) async fn owner(
    socket: &Path,
    transport: Transport,
    port: u16,
) -> Result<Option<PortOwner>, HostError> {
    let inodes = listeners(transport, port)?;
    let Some((pid, process)) = process_with(&inodes) else {
        // No process: a port that Docker forwards in the kernel, or one whose process we may not see.
        let container = Publishers::of(socket).await.publishing(transport, port);
        return Ok((container.is_some() || !inodes.is_empty()).then(|| PortOwner {
            container,
            ..PortOwner::default()
        }));
    };
    let home = home_of(pid);
    let mut container = None;
    if home.container.is_some() || FOR_DOCKER.contains(&process.as_str()) {
        let publishers = Publishers::of(socket).await;
        let inside = home.container.as_deref();
        container = inside
            .and_then(|id| publishers.named(id))
            .or_else(|| publishers.publishing(transport, port));
    }
    Ok(Some(PortOwner {
        pid: Some(pid),
        process,
        unit: home.unit,
        container,
    }))
}

/// Whether anybody listens on a port; no process is looked through for it.
pub(super) async fn is_taken(socket: &Path, transport: Transport, port: u16) -> Result<bool, HostError> {
    if !listeners(transport, port)?.is_empty() {
        return Ok(true);
    }
    // Docker may forward it in the kernel, where nobody listens.
    let publishers = Publishers::of(socket).await;
    Ok(publishers.publishing(transport, port).is_some())
}

/// The inodes of the sockets that listen on a port.
fn listeners(transport: Transport, port: u16) -> Result<BTreeSet<u64>, HostError> {
    let tables = match transport {
        Transport::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
        Transport::Udp => ["/proc/net/udp", "/proc/net/udp6"],
    };
    let mut inodes = BTreeSet::new();
    for (table, family) in tables.into_iter().zip(sock_diag::FAMILIES) {
        match transport {
            Transport::Tcp => match sock_diag::listeners(family, port) {
                Ok(found) => inodes.extend(found),
                Err(_) => inodes.extend(in_table(table, transport, port)?),
            },
            Transport::Udp => inodes.extend(in_table(table, transport, port)?),
        }
    }
    Ok(inodes)
}

/// The same from one of the kernel's tables, which every kernel has.
fn in_table(table: &str, transport: Transport, port: u16) -> Result<Vec<u64>, HostError> {
    // Not through `files::read`: a busy host's table is larger than what that reads.
    match fs::read_to_string(table) {
        Ok(text) => Ok(text
            .lines()
            .filter_map(|line| listener(line, transport, port))
            .collect()),
        // A kernel without IPv6.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(HostError::File {
            verb: "read",
            path: table.into(),
            source,
        }),
    }
}

/// The inode of a line of the kernel's table, if it is a socket that listens on the port.
pub fn listener(line: &str, transport: Transport, port: u16) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, _remote, state) = (fields.next()?, fields.next()?, fields.next()?);
    let (_, local_port) = local.rsplit_once(':')?;
    // TCP: LISTEN. UDP: bound, and connected to nobody.
    let listening = match transport {
        Transport::Tcp => "0A",
        Transport::Udp => "07",
    };
    if state != listening || u16::from_str_radix(local_port, 16).ok()? != port {
        return None;
    }
    fields.nth(5)?.parse().ok()
}

/// The process with the lowest id that has one of these sockets open.
fn process_with(inodes: &BTreeSet<u64>) -> Option<(u32, String)> {
    if inodes.is_empty() {
        return None;
    }
    let mut pids: Vec<u32> = fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    let pid = pids.into_iter().find(|pid| has_socket(*pid, inodes))?;
    let comm = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some((
        pid,
        plain_line(String::from_utf8_lossy(&comm).trim_end_matches('\n')),
    ))
}

fn has_socket(pid: u32, inodes: &BTreeSet<u64>) -> bool {
    // A process that is gone, or not ours to look into, has none.
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors.filter_map(Result::ok).any(|descriptor| {
        fs::read_link(descriptor.path())
            .ok()
            .and_then(|target| socket_inode(target.to_str()?))
            .is_some_and(|inode| inodes.contains(&inode))
    })
}

/// `socket:[12345]`
fn socket_inode(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn home_of(pid: u32) -> Home {
    let text = files::read(Path::new(&format!("/proc/{pid}/cgroup")));
    let text = text.ok().flatten().unwrap_or_default();
    cgroup::home(&String::from_utf8_lossy(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 23611 1 0000000000000000 100 0 0 10 0
   1: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   112        0 19205 1 0000000000000000 100 0 0 10 0
   2: 0A00020F:01BB 0202000A:D431 01 00000000:00000000 02:000A3E1B 00000000     0        0 24100 2 0000000000000000 20 4 31 10 -1";
    const TCP6: &str = "   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 23612 1 0000000000000000 100 0 0 10 0";
    const UDP: &str = "\
  316: 00000000:0D96 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 30001 2 0000000000000000 0
  317: 0F02000A:0D96 08080808:0035 01 00000000:00000000 00:00000000 00000000     0        0 30002 2 0000000000000000 0";

    fn found(text: &str, transport: Transport, port: u16) -> Vec<u64> {
        text.lines()
            .filter_map(|line| listener(line, transport, port))
            .collect()
    }

    #[test]
    fn only_sockets_that_listen_on_the_port_are_found() {
        assert_eq!(found(TCP, Transport::Tcp, 443), [23611]);
        assert_eq!(found(TCP, Transport::Tcp, 3306), [19205]);
        assert!(found(TCP, Transport::Tcp, 80).is_empty());
        assert_eq!(found(TCP6, Transport::Tcp, 80), [23612]);
        assert_eq!(found(UDP, Transport::Udp, 3478), [30001]);
        assert!(found("nonsense\n 1: x y\n 1: x:zz y 0A", Transport::Tcp, 80).is_empty());
    }

    #[test]
    fn a_descriptor_names_its_socket() {
        assert_eq!(socket_inode("socket:[23611]"), Some(23611));
        assert_eq!(socket_inode("/dev/null"), None);
        assert_eq!(socket_inode("socket:[]"), None);
    }

    #[tokio::test]
    async fn f55_the_process_that_listens_on_a_port_is_named() {
        let nowhere = Path::new("/nonexistent/docker.sock");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = owner(nowhere, Transport::Tcp, port).await.unwrap().unwrap();
        assert_eq!(found.pid, Some(std::process::id()));
        assert!(!found.process.is_empty());
        assert!(is_taken(nowhere, Transport::Tcp, port).await.unwrap());
        drop(listener);
        assert_eq!(owner(nowhere, Transport::Tcp, port).await.unwrap(), None);
        assert!(!is_taken(nowhere, Transport::Tcp, port).await.unwrap());
        let socket = std::net::UdpSocket::bind("[::1]:0")
            .or_else(|_| std::net::UdpSocket::bind("127.0.0.1:0"))
            .unwrap();
        let port = socket.local_addr().unwrap().port();
        let found = owner(nowhere, Transport::Udp, port).await.unwrap().unwrap();
        assert_eq!(found.pid, Some(std::process::id()));
    }
}
