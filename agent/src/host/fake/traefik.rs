//! Traefik on a fake host: it serves the containers whose labels it sees, once compose has started them with those.

use super::world::{EngineState, World, output};
use crate::host::{Command, Container, Fetch, FetchError, Fetched, Output};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const OVERRIDE: &str = "docker-compose.override.yml";
const SERVER: &str = "chatalot-server";

/// The entries of an override that stand on a line of their own, as we and most people write them.
fn labels(text: &str) -> BTreeMap<String, String> {
    let entries = text.lines().filter_map(|line| {
        let entry = line.trim().strip_prefix("- ")?.trim_matches(['"', '\'']);
        entry.split_once('=')
    });
    entries
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The name of the network that the override declares as external.
fn network(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("external: true")?;
    let line = rest.lines().find_map(|line| line.trim().strip_prefix("name: "))?;
    Some(line.trim_matches(['"', '\'']).to_owned())
}

/// Whether the override puts chatalot's port on loopback in place of the base's.
fn is_local(text: &str) -> bool {
    text.contains("ports: !override\n") && text.contains("- \"127.0.0.1:8080:8080\"\n")
}

impl World {
    /// A Traefik as people run it, with an engine from elsewhere beneath it.
    pub fn run_traefik(&mut self) {
        let flags = [
            "--providers.docker=true",
            "--entrypoints.web.address=:80",
            "--entrypoints.websecure.address=:443",
            "--certificatesresolvers.le.acme.tlschallenge=true",
        ];
        let container = Container {
            name: "traefik".to_owned(),
            image: "traefik:v3.6.1".to_owned(),
            state: "running".to_owned(),
            restart_policy: "always".to_owned(),
            ports: vec![80, 443],
            command: flags.map(str::to_owned).to_vec(),
            networks: vec!["edge".to_owned()],
            ..Container::default()
        };
        self.containers.insert(container.name.clone(), container);
    }

    pub(super) fn compose_query(&self, command: &Command) -> Option<Output> {
        let args: Vec<&str> = command.args.iter().map(String::as_str).collect();
        let files = match (command.program.as_str(), args.as_slice()) {
            ("docker", ["compose", "config", "--format", "json"]) => vec![OVERRIDE],
            ("docker", ["compose", rest @ .., "config", "--format", "json"]) => rest.to_vec(),
            _ => return None,
        };
        let folder = command.folder.as_deref()?;
        let texts: Vec<String> = files
            .iter()
            .filter_map(|name| self.text(folder.join(name)))
            .collect();
        Some(output(0, &configuration(&texts.concat()).to_string()))
    }

    pub(super) fn compose_change(&mut self, command: &Command) -> Option<Output> {
        let args: Vec<&str> = command.args.iter().map(String::as_str).collect();
        if let ("docker", [verb, "--", name]) = (command.program.as_str(), args.as_slice()) {
            return self.end_container(verb, name);
        }
        if (command.program.as_str(), args.as_slice()) != ("docker", &["compose", "up", "-d", "chatalot"]) {
            return None;
        }
        if self.engine != EngineState::Up {
            return Some(output(1, "Cannot connect to the Docker daemon"));
        }
        self.apply_override(command.folder.as_deref()?);
        Some(output(0, "Container chatalot-server  Started"))
    }

    /// What `up` makes of the override that is there.
    pub(super) fn apply_override(&mut self, folder: &Path) {
        let text = self.text(folder.join(OVERRIDE)).unwrap_or_default();
        if let Some(server) = self.containers.get_mut(SERVER) {
            server.labels = labels(&text);
            server.networks = ["chatalot_default".to_owned()]
                .into_iter()
                .chain(network(&text))
                .collect();
            server.loopback = is_local(&text).then_some(8080).into_iter().collect();
            "running".clone_into(&mut server.state);
        }
    }

    pub(super) fn traefik_listens(&self) -> bool {
        self.engine == EngineState::Up
            && self
                .containers
                .get("traefik")
                .is_some_and(|one| one.state == "running")
    }

    pub(super) fn through_traefik(
        &self,
        host: &str,
        path: &str,
        fetch: &Fetch,
    ) -> Result<Fetched, FetchError> {
        let own = || FetchError::Tls("a certificate of Traefik's own".to_owned());
        let server = self.containers.get(SERVER).ok_or_else(own)?;
        if server.state != "running" {
            return Err(own());
        }
        let label = |key: &str| {
            server
                .labels
                .get(&format!("traefik.http.{key}"))
                .map(String::as_str)
        };
        let edge = server.networks.iter().any(|name| name == "edge");
        let routed = label("routers.chatalot.rule") == Some(&format!("Host(`{host}`)"))
            && label("routers.chatalot.entrypoints") == Some("websecure")
            && label("routers.chatalot.tls.certresolver") == Some("le")
            && label("services.chatalot.loadbalancer.server.port") == Some("8080");
        if !routed || self.acme_refuses.is_some() {
            return Err(own());
        }
        let answer = if edge { self.chatalot(path, fetch) } else { None };
        let mut answer = answer.unwrap_or_else(|| Fetched {
            status: 504,
            ..Fetched::default()
        });
        let limit = label("middlewares.chatalot-limit.ipallowlist.sourcerange").unwrap_or_default();
        let limited = label("routers.chatalot.middlewares").is_some_and(|all| all.contains("chatalot-limit"));
        if limited && self.keeps_out(limit.split(','), fetch, true) {
            answer = Fetched {
                status: 403,
                ..Fetched::default()
            };
        }
        let mut add = |name: &str, value: &str| answer.headers.push((name.to_owned(), value.to_owned()));
        if label("middlewares.chatalot-headers.headers.stsseconds").is_some() {
            add("strict-transport-security", "max-age=31536000; includeSubDomains");
        }
        let asked = fetch.headers.iter().any(|(name, _)| name == "accept-encoding");
        if asked && label("middlewares.chatalot-compress.compress") == Some("true") {
            add("content-encoding", "gzip");
        }
        answer.tls = Some(self.tls(false));
        Ok(answer)
    }
}

/// What compose says of the base and an override.
fn configuration(text: &str) -> Value {
    let labels: Map<String, Value> = labels(text)
        .into_iter()
        .map(|(key, value)| (key, value.into()))
        .collect();
    let mut port = json!({"target": 8080, "published": "8080"});
    if is_local(text) {
        port["host_ip"] = "127.0.0.1".into();
    }
    let mut service =
        json!({"image": "chatalot/server:0.24.1", "networks": {"default": null}, "ports": [port]});
    let mut networks = json!({"default": {"name": "chatalot_default"}});
    if let Some(name) = network(text) {
        service["networks"]["chatalot-proxy"] = Value::Null;
        networks["chatalot-proxy"] = json!({"name": name, "external": true});
    }
    if !labels.is_empty() {
        service["labels"] = labels.into();
    }
    json!({"services": {"chatalot": service}, "networks": networks})
}
