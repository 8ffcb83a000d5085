//! ufw, firewalld and `SELinux` on a fake host, as their files and commands show them.

use super::world::{World, output};
use crate::host::{Command, Output};

const RULES: &str = "/etc/ufw/user.rules";
const BOOLEAN: &str = "/sys/fs/selinux/booleans/httpd_can_network_connect";
/// What firewalld has open now, and what for good.
const NOW: &str = "/run/firewalld.ports";
const STAYS: &str = "/etc/firewalld/zones/public.ports";

impl World {
    pub(super) fn firewall_query(&self, command: &Command) -> Option<Output> {
        let args: Vec<&str> = command.args.iter().map(String::as_str).collect();
        let list = |path: &str| output(0, &self.text(path).unwrap_or_default());
        match (command.program.as_str(), args.as_slice()) {
            ("firewall-cmd", ["--permanent", "--list-ports"]) => Some(list(STAYS)),
            ("firewall-cmd", ["--list-ports"]) => Some(list(NOW)),
            ("firewall-cmd", [.., "--list-services"]) => Some(output(0, "ssh dhcpv6-client")),
            _ => None,
        }
    }

    pub(super) fn firewall_change(&mut self, command: &Command) -> Option<Output> {
        let args: Vec<&str> = command.args.iter().map(String::as_str).collect();
        match (command.program.as_str(), args.as_slice()) {
            ("ufw", ["allow", port]) => {
                let (ports, protocol) = port.split_once('/')?;
                let tuple = format!("### tuple ### allow {protocol} {ports} 0.0.0.0/0 any 0.0.0.0/0 in\n");
                self.add(RULES, &tuple);
            }
            ("firewall-cmd", ["--permanent", add]) => {
                self.add(STAYS, &format!("{} ", add.strip_prefix("--add-port=")?));
            }
            ("firewall-cmd", [add]) => self.add(NOW, &format!("{} ", add.strip_prefix("--add-port=")?)),
            ("setsebool", ["-P", "httpd_can_network_connect", "on"]) => self.put(BOOLEAN, "1 1"),
            _ => return None,
        }
        Some(output(0, "success"))
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
