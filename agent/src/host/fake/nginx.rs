//! nginx and certbot on a fake host: what is loaded is served, what the authority can fetch is signed.

use super::world::{World, output};
use crate::host::{Command, Output};
use rcgen::{CertificateParams, KeyPair};
use std::path::Path;

const UNIT: &str = "nginx.service";

impl World {
    /// The main file with what it includes, every file in its turn.
    fn nginx_configuration(&self) -> Result<String, &'static str> {
        let main = self.text("/etc/nginx/nginx.conf").ok_or("no nginx.conf")?;
        let mut whole = String::new();
        for line in main.lines() {
            let glob = line
                .trim()
                .strip_prefix("include ")
                .map(|glob| glob.split(';').next().unwrap_or_default());
            let Some((folder, ends)) = glob.and_then(|glob| glob.split_once('*')) else {
                whole.push_str(line);
                whole.push('\n');
                continue;
            };
            for name in self
                .list(Path::new(folder))
                .iter()
                .filter(|name| name.ends_with(ends))
            {
                whole += &self.text(Path::new(folder).join(name)).unwrap_or_default();
            }
        }
        if whole.matches('{').count() != whole.matches('}').count() {
            return Err("nginx: [emerg] unexpected end of file, expecting \"}\"");
        }
        let mut keys = whole
            .lines()
            .filter_map(|line| line.trim().strip_prefix("ssl_certificate "));
        if keys.any(|path| !self.files.contains_key(Path::new(path.trim_end_matches(';')))) {
            return Err("nginx: [emerg] cannot load certificate");
        }
        Ok(whole)
    }

    pub(super) fn load_nginx(&mut self) {
        let active = self.units.get(UNIT).is_some_and(|unit| unit.active);
        self.nginx_loaded = active.then(|| self.nginx_configuration().ok()).flatten();
    }

    pub(super) fn nginx_listens(&self, port: u16) -> bool {
        let loaded = self.nginx_loaded.as_deref().unwrap_or_default();
        let wanted = port.to_string();
        let mut ports = loaded
            .lines()
            .filter_map(|line| line.trim().strip_prefix("listen "));
        ports.any(|rest| rest.split([' ', ';']).next() == Some(wanted.as_str()))
    }

    /// The server block on a port that has a name.
    pub(super) fn nginx_block(&self, host: &str, port: &str) -> Option<String> {
        let loaded = self.nginx_loaded.as_deref()?;
        let mut blocks = loaded.split("server {").map(str::to_owned);
        blocks.find(|block| {
            block.contains(&format!("server_name {host};")) && block.contains(&format!("listen {port}"))
        })
    }

    pub(super) fn nginx_change(&mut self, command: &Command) -> Option<Output> {
        let args: Vec<&str> = command.args.iter().map(String::as_str).collect();
        match (command.program.as_str(), args.as_slice()) {
            ("nginx", ["-t"]) => Some(match self.nginx_configuration() {
                Ok(_) => output(
                    0,
                    "nginx: configuration file /etc/nginx/nginx.conf test is successful",
                ),
                Err(why) => output(1, why),
            }),
            ("systemctl", ["reload", UNIT]) => Some(match self.nginx_configuration() {
                Ok(_) if self.units.get(UNIT).is_some_and(|unit| unit.active) => {
                    self.load_nginx();
                    output(0, "")
                }
                Ok(_) => output(1, "nginx.service is not active, cannot reload."),
                Err(why) => output(1, why),
            }),
            ("certbot", ["certonly", rest @ ..]) => Some(self.certonly(rest)),
            ("certbot", ["delete", "--non-interactive", "--cert-name", name]) => {
                Some(self.delete_certificate(name))
            }
            _ => None,
        }
    }

    fn delete_certificate(&mut self, name: &str) -> Output {
        let renewal = format!("/etc/letsencrypt/renewal/{name}.conf");
        let live = Path::new("/etc/letsencrypt/live").join(name);
        let goes = |path: &Path| path == Path::new(&renewal) || path.starts_with(&live);
        if !self.files.contains_key(Path::new(&renewal)) {
            return output(1, "No certificate found with name");
        }
        self.files.retain(|path, _| !goes(path));
        self.owners.retain(|path, _| !goes(path));
        self.folders.retain(|path| !goes(path));
        output(0, "Deleted all files relating to certificate.")
    }

    fn certonly(&mut self, args: &[&str]) -> Output {
        let value = |flag: &str| {
            let at = args.iter().position(|arg| *arg == flag)?;
            args.get(at + 1).copied()
        };
        let (Some(domain), Some(webroot)) = (value("--domain"), value("--webroot-path")) else {
            return output(2, "certbot: error: missing arguments");
        };
        let door = self.nginx_block(domain, "80").unwrap_or_default();
        let refused = self.acme_refuses.clone().or_else(|| {
            (!door.contains(&format!("root {webroot};"))).then(|| "unauthorized: 404".to_owned())
        });
        if let Some(why) = refused {
            return output(1, &format!("Detail: {why}\nSome challenges have failed."));
        }
        if args.contains(&"--dry-run") {
            return output(0, "The dry run was successful.");
        }
        let server = value("--server").unwrap_or_default().to_owned();
        self.put(
            format!("/etc/letsencrypt/renewal/{domain}.conf"),
            format!("server = {server}\n"),
        );
        let Ok(pem) = certificate(domain) else {
            return output(1, "no key");
        };
        let live = Path::new("/etc/letsencrypt/live").join(domain);
        self.put(live.join("fullchain.pem"), pem);
        self.put(live.join("privkey.pem"), "key");
        output(0, "Successfully received certificate.")
    }
}

/// A certificate of a kind; always the same text would be one that ends some day.
fn certificate(domain: &str) -> Result<String, rcgen::Error> {
    let mut params = CertificateParams::new(vec![domain.to_owned()])?;
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2126, 1, 1);
    params.serial_number = Some(1.into());
    // One key for all, and Ed25519 signs the same each time, so that equal hosts are equal.
    let key = KeyPair::try_from([PKCS8_ED25519, &[7; 32]].concat())?;
    Ok(params.self_signed(&key)?.pem())
}

/// What stands before the 32 bytes of such a key.
const PKCS8_ED25519: &[u8] = &[
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
