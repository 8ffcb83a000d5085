//! Containers and their logs.

use super::{PATIENCE, Trouble, connect, hangs, spoke, within};
use crate::host::{Container, HostError, Transport, plain_line, unpainted};
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{
    ContainerInspectResponse, ContainerSummary, ContainerSummaryStateEnum, HealthStatusEnum, PortSummary,
    PortSummaryTypeEnum,
};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder, LogsOptionsBuilder};
use futures_util::StreamExt;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::timeout;

/// The labels that compose puts on what it makes.
const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
/// The one that images carry by convention.
const VERSION: &str = "org.opencontainers.image.version";
const FOLDER: &str = "com.docker.compose.project.working_dir";

/// The most that is kept of a log.
const MOST: usize = 1024 * 1024;

/// The containers of a compose project, or all; sorted by name, stopped ones too.
pub(in crate::host::linux) async fn containers(
    socket: &Path,
    folder: Option<&str>,
) -> Result<Vec<Container>, HostError> {
    let docker = connect(socket).await?;
    let mut containers = Vec::new();
    for summary in summaries(&docker, folder).await? {
        let Some(id) = summary.id.clone() else {
            continue;
        };
        let asked = docker.inspect_container(&id, None::<InspectContainerOptions>);
        match timeout(PATIENCE, asked).await {
            Ok(Ok(details)) => containers.push(container(&summary, details)),
            // It is gone since it was listed.
            Ok(Err(Error::DockerResponseServerError { status_code: 404, .. })) => {}
            Ok(Err(e)) => return Err(spoke(&e).into()),
            Err(_) => return Err(hangs().into()),
        }
    }
    containers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(containers)
}

/// When somebody has started a container that has run ever since, in seconds since 1970: what its log holds of before is
/// history. Of one that the Engine starts again and again, what the last life has said is wanted too.
async fn standing_since(docker: &Docker, name: &str) -> Option<i32> {
    let asked = docker.inspect_container(name, None::<InspectContainerOptions>);
    let details = timeout(PATIENCE, asked).await.ok()?.ok()?;
    let state = details.state?;
    let stands = state.running == Some(true) && details.restart_count.unwrap_or_default() == 0;
    let started = OffsetDateTime::parse(&state.started_at.filter(|_| stands)?, &Rfc3339).ok()?;
    i32::try_from(started.unix_timestamp()).ok()
}

/// The last lines of a container's log, whole, both streams as they came, without colours; of one that was not ended since
/// somebody has started it, none of before.
pub(in crate::host::linux) async fn log(
    socket: &Path,
    name: &str,
    lines: u32,
) -> Result<Vec<String>, HostError> {
    let docker = connect(socket).await?;
    let options = LogsOptionsBuilder::new()
        .stdout(true)
        .stderr(true)
        .tail(&lines.to_string())
        .since(standing_since(&docker, name).await.unwrap_or_default())
        .build();
    let mut stream = std::pin::pin!(docker.logs(name, Some(options)));
    let mut content = Vec::new();
    let read = async {
        while let Some(chunk) = stream.next().await {
            content.extend_from_slice(chunk.map_err(|e| spoke(&e))?.as_ref());
            // What it said last counts.
            content.drain(..content.len().saturating_sub(MOST));
        }
        Ok::<_, Trouble>(())
    };
    timeout(PATIENCE, read).await.map_err(|_| hangs())??;
    let text = String::from_utf8_lossy(&content);
    Ok(text.lines().map(unpainted).collect())
}

/// What is to be known of containers to name the owner of a port.
#[derive(Debug, Default)]
pub(in crate::host::linux) struct Publishers(Vec<ContainerSummary>);

impl Publishers {
    /// Those of this host; none where the Engine is away.
    pub(in crate::host::linux) async fn of(socket: &Path) -> Self {
        let Ok(docker) = connect(socket).await else {
            return Self::default();
        };
        Self(summaries(&docker, None).await.unwrap_or_default())
    }

    /// The container that publishes a port.
    pub(in crate::host::linux) fn publishing(&self, transport: Transport, port: u16) -> Option<String> {
        let wanted = match transport {
            Transport::Tcp => PortSummaryTypeEnum::TCP,
            Transport::Udp => PortSummaryTypeEnum::UDP,
        };
        let found = self.0.iter().filter(|summary| !is_over(summary)).find(|summary| {
            let mut ports = summary.ports.iter().flatten();
            ports.any(|p| p.public_port == Some(port) && p.typ == Some(wanted))
        });
        found.map(name)
    }

    /// The container with an id.
    pub(in crate::host::linux) fn named(&self, id: &str) -> Option<String> {
        self.0
            .iter()
            .find(|summary| summary.id.as_deref() == Some(id))
            .map(name)
    }
}

/// Whether a container holds no port, whatever the Engine lists for it: one whose start has failed keeps its entries.
fn is_over(summary: &ContainerSummary) -> bool {
    use ContainerSummaryStateEnum as State;
    matches!(
        summary.state,
        Some(State::CREATED | State::EXITED | State::DEAD | State::REMOVING)
    )
}

async fn summaries(docker: &Docker, folder: Option<&str>) -> Result<Vec<ContainerSummary>, Trouble> {
    let mut filters: HashMap<&str, Vec<String>> = HashMap::new();
    if let Some(folder) = folder {
        filters.insert("label", vec![format!("{FOLDER}={folder}")]);
    }
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters)
        .build();
    within(docker.list_containers(Some(options))).await
}

fn name(summary: &ContainerSummary) -> String {
    let first = summary.names.iter().flatten().next();
    plain_line(first.map_or("", |name| name.trim_start_matches('/')))
}

fn container(summary: &ContainerSummary, details: ContainerInspectResponse) -> Container {
    let state = details.state.unwrap_or_default();
    let config = details.config.unwrap_or_default();
    let networks = details.network_settings.and_then(|settings| settings.networks);
    let command = [config.entrypoint, config.cmd];
    let mut networks: Vec<String> = networks.unwrap_or_default().into_keys().collect();
    networks.sort_unstable();
    let mounts = details.mounts.unwrap_or_default().into_iter();
    let label = |key: &str| {
        let value = summary.labels.as_ref().and_then(|labels| labels.get(key));
        plain_line(value.map_or("", String::as_str))
    };
    let health = state.health.and_then(|health| health.status);
    let policy = details.host_config.and_then(|config| config.restart_policy);
    let mut ports: Vec<u16> = summary
        .ports
        .iter()
        .flatten()
        .filter_map(|port| port.public_port)
        .collect();
    ports.sort_unstable();
    ports.dedup();
    let over_tcp = |port: &&PortSummary| port.typ == Some(PortSummaryTypeEnum::TCP);
    let inside = summary.ports.iter().flatten().filter(over_tcp);
    let inside = inside
        .filter_map(|port| Some((port.public_port?, port.private_port)))
        .collect();
    let is_private = |ip: &str| ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let is_public = |wanted: u16| {
        let mut bound = summary.ports.iter().flatten();
        bound.any(|port| port.public_port == Some(wanted) && !port.ip.as_deref().is_some_and(is_private))
    };
    let loopback = ports.iter().copied().filter(|port| !is_public(*port)).collect();
    Container {
        name: name(summary),
        project: label(PROJECT),
        service: label(SERVICE),
        folder: label(FOLDER),
        state: state.status.map(|status| status.to_string()).unwrap_or_default(),
        health: health
            .filter(|health| !matches!(health, HealthStatusEnum::EMPTY | HealthStatusEnum::NONE))
            .map(|health| health.to_string()),
        exit_code: state.exit_code.unwrap_or_default(),
        oom_killed: state.oom_killed.unwrap_or_default(),
        restarts: u64::try_from(details.restart_count.unwrap_or_default()).unwrap_or_default(),
        restart_policy: policy
            .and_then(|policy| policy.name)
            .map(|name| name.to_string())
            .unwrap_or_default(),
        image: plain_line(summary.image.as_deref().unwrap_or_default()),
        image_id: plain_line(details.image.as_deref().unwrap_or_default()),
        ports,
        inside,
        loopback,
        version: label(VERSION),
        command: command.into_iter().flatten().flatten().collect(),
        environment: config
            .env
            .unwrap_or_default()
            .into_iter()
            .filter(|entry| entry.starts_with("TRAEFIK_"))
            .collect(),
        networks,
        mounts: mounts
            .filter_map(|mount| Some((mount.source?, mount.destination?)))
            .collect(),
        labels: config
            .labels
            .unwrap_or_default()
            .into_iter()
            .filter(|(key, _)| key.starts_with("traefik."))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ContainerSummaryStateEnum as State;
    use bollard::models::PortSummary;

    #[test]
    fn a_container_whose_start_has_failed_holds_no_port() {
        let with = |state| {
            let port = PortSummary {
                private_port: 8080,
                public_port: Some(8080),
                typ: Some(PortSummaryTypeEnum::TCP),
                ..PortSummary::default()
            };
            let summary = ContainerSummary {
                names: Some(vec!["/chatalot-server".to_owned()]),
                ports: Some(vec![port]),
                state: Some(state),
                ..ContainerSummary::default()
            };
            Publishers(vec![summary]).publishing(Transport::Tcp, 8080)
        };
        for state in [State::RUNNING, State::RESTARTING, State::PAUSED] {
            assert_eq!(with(state).as_deref(), Some("chatalot-server"));
        }
        for state in [State::CREATED, State::EXITED, State::DEAD] {
            assert_eq!(with(state), None);
        }
    }
}
