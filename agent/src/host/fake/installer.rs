//! chatalot's installer on a fake host: the contract of the runbook, and ways to break it.

use super::world::{EngineState, World, output};
use crate::host::{Command, Container, Output};
use std::collections::BTreeMap;
use std::path::Path;

/// How the installer behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installer {
    /// The flags that it knows; those that take a value end in `=`.
    pub flags: Vec<&'static str>,
    /// How a run ends.
    pub outcome: Outcome,
    /// chatalot's version that it installs.
    pub version: String,
}

/// How a run of the installer ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As the runbook says.
    Completes,
    /// With this exit code and these lines, having done nothing.
    Fails(i32, String),
    /// With exit code 0 and these lines, having done nothing.
    Pretends(String),
}

impl Default for Installer {
    fn default() -> Self {
        Self {
            flags: vec![
                "--non-interactive",
                "--domain=",
                "--admin-username=",
                "--registration=",
                "--enable-turn",
                "--turn-external-ip=",
                "--enable-updater",
                "--registry-user=",
                "--registry-token=",
                "--oidc-issuer=",
                "--oidc-client-id=",
                "--oidc-client-secret=",
                "--oidc-disable-password-login",
                "--expose=",
                "--cloudflare-token=",
                "--use-prebuilt",
                "--overwrite-env",
            ],
            outcome: Outcome::Completes,
            version: "0.24.1".to_owned(),
        }
    }
}

/// What of its flags stands in `.env`, and under which name.
const VARIABLES: &[(&str, &str)] = &[
    ("--domain", "DOMAIN"),
    ("--admin-username", "ADMIN_USERNAME"),
    ("--registration", "REGISTRATION_MODE"),
    ("--turn-external-ip", "TURN_EXTERNAL_IP"),
    ("--cloudflare-token", "CLOUDFLARE_TOKEN"),
    ("--oidc-issuer", "OIDC_ISSUER"),
    ("--oidc-client-id", "OIDC_CLIENT_ID"),
    ("--oidc-client-secret", "OIDC_CLIENT_SECRET"),
    ("--oidc-disable-password-login", "OIDC_DISABLE_PASSWORD_LOGIN"),
];

/// What it was told: flags with their values.
type Told = BTreeMap<String, String>;

impl Installer {
    fn parse(&self, args: &[String]) -> Result<Told, Output> {
        let mut told = Told::new();
        let mut words = args.iter();
        while let Some(word) = words.next() {
            let known = self.flags.iter().find(|flag| flag.trim_end_matches('=') == word);
            let value = match known {
                None => return Err(output(2, &format!("unknown flag: {word}"))),
                Some(flag) if flag.ends_with('=') => words.next().cloned(),
                Some(_) => Some("1".to_owned()),
            };
            told.insert(word.clone(), value.unwrap_or_default());
        }
        let missing: Vec<&str> = ["--domain", "--admin-username"]
            .into_iter()
            .filter(|flag| !told.contains_key(*flag))
            .collect();
        if missing.is_empty() {
            Ok(told)
        } else {
            Err(output(2, &format!("missing more flags: {}", missing.join(" "))))
        }
    }
}

/// The folder of an installer, if that is what a command runs.
fn folder_of(command: &Command) -> Option<String> {
    let folder = command.program.strip_suffix("/scripts/install.sh")?;
    Some(folder.to_owned())
}

impl World {
    pub(super) fn installer_help(&self, command: &Command) -> Option<Output> {
        folder_of(command)?;
        if command.args != ["--help"] {
            return None;
        }
        let flags: Vec<&str> = self
            .installer
            .flags
            .iter()
            .map(|flag| flag.trim_end_matches('='))
            .collect();
        Some(output(
            0,
            &format!("usage: install.sh [flags]\n  {}\n", flags.join("\n  ")),
        ))
    }

    pub(super) fn installer_run(&mut self, command: &Command) -> Option<Output> {
        let folder = folder_of(command)?;
        match self.installer.outcome.clone() {
            Outcome::Fails(code, text) => return Some(output(code, &text)),
            Outcome::Pretends(text) => return Some(output(0, &text)),
            Outcome::Completes => {}
        }
        let told = match self.installer.parse(&command.args) {
            Ok(told) => told,
            Err(refused) => return Some(refused),
        };
        if self.engine != EngineState::Up || self.compose.is_none() {
            return Some(output(1, "Docker daemon is not running"));
        }
        if !self.network {
            return Some(output(1, "dial tcp: lookup registry: no such host"));
        }
        Some(self.install_chatalot(&folder, &told))
    }

    fn install_chatalot(&mut self, folder: &str, told: &Told) -> Output {
        let says = |flag: &str| told.get(flag).map_or("", String::as_str);
        let (turn, updater) = (
            told.contains_key("--enable-turn"),
            told.contains_key("--enable-updater"),
        );
        let mut profiles = Vec::new();
        profiles.extend(turn.then_some("turn"));
        profiles.extend(updater.then_some("updater"));
        profiles.extend(told.contains_key("--cloudflare-token").then_some("production"));
        let profiles = profiles.join(" ");
        let values: Vec<String> = VARIABLES
            .iter()
            .filter_map(|(flag, name)| Some(format!("{name}={}", told.get(*flag)?)))
            .collect();
        let path = Path::new(folder).join(".env");
        // One that is written anew gets a new password, which the database does not know.
        let password = if self.files.contains_key(&path) {
            "anew"
        } else {
            "generated"
        };
        let env = format!(
            "DB_PASSWORD={password}\nCOMPOSE_PROFILES={profiles}\n{}\n",
            values.join("\n")
        );
        // An existing one keeps what it has; that is what `--overwrite-env` is for.
        if !self.files.contains_key(&path) || told.contains_key("--overwrite-env") {
            self.put(path, env);
        }
        // A pair is made at once.
        let secrets = Path::new(folder).join("secrets");
        if !self.files.contains_key(&secrets.join("jwt_private.pem")) {
            self.put(secrets.join("jwt_public.pem"), password);
        }
        for key in ["jwt_private.pem", "totp_key", "turn_secret", "updater_token"] {
            self.put(Path::new(folder).join("secrets").join(key), "generated");
        }
        if let Some(user) = told.get("--registry-user") {
            let path = Path::new(folder).join("secrets/registry_creds");
            let creds = format!(
                "{{\"username\":\"{user}\",\"password\":\"{}\",\"serveraddress\":\"registry.example.net\"}}",
                says("--registry-token")
            );
            self.files.entry(path).or_insert_with(|| creds.into_bytes());
        }
        // It starts what the `.env` says that is there.
        let kept = self.text(Path::new(folder).join(".env")).unwrap_or_default();
        for service in services(profiles_of(&kept)) {
            let container = container(folder, service);
            self.containers.insert(container.name.clone(), container);
        }
        self.apply_override(Path::new(folder));
        let project = folder.rsplit('/').next().unwrap_or_default();
        self.volumes.insert(format!("{project}_postgres_data"));
        let bit = |on: bool| if on { "1" } else { "0" };
        let block = format!(
            "Pulling images\nInstall complete.\npublic_url=https://{0}\nadmin_username={1}\nregistration_mode={2}\nturn_enabled={3}\nupdater_enabled={4}\ncompose_profiles={profiles}\n\nNext:\n  1. Configure DNS for {0} -> this host.\n",
            says("--domain"),
            says("--admin-username"),
            says("--registration"),
            bit(turn),
            bit(updater),
        );
        output(0, &block)
    }

    pub(super) fn restart_service(&mut self, service: &str) -> Output {
        let found = self.containers.values_mut().find(|one| one.service == service);
        found.map_or_else(
            || output(1, "no such service"),
            |one| {
                "running".clone_into(&mut one.state);
                output(0, "")
            },
        )
    }

    /// `chown --reference`.
    pub(super) fn own_like(&mut self, like: &str, path: &str) -> Option<Output> {
        let like = self.owner(Path::new(like.strip_prefix("--reference=")?))?;
        self.owners.insert(path.into(), like);
        Some(output(0, ""))
    }

    pub(super) fn compose_services(&self, command: &Command) -> Output {
        let env = command
            .folder
            .as_ref()
            .and_then(|folder| self.text(folder.join(".env")));
        let Some(env) = env else {
            return output(1, "no configuration file provided: not found");
        };
        output(0, &services(profiles_of(&env)).join("\n"))
    }

    /// `docker stop` or `docker rm` of one container; `None` for any other command.
    pub(super) fn end_container(&mut self, verb: &str, name: &str) -> Option<Output> {
        match verb {
            "stop" => "exited".clone_into(&mut self.containers.get_mut(name)?.state),
            "rm" => drop(self.containers.remove(name)?),
            _ => return None,
        }
        Some(output(0, name))
    }
}

fn profiles_of(env: &str) -> &str {
    let mut lines = env.lines();
    lines
        .find_map(|line| line.strip_prefix("COMPOSE_PROFILES="))
        .unwrap_or_default()
}

fn services(profiles: &str) -> Vec<&'static str> {
    let mut services = vec!["chatalot", "postgres"];
    for profile in profiles.split(' ') {
        match profile {
            "turn" => services.push("coturn"),
            "production" => services.push("cloudflared"),
            "updater" => services.extend(["chatalot-updater", "chatalot-socket-proxy"]),
            _ => {}
        }
    }
    services
}

fn container(folder: &str, service: &str) -> Container {
    let name = match service {
        "chatalot" => "chatalot-server",
        "postgres" => "chatalot-db",
        "coturn" => "chatalot-turn",
        "cloudflared" => "chatalot-tunnel",
        other => other,
    };
    Container {
        name: name.to_owned(),
        project: folder.rsplit('/').next().unwrap_or_default().to_owned(),
        service: service.to_owned(),
        folder: folder.to_owned(),
        state: "running".to_owned(),
        health: matches!(service, "chatalot" | "postgres").then(|| "healthy".to_owned()),
        restart_policy: "unless-stopped".to_owned(),
        image: format!("registry.example.net/chatalot/{service}:0.24.1"),
        image_id: format!("sha256:{}", "0b".repeat(32)),
        ports: if service == "chatalot" {
            vec![8080]
        } else {
            Vec::new()
        },
        ..Container::default()
    }
}
