//! ufw, firewalld and `SELinux` on a fake host, as their files and commands show them.

use super::world::{World, output};
use crate::host::{Command, Output};
use std::path::Path;

const RULES: &str = "/etc/ufw/user.rules";
const BOOLEAN: &str = "/sys/fs/selinux/booleans/httpd_can_network_connect";
/// What firewalld has open now, and what for good.
const NOW: &str = "/run/firewalld.ports";
const STAYS: &str = "/etc/firewalld/zones/public.ports";

impl World {
    pub(super) fn firewall_query(&self, command: &Command) -> Option<Output> {
        let (args, zone) = zoned(command);
        let list = |path: &'static str| output(0, &self.text(zone.in_place_of(path)).unwrap_or_default());
        match (command.program.as_str(), args.as_slice()) {
            ("firewall-cmd" | "firewall-offline-cmd", ["--get-zone-of-interface=eth1"]) => {
                Some(output(0, "work\n"))
            }
            ("firewall-cmd", ["--permanent", "--list-ports"]) => Some(list(STAYS)),
            ("firewall-cmd", ["--list-ports"]) => Some(list(NOW)),
            ("firewall-cmd", [.., "--list-services"]) => Some(output(0, "ssh dhcpv6-client")),
            _ => None,
        }
    }

    pub(super) fn firewall_change(&mut self, command: &Command) -> Option<Output> {
        let (args, zone) = zoned(command);
        match (command.program.as_str(), args.as_slice()) {
            ("ufw", ["allow", port]) => self.add(RULES, &tuple(port)?),
            ("ufw", ["delete", "allow", port]) => self.take(RULES, &tuple(port)?),
            ("firewall-cmd", ["--permanent", port]) | ("firewall-offline-cmd", [port]) => {
                self.set_port(zone.in_place_of(STAYS), port)?;
            }
            ("firewall-cmd", [port]) => self.set_port(zone.in_place_of(NOW), port)?,
            ("setsebool", ["-P", "httpd_can_network_connect", "on"]) => self.put(BOOLEAN, "1 1"),
            ("setsebool", ["-P", "httpd_can_network_connect", "off"]) => self.put(BOOLEAN, "0 0"),
            _ => return None,
        }
        Some(output(0, "success"))
    }

    fn set_port(&mut self, path: &str, port: &str) -> Option<()> {
        match port.split_once("-port=")? {
            ("--add", port) => self.add(path, &format!("{port} ")),
            ("--remove", port) => self.take(path, &format!("{port} ")),
            _ => return None,
        }
        Some(())
    }

    /// What is not there need not be taken away; a file with nothing left is as if it had never been.
    fn take(&mut self, path: &str, entry: &str) {
        let text = self.text(path).unwrap_or_default().replace(entry, "");
        if text.is_empty() {
            self.files.remove(Path::new(path));
            self.owners.remove(Path::new(path));
        } else {
            self.put(path, text);
        }
    }

    /// What is there already is not added twice.
    fn add(&mut self, path: &str, entry: &str) {
        let mut text = self.text(path).unwrap_or_default();
        if !text.contains(entry) {
            text += entry;
            self.put(path, text);
        }
    }
}

/// The zone that a command is about: the default one, or the other.
struct Zone(bool);

impl Zone {
    fn in_place_of(&self, path: &'static str) -> &'static str {
        match (self.0, path) {
            (true, NOW) => "/run/firewalld.work.ports",
            (true, STAYS) => "/etc/firewalld/zones/work.ports",
            (_, path) => path,
        }
    }
}

fn zoned(command: &Command) -> (Vec<&str>, Zone) {
    let mut args: Vec<&str> = command.args.iter().map(String::as_str).collect();
    let at = args.windows(2).position(|pair| pair == ["--zone", "work"]);
    if let Some(at) = at {
        args.drain(at..at + 2);
    }
    (args, Zone(at.is_some()))
}

fn tuple(port: &str) -> Option<String> {
    let (ports, protocol) = port.split_once('/')?;
    Some(format!(
        "### tuple ### allow {protocol} {ports} 0.0.0.0/0 any 0.0.0.0/0 in\n"
    ))
}
