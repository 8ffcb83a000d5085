//! firewalld, in its default zone. Ports are opened both now and for good, without a reload, which would take Docker's
//! own rules away.

use super::{Firewall, Gate, Opening, Turn};
use crate::host::{Command, HostError, Look};
use async_trait::async_trait;

const UNIT: &str = "firewalld.service";
/// What changes its files while it does not run.
const OFFLINE: &str = "firewall-offline-cmd";
/// The services of firewalld that stand for our ports.
const SERVICES: &[(&str, &str)] = &[("http", "80/tcp"), ("https", "443/tcp")];

/// The row.
pub(super) struct Firewalld;

#[async_trait]
impl Firewall for Firewalld {
    fn name(&self) -> &'static str {
        "firewalld"
    }

    async fn is_active(&self, host: &dyn Look) -> Result<bool, HostError> {
        Ok(host.unit(UNIT).await?.active)
    }

    async fn takes_changes(&self, host: &dyn Look) -> Result<bool, HostError> {
        Ok(self.is_active(host).await? || host.program(OFFLINE).await?.is_some())
    }

    async fn gates(&self, host: &dyn Look, openings: &[Opening]) -> Result<Vec<Gate>, HostError> {
        let now = open(host, &[]).await?;
        let stays = open(host, &["--permanent"]).await?;
        let is_open = |list: &[String], opening: Opening| {
            list.iter()
                .filter_map(|entry| entry.split_once('/'))
                .any(|(ports, protocol)| protocol == opening.protocol() && opening.is_within(ports))
        };
        let gate = |opening: &Opening| match (is_open(&now, *opening), is_open(&stays, *opening)) {
            (true, true) => Gate::Open,
            (false, false) => Gate::Shut,
            (true, false) => Gate::UntilBoot,
            (false, true) => Gate::AfterBoot,
        };
        Ok(openings.iter().map(gate).collect())
    }

    fn commands(&self, opening: Opening, turn: Turn, is_active: bool) -> Vec<Command> {
        let verb = match turn {
            Turn::Open => "add",
            Turn::Shut => "remove",
        };
        let port = format!("--{verb}-port={opening}");
        if !is_active {
            return vec![Command::new(OFFLINE, &[]).arg(port)];
        }
        vec![
            Command::new("firewall-cmd", &["--permanent"]).arg(port.clone()),
            Command::new("firewall-cmd", &[]).arg(port),
        ]
    }

    fn undeny(&self, opening: Opening) -> String {
        format!("firewall-cmd --permanent --add-port={opening}")
    }
}

/// What is open, as `80/tcp` and `49152-49200/udp`.
async fn open(host: &dyn Look, how: &[&str]) -> Result<Vec<String>, HostError> {
    let mut found = Vec::new();
    for what in ["--list-ports", "--list-services"] {
        let output = host
            .query(Command::new("firewall-cmd", &[how, &[what]].concat()))
            .await?;
        if !output.ok() {
            return Err(HostError::Unknown {
                what: "what firewalld lets through",
                why: output.last_lines(1).join(""),
            });
        }
        for word in output.stdout.split_ascii_whitespace() {
            let port = SERVICES
                .iter()
                .find(|(name, _)| *name == word)
                .map(|(_, port)| *port);
            found.push(port.unwrap_or(word).to_owned());
        }
    }
    Ok(found)
}
