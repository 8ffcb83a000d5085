//! The package manager of a fake host, which learns its commands from the distribution's row.

use super::world::{EngineState, World, output};
use crate::host::{Command, Output, Unit};
use crate::runbook::distro::{Manager, PACMAN_LOCK};
use crate::runbook::packaging::TORN;
use crate::runbook::repositories;

/// What Debian's package brings as /etc/caddy/Caddyfile.
const CADDYFILE: &str = "# The Caddyfile is an easy way to configure your Caddy web server.\n\n:80 {\n\t# Set this path\n\troot * /usr/share/caddy\n\n\tfile_server\n\n\t# reverse_proxy localhost:8080\n}\n";

/// What Debian's nginx brings, as far as it matters here.
const NGINX_CONF: &str = "http {\n\tserver_tokens build;\n\tinclude /etc/nginx/conf.d/*.conf;\n\tinclude /etc/nginx/sites-enabled/*;\n}\n";
/// What Arch's brings: one file, which reads no folder.
const NGINX_CONF_OF_ARCH: &str = "http {\n    include       mime.types;\n    server {\n        listen       80;\n        server_name  localhost;\n    }\n}\n";
const NGINX_DEFAULT: &str = "server {\n\tlisten 80 default_server;\n\tserver_name _;\n}\n";

/// The names behind an argv of the row, if a command begins with it.
fn names<'a>(command: &'a Command, argv: &[&'a str]) -> Option<Vec<&'a str>> {
    let words = std::iter::once(&command.program).chain(&command.args);
    let words: Vec<&str> = words.map(String::as_str).collect();
    words.strip_prefix(argv).map(<[&str]>::to_vec)
}

impl World {
    pub(super) fn package_query(&self, command: &Command) -> Option<Output> {
        if names(command, self.distro.audit).is_some() {
            return Some(self.package_audit());
        }
        if names(command, TORN).is_some() {
            let torn: Vec<String> = self
                .torn
                .iter()
                .map(|name| format!("{name}\treinstreq"))
                .collect();
            return Some(output(0, &torn.join("\n")));
        }
        let asked = names(command, self.distro.query)?;
        let known: Vec<String> = asked
            .iter()
            .filter_map(|name| {
                let installed = self.packages.contains(*name).then_some("installed");
                let half = self.half_installed.contains(*name).then_some("half-configured");
                half.or(installed).map(|state| match self.distro.manager {
                    Manager::Apt | Manager::Dnf => format!("{name}\t{state}"),
                    Manager::Pacman => format!("{name} 1.0-1"),
                })
            })
            .collect();
        let code = i32::from(known.len() < asked.len());
        Some(output(code, &known.join("\n")))
    }

    /// What an earlier run has left, in the words of each package manager.
    fn package_audit(&self) -> Output {
        let half = self.half_installed.iter();
        match self.distro.manager {
            Manager::Apt => {
                let all = self.half_installed.union(&self.torn);
                let names: Vec<String> = all.map(|name| format!(" {name}")).collect();
                output(0, &names.join("\n"))
            }
            Manager::Dnf => {
                let all = self.packages.iter().chain(half.clone()).chain(half);
                let lines: Vec<String> = all.map(|name| format!("{name}\tx86_64")).collect();
                output(0, &lines.join("\n"))
            }
            // Nobody holds the lock.
            Manager::Pacman => output(1, ""),
        }
    }

    /// Leaves a package half installed, as a run that was cut off does.
    pub fn cut_off(&mut self, name: &str) {
        self.half_installed.insert(name.to_owned());
        if self.distro.manager == Manager::Pacman {
            self.put(PACMAN_LOCK, "");
        }
    }

    /// Whether a package can be had: a third party's only once its repository is set up.
    fn offered(&self, name: &str) -> bool {
        let elsewhere = self
            .distro
            .repositories
            .iter()
            .find(|one| one.packages.contains(&name));
        elsewhere.is_none_or(|one| {
            let files = [repositories::source_file(one), repositories::key_file(one)];
            files.iter().all(|file| self.files.contains_key(file))
        })
    }

    pub(super) fn package_change(&mut self, command: &Command) -> Option<Output> {
        if names(command, self.distro.repair).is_some() {
            let half = std::mem::take(&mut self.half_installed);
            if self.distro.manager == Manager::Pacman {
                self.files.remove(std::path::Path::new(PACMAN_LOCK));
            } else {
                for name in half {
                    self.install(&name);
                }
            }
            let text = "package is in a very bad inconsistent state; you should reinstall it";
            return Some(if self.torn.is_empty() {
                output(0, "")
            } else {
                output(1, text)
            });
        }
        if names(command, self.distro.refresh).is_some() {
            if !self.network {
                let text = "W: Failed to fetch http://deb/  Temporary failure resolving 'deb'\nW: Some index files failed to download.";
                return Some(output(0, text));
            }
            self.lists = true;
            return Some(output(0, "Reading package lists..."));
        }
        let wanted: Vec<String> = names(command, self.distro.install)?
            .into_iter()
            .map(str::to_owned)
            .collect();
        if !self.half_installed.is_empty() {
            return Some(output(
                100,
                "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'",
            ));
        }
        if !self.lists {
            return Some(output(100, "E: Unable to locate package"));
        }
        if !self.network {
            return Some(output(
                100,
                "E: Failed to fetch http://deb/  Temporary failure resolving 'deb'",
            ));
        }
        if let Some(unknown) = wanted
            .iter()
            .find(|name| *name != "--reinstall" && !self.offered(name))
        {
            return Some(output(100, &format!("E: Unable to locate package {unknown}")));
        }
        let again = wanted.first().is_some_and(|word| word == "--reinstall");
        for name in wanted.iter().skip(usize::from(again)) {
            self.torn.remove(name);
            self.install(name);
        }
        Some(output(0, "Setting up"))
    }

    /// A package and what comes with it.
    pub fn install(&mut self, name: &str) {
        self.packages.insert(name.to_owned());
        let row = self.distro;
        let mut unit = Unit {
            exists: true,
            ..Unit::default()
        };
        if row.engine.first() == Some(&name) {
            self.programs.insert("docker".to_owned());
            self.units.entry(row.engine_unit.to_owned()).or_insert(unit);
            if self.engine == EngineState::Absent {
                self.engine = EngineState::Down;
            }
        } else if row.compose.contains(&name) {
            self.compose = Some("2.26.1".to_owned());
        } else if row.caddy.contains(&name) {
            self.programs.insert("caddy".to_owned());
            // Debian starts and enables it at once.
            (unit.active, unit.enabled) = (true, true);
            self.units.entry("caddy.service".to_owned()).or_insert(unit);
            if self.text("/etc/caddy/Caddyfile").is_none() {
                self.put("/etc/caddy/Caddyfile", CADDYFILE);
            }
            self.load_caddy();
        } else if row.nginx.contains(&name) {
            self.programs.insert("nginx".to_owned());
            (unit.active, unit.enabled) = (true, true);
            self.units.entry("nginx.service".to_owned()).or_insert(unit);
            if self.distro.manager == Manager::Pacman {
                self.put("/etc/nginx/nginx.conf", NGINX_CONF_OF_ARCH);
            } else {
                self.put("/etc/nginx/nginx.conf", NGINX_CONF);
                self.put("/etc/nginx/sites-enabled/default", NGINX_DEFAULT);
            }
            self.load_nginx();
        } else if row.certbot.contains(&name) {
            self.programs.insert("certbot".to_owned());
            // Only Debian's starts it.
            let at_once = row.manager == Manager::Apt;
            (unit.active, unit.enabled) = (at_once, at_once);
            self.units.entry(row.certbot_timer.to_owned()).or_insert(unit);
        } else if row.tools.contains(&name) {
            self.programs.insert(name.to_owned());
        }
    }
}
