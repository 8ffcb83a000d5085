//! The package manager of a fake host, which learns its commands from the distribution's row.

use super::world::{EngineState, World, output};
use crate::host::{Command, Output, Unit};
use crate::runbook::packaging::TORN;

/// What Debian's package brings as /etc/caddy/Caddyfile.
const CADDYFILE: &str = "# The Caddyfile is an easy way to configure your Caddy web server.\n\n:80 {\n\t# Set this path\n\troot * /usr/share/caddy\n\n\tfile_server\n\n\t# reverse_proxy localhost:8080\n}\n";

/// What Debian's nginx brings, as far as it matters here.
const NGINX_CONF: &str = "http {\n\tserver_tokens build;\n\tinclude /etc/nginx/conf.d/*.conf;\n\tinclude /etc/nginx/sites-enabled/*;\n}\n";
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
            let half: Vec<String> = self
                .half_installed
                .union(&self.torn)
                .map(|name| format!(" {name}"))
                .collect();
            return Some(output(0, &half.join("\n")));
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
                half.or(installed).map(|state| format!("{name}\t{state}"))
            })
            .collect();
        let code = i32::from(known.len() < asked.len());
        Some(output(code, &known.join("\n")))
    }

    pub(super) fn package_change(&mut self, command: &Command) -> Option<Output> {
        if names(command, self.distro.repair).is_some() {
            for name in std::mem::take(&mut self.half_installed) {
                self.install(&name);
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
            self.put("/etc/nginx/nginx.conf", NGINX_CONF);
            self.put("/etc/nginx/sites-enabled/default", NGINX_DEFAULT);
            self.load_nginx();
        } else if row.certbot.contains(&name) {
            self.programs.insert("certbot".to_owned());
            (unit.active, unit.enabled) = (true, true);
            self.units.entry(row.certbot_timer.to_owned()).or_insert(unit);
        } else if row.tools.contains(&name) {
            self.programs.insert(name.to_owned());
        }
    }
}
