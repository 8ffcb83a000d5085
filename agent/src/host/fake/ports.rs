//! Who listens on a fake host: foreign listeners, then what follows from proxies and containers.

use super::world::World;
use crate::host::{PortOwner, Transport};

impl World {
    pub(super) fn port_owner(&self, transport: Transport, port: u16) -> Option<PortOwner> {
        if let Some(foreign) = self.ports.get(&(transport, port)) {
            return Some(foreign.clone());
        }
        let web = if self.caddy_listens(port) {
            Some("caddy")
        } else {
            self.nginx_listens(port).then_some("nginx")
        };
        if let Some(process) = web.filter(|_| transport == Transport::Tcp) {
            return Some(PortOwner {
                pid: Some(501),
                process: process.to_owned(),
                unit: Some(format!("{process}.service")),
                container: None,
            });
        }
        let running = self.containers.values().filter(|one| one.state == "running");
        let mut holders = running.filter_map(|one| match one.service.as_str() {
            // Host networking: only the process shows.
            "coturn" if port == 3478 || (port == 5349 && self.turn.tls) => Some(("turnserver", None)),
            _ if one.ports.contains(&port) => Some(("docker-proxy", Some(one.name.clone()))),
            _ => None,
        });
        holders.next().map(|(process, container)| PortOwner {
            pid: Some(502),
            process: process.to_owned(),
            unit: None,
            container,
        })
    }
}
