//! firewalld, in the zone of the interface that leads to the world. Ports are opened both now and for good, without a
//! reload, which would take Docker's own rules away.

use super::{Firewall, Gate, Opening, Turn};
use crate::host::{Command, HostError, Look};
use async_trait::async_trait;
use std::path::Path;

const UNIT: &str = "firewalld.service";
const ROUTES: &str = "/proc/net/route";
const ONLINE: &str = "firewall-cmd";
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
        let zone = zone(host, ONLINE).await?;
        let now = open(host, zone.as_deref(), &[]).await?;
        let stays = open(host, zone.as_deref(), &["--permanent"]).await?;
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

    async fn commands(
        &self,
        host: &dyn Look,
        opening: Opening,
        turn: Turn,
    ) -> Result<Vec<Command>, HostError> {
        let verb = match turn {
            Turn::Open => "add",
            Turn::Shut => "remove",
        };
        let port = format!("--{verb}-port={opening}");
        let (program, hows): (&str, &[&[&str]]) = if self.is_active(host).await? {
            (ONLINE, &[&["--permanent"], &[]])
        } else {
            (OFFLINE, &[&[]])
        };
        let zone = zone(host, program).await?;
        let command =
            |how: &&[&str]| Command::new(program, &[*how, &of(zone.as_deref())].concat()).arg(port.clone());
        Ok(hows.iter().map(command).collect())
    }

    fn undeny(&self, opening: Opening) -> String {
        format!("{ONLINE} --permanent --add-port={opening}")
    }
}

fn of(zone: Option<&str>) -> Vec<&str> {
    zone.map_or_else(Vec::new, |zone| vec!["--zone", zone])
}

/// The zone of the interface that the default route leaves by; none where firewalld gives it none, so that the default one
/// is meant.
async fn zone(host: &dyn Look, program: &str) -> Result<Option<String>, HostError> {
    let routes = host.read(Path::new(ROUTES)).await?.unwrap_or_default();
    let Some(interface) = to_the_world(&String::from_utf8_lossy(&routes)) else {
        return Ok(None);
    };
    let ask = Command::new(program, &[]).arg(format!("--get-zone-of-interface={interface}"));
    let output = host.query(ask).await?;
    let zone = output.stdout.trim();
    let is_name = !zone.is_empty()
        && zone
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_/".contains(c));
    Ok((output.ok() && is_name).then(|| zone.to_owned()))
}

/// The interface of the default route, as the kernel lists IPv4 routes.
fn to_the_world(routes: &str) -> Option<String> {
    let mut words = routes.lines().map(|line| line.split_ascii_whitespace());
    words.find_map(|mut words| {
        let interface = words.next()?;
        (words.next()? == "00000000").then(|| interface.to_owned())
    })
}

/// What is open in a zone, as `80/tcp` and `49152-49200/udp`.
async fn open(host: &dyn Look, zone: Option<&str>, how: &[&str]) -> Result<Vec<String>, HostError> {
    let mut found = Vec::new();
    for what in ["--list-ports", "--list-services"] {
        let output = host
            .query(Command::new(ONLINE, &[how, &of(zone), &[what]].concat()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_that_leads_to_the_world_is_that_of_the_default_route() {
        let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
        let inner = "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        let outer = "ens3\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
        assert_eq!(
            to_the_world(&[head, inner, outer].concat()).as_deref(),
            Some("ens3")
        );
        assert_eq!(to_the_world(&[head, inner].concat()), None);
        assert_eq!(to_the_world(""), None);
    }
}
