//! ufw. It is read from its own files: the daemon may not ask the kernel for its rules.

use super::{Firewall, Gate, Opening, Turn};
use crate::host::{Command, HostError, Look};
use async_trait::async_trait;
use std::path::Path;

const STATE: &str = "/etc/ufw/ufw.conf";
const DEFAULTS: &str = "/etc/default/ufw";
const RULES: &str = "/etc/ufw/user.rules";

/// The row.
pub(super) struct Ufw;

#[async_trait]
impl Firewall for Ufw {
    fn name(&self) -> &'static str {
        "ufw"
    }

    async fn is_active(&self, host: &dyn Look) -> Result<bool, HostError> {
        let says = |text: &str, key: &str, value: &str| {
            let mut lines = text.lines().filter_map(|line| line.trim().split_once('='));
            lines.any(|(name, said)| name == key && said.trim_matches('"').eq_ignore_ascii_case(value))
        };
        // Its files stay where the package was removed without them.
        if host.program("ufw").await?.is_none() {
            return Ok(false);
        }
        let state = text(host, STATE).await?;
        let defaults = text(host, DEFAULTS).await?;
        Ok(says(&state, "ENABLED", "yes") && !says(&defaults, "DEFAULT_INPUT_POLICY", "ACCEPT"))
    }

    async fn takes_changes(&self, host: &dyn Look) -> Result<bool, HostError> {
        Ok(host.program("ufw").await?.is_some())
    }

    async fn gates(&self, host: &dyn Look, openings: &[Opening]) -> Result<Vec<Gate>, HostError> {
        let rules = text(host, RULES).await?;
        Ok(openings.iter().map(|opening| gate(&rules, *opening)).collect())
    }

    async fn commands(
        &self,
        _host: &dyn Look,
        opening: Opening,
        turn: Turn,
    ) -> Result<Vec<Command>, HostError> {
        let verb: &[&str] = match turn {
            Turn::Open => &["allow"],
            Turn::Shut => &["delete", "allow"],
        };
        Ok(vec![Command::new("ufw", verb).arg(opening.written(':'))])
    }

    fn undeny(&self, opening: Opening) -> String {
        format!("ufw delete deny {}", opening.written(':'))
    }
}

async fn text(host: &dyn Look, path: &str) -> Result<String, HostError> {
    let content = host.read(Path::new(path)).await?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&content).into_owned())
}

/// The first rule for the port counts, as in the kernel.
fn gate(rules: &str, opening: Opening) -> Gate {
    let mut tuples = rules
        .lines()
        .filter_map(|line| line.strip_prefix("### tuple ### "));
    tuples
        .find_map(|tuple| rule(tuple, opening))
        .unwrap_or(Gate::Shut)
}

/// What a rule says of an opening, if it is about it and for everybody: `allow tcp 80 0.0.0.0/0 any 0.0.0.0/0 in`.
fn rule(tuple: &str, opening: Opening) -> Option<Gate> {
    let words: Vec<&str> = tuple.split_ascii_whitespace().collect();
    let [action, protocol, ports, to, from_port, from, rest @ ..] = words.as_slice() else {
        return None;
    };
    let everybody = [to, from]
        .iter()
        .all(|address| matches!(**address, "0.0.0.0/0" | "any"))
        && *from_port == "any";
    let incoming = !rest
        .iter()
        .any(|word| word.starts_with("out") || word.starts_with("in_"));
    let about = matches!(*protocol, "any") || *protocol == opening.protocol();
    let within = *ports == "any" || ports.split(',').any(|ports| opening.is_within(ports));
    if !(everybody && incoming && about && within) {
        return None;
    }
    match *action {
        "allow" | "limit" => Some(Gate::Open),
        "deny" | "reject" => Some(Gate::Denied),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Transport;

    /// As ufw 0.36 writes it, after `ufw allow 22/tcp`, `ufw deny 80/tcp`, `ufw allow 'Nginx Full'`, `ufw allow from
    /// 192.0.2.1 to any port 3478` and `ufw allow 49000:50000/udp`.
    const RULES: &str = "*filter\n### RULES ###\n\n\
        ### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\n-A ufw-user-input -p tcp --dport 22 -j ACCEPT\n\n\
        ### tuple ### deny tcp 80 0.0.0.0/0 any 0.0.0.0/0 in\n\
        ### tuple ### allow tcp 80,443 0.0.0.0/0 any 0.0.0.0/0 Nginx%20Full - in\n\
        ### tuple ### allow any 3478 0.0.0.0/0 any 192.0.2.1 in\n\
        ### tuple ### allow udp 49000:50000 0.0.0.0/0 any 0.0.0.0/0 in comment=63\n";

    #[test]
    fn the_first_rule_for_everybody_counts() {
        let of = |transport, first, last| {
            gate(
                RULES,
                Opening {
                    transport,
                    first,
                    last,
                },
            )
        };
        assert_eq!(of(Transport::Tcp, 443, 443), Gate::Open);
        assert_eq!(of(Transport::Tcp, 80, 80), Gate::Denied);
        assert_eq!(of(Transport::Udp, 3478, 3478), Gate::Shut);
        assert_eq!(of(Transport::Udp, 49152, 49200), Gate::Open);
        assert_eq!(of(Transport::Tcp, 8443, 8443), Gate::Shut);
    }
}
