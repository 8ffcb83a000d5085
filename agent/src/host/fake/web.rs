//! Caddy and chatalot on a fake host: what they load, and what they answer.

use super::world::{World, output};
use crate::host::{Fetch, FetchError, Fetched, Output, Records, TlsFacts};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chatalot_protocol::site::Network;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

const MAIN: &str = "/etc/caddy/Caddyfile";
const UNIT: &str = "caddy.service";
const NINETY_DAYS: i64 = 90 * 86_400;

fn page(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Fetched {
    Fetched {
        status,
        headers: vec![("content-type".to_owned(), kind.to_owned())],
        body: body.into(),
        tls: None,
    }
}

impl World {
    /// The Caddyfile with what it imports; why it is not valid.
    fn caddy_configuration(&self) -> Result<String, &'static str> {
        let main = self.text(MAIN).ok_or("no Caddyfile")?;
        let mut whole = String::new();
        for line in main.lines() {
            match line.trim().strip_prefix("import ") {
                Some(glob) => {
                    let folder = Path::new(glob).parent().unwrap_or(Path::new("/"));
                    for name in self.list(folder) {
                        whole += &self.text(folder.join(name)).unwrap_or_default();
                    }
                }
                None => whole += line,
            }
            whole.push('\n');
        }
        if whole.matches('{').count() == whole.matches('}').count() {
            Ok(whole)
        } else {
            Err("Caddyfile: unexpected end of input")
        }
    }

    pub(super) fn validate_caddy(&self) -> Output {
        match self.caddy_configuration() {
            Ok(_) => output(0, "Valid configuration"),
            Err(why) => output(1, why),
        }
    }

    /// Starts Caddy with its configuration, if its unit is active and the configuration is valid.
    pub(super) fn load_caddy(&mut self) {
        self.caddy_signed.clear();
        self.take_up_caddy();
    }

    /// Who refuses to sign says so; without a name, everybody does.
    fn refused(&self, staging: bool) -> Option<&String> {
        let why = self.acme_refuses.as_ref();
        why.filter(|why| !staging || !why.contains("acme-v02"))
    }

    fn take_up_caddy(&mut self) {
        let active = self.units.get(UNIT).is_some_and(|unit| unit.active);
        self.caddy_loaded = active.then(|| self.caddy_configuration().ok()).flatten();
        let loaded = self.caddy_loaded.clone().unwrap_or_default();
        let staging = loaded.contains("acme-staging");
        let refused = self.refused(staging).cloned();
        // What is valid is gone on with, whoever has signed it.
        self.caddy_signed
            .retain(|name, _| sites(&loaded).any(|site| site == name));
        if refused.is_none() {
            for site in sites(&loaded).filter(|site| !site.starts_with(':')) {
                self.caddy_signed.entry(site.to_owned()).or_insert(staging);
            }
        }
        if let (Some(why), Some(_)) = (refused, &self.caddy_loaded) {
            let text = format!(
                "{{\"level\":\"error\",\"msg\":\"could not get certificate from issuer\",\"identifier\":\"chat.example.com\",\"error\":\"{why}\"}}"
            );
            self.journal.push((self.now_ms, UNIT.to_owned(), text));
        }
    }

    pub(super) fn reload_caddy(&mut self) -> Output {
        if !self.units.get(UNIT).is_some_and(|unit| unit.active) {
            return output(1, "caddy.service is not active, cannot reload.");
        }
        if let Err(why) = self.caddy_configuration() {
            return output(1, why);
        }
        self.take_up_caddy();
        output(0, "")
    }

    pub(super) fn caddy_listens(&self, port: u16) -> bool {
        let loaded = self.caddy_loaded.as_deref().unwrap_or_default();
        match port {
            80 => !loaded.is_empty(),
            443 => sites(loaded).any(|site| !site.starts_with(':')),
            _ => false,
        }
    }

    pub(super) fn fetch(&self, fetch: &Fetch) -> Result<Fetched, FetchError> {
        if let Some(answer) = self.pages.get(&fetch.url) {
            return answer.clone();
        }
        if let Some(path) = fetch.url.strip_prefix("http://127.0.0.1:8080") {
            return self
                .chatalot(path, fetch)
                .ok_or_else(|| FetchError::Connect("127.0.0.1:8080".to_owned()));
        }
        let rest = fetch.url.strip_prefix("https://").unwrap_or_default();
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let here = fetch.connect_to.is_some_and(|to| to.ip().is_loopback());
        if here || self.leads_here(host) {
            let path = format!("/{path}");
            if self.traefik_listens() {
                return self.through_traefik(host, &path, fetch);
            }
            if self.nginx_listens(443) {
                return self.through_nginx(host, &path, fetch);
            }
            return self.through_caddy(host, &path, fetch);
        }
        if self.network && host == "tunnel.example.com" {
            return Ok(self.through_tunnel(&format!("/{path}"), fetch));
        }
        if self.network && host == "registry.example.net" {
            return Ok(self.registry(fetch));
        }
        if self.network && path.ends_with(".well-known/openid-configuration") {
            return Ok(discovery(host, path));
        }
        if let Some(key) = self.network.then(|| self.published_key(&fetch.url)).flatten() {
            return Ok(page(200, "text/plain", key));
        }
        if self.network && !self.dns.contains_key(host) {
            return Ok(page(200, "text/html", "somebody else"));
        }
        Err(FetchError::Connect(host.to_owned()))
    }

    /// The key of a repository, at its address.
    fn published_key(&self, url: &str) -> Option<&'static str> {
        let repository = self.distro.repositories.iter().find(|one| one.key == url)?;
        let mut keys = super::PUBLISHED_KEYS.iter();
        keys.find(|(print, _)| *print == repository.fingerprint)
            .map(|(_, key)| *key)
    }

    /// What Cloudflare answers for a tunnel's name.
    fn through_tunnel(&self, path: &str, fetch: &Fetch) -> Fetched {
        let tunnel = self.containers.get("chatalot-tunnel");
        if tunnel.is_none_or(|one| one.state != "running") {
            return page(530, "text/html", "error code: 1033");
        }
        let bad_gateway = || page(502, "text/html", "");
        self.chatalot(path, fetch).unwrap_or_else(bad_gateway)
    }

    /// A registry with one account, if it is a private one.
    fn registry(&self, fetch: &Fetch) -> Fetched {
        let given = fetch.headers.iter().find(|(name, _)| name == "authorization");
        let right = self.registry_token.as_ref().is_none_or(|token| {
            let account = STANDARD.encode(format!("deploy-alice:{token}"));
            given.is_some_and(|(_, value)| *value == format!("Basic {account}"))
        });
        if right {
            return page(200, "application/json", "{}");
        }
        let mut refusal = page(401, "application/json", "{}");
        refusal.headers.push((
            "www-authenticate".to_owned(),
            "Basic realm=\"registry\"".to_owned(),
        ));
        refusal
    }

    /// Where a connection to a proxy comes from; what Docker hands on from loopback comes from its network.
    fn source(&self, fetch: &Fetch, contained: bool) -> IpAddr {
        let loopback = fetch.connect_to.is_some_and(|to| to.ip().is_loopback());
        match (loopback, contained) {
            (true, true) => IpAddr::V4(Ipv4Addr::new(172, 18, 0, 1)),
            (true, false) => fetch.from.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            (false, _) => fetch
                .from
                .or(self.addresses.first().copied())
                .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        }
    }

    /// Whether a proxy that lets in a list of addresses keeps a connection out; one without a list never does.
    pub(super) fn keeps_out<'a>(
        &self,
        listed: impl Iterator<Item = &'a str>,
        fetch: &Fetch,
        contained: bool,
    ) -> bool {
        let listed: Vec<Network> = listed.filter_map(|one| one.parse().ok()).collect();
        let source = self.source(fetch, contained);
        !listed.is_empty() && !listed.iter().any(|network| network.contains(source))
    }

    fn leads_here(&self, host: &str) -> bool {
        let answers = self.dns.get(host).map(Vec::as_slice).unwrap_or_default();
        answers.iter().any(|one| match &one.a {
            Records::Found(list) => list.iter().any(|ip| self.addresses.contains(&(*ip).into())),
            Records::Failed(_) => false,
        })
    }

    fn through_caddy(&self, host: &str, path: &str, fetch: &Fetch) -> Result<Fetched, FetchError> {
        if !self.caddy_listens(443) {
            return Err(FetchError::Connect(format!("{host}:443")));
        }
        let loaded = self.caddy_loaded.clone().unwrap_or_default();
        let signed = self.caddy_signed.get(host).copied();
        let Some(staging) = signed.filter(|staging| self.refused(*staging).is_none()) else {
            return Err(FetchError::Tls("internal error alert".to_owned()));
        };
        if staging && fetch.verify {
            return Err(FetchError::Tls("unknown issuer".to_owned()));
        }
        let bad_gateway = || page(502, "text/plain", "");
        let mut lines = loaded
            .lines()
            .filter_map(|line| line.trim().strip_prefix("@outsiders not remote_ip "));
        let kept_out = loaded.contains("respond @outsiders ")
            && self.keeps_out(lines.next().unwrap_or_default().split(' '), fetch, false);
        let mut answer = if kept_out {
            page(403, "text/plain", "")
        } else {
            self.chatalot(path, fetch).unwrap_or_else(bad_gateway)
        };
        let mut add = |name: &str, value: &str| answer.headers.push((name.to_owned(), value.to_owned()));
        if loaded.contains("Strict-Transport-Security") {
            add("strict-transport-security", "max-age=31536000; includeSubDomains");
        }
        if !loaded.contains("-Server") {
            add("server", "Caddy");
        }
        let asked = fetch.headers.iter().any(|(name, _)| name == "accept-encoding");
        if asked && loaded.contains("encode ") {
            add("content-encoding", "gzip");
        }
        answer.tls = Some(self.tls(staging));
        Ok(answer)
    }

    fn through_nginx(&self, host: &str, path: &str, fetch: &Fetch) -> Result<Fetched, FetchError> {
        let Some(block) = self.nginx_block(host, "443") else {
            return Err(FetchError::Tls("a certificate for another name".to_owned()));
        };
        let renewal = self.text(format!("/etc/letsencrypt/renewal/{host}.conf"));
        let staging = renewal.unwrap_or_default().contains("acme-staging");
        if staging && fetch.verify {
            return Err(FetchError::Tls("unknown issuer".to_owned()));
        }
        let loaded = self.nginx_loaded.clone().unwrap_or_default();
        let upgrades =
            block.contains("proxy_set_header Upgrade $http_upgrade;") && loaded.contains("map $http_upgrade");
        let mut asked = fetch.clone();
        asked.headers.retain(|(name, _)| upgrades || name != "upgrade");
        // SELinux keeps it from connecting to anybody.
        let shut = self.text("/sys/fs/selinux/enforce").as_deref() == Some("1")
            && self
                .text("/sys/fs/selinux/booleans/httpd_can_network_connect")
                .as_deref()
                != Some("1 1");
        let answer = if shut { None } else { self.chatalot(path, &asked) };
        let mut answer = answer.unwrap_or_else(|| page(502, "text/html", ""));
        let allowed = block
            .lines()
            .filter_map(|line| line.trim().strip_prefix("allow ")?.strip_suffix(';'));
        if block.contains("deny all;") && self.keeps_out(allowed, fetch, false) {
            answer = page(403, "text/html", "");
        }
        let mut add = |name: &str, value: &str| answer.headers.push((name.to_owned(), value.to_owned()));
        if block.contains("Strict-Transport-Security") {
            add("strict-transport-security", "max-age=31536000; includeSubDomains");
        }
        add(
            "server",
            if block.contains("server_tokens off;") {
                "nginx"
            } else {
                "nginx/1.26.3"
            },
        );
        if block.contains("gzip on;") && fetch.headers.iter().any(|(name, _)| name == "accept-encoding") {
            add("content-encoding", "gzip");
        }
        answer.tls = Some(self.tls(staging));
        Ok(answer)
    }

    pub(super) fn tls(&self, staging: bool) -> TlsFacts {
        TlsFacts {
            issuer: if staging { "(STAGING) E1" } else { "E1" }.to_owned(),
            not_after: self.now_ms / 1000 + NINETY_DAYS,
            distrust: staging.then(|| "unknown issuer".to_owned()),
        }
    }

    /// chatalot itself, if it runs.
    pub(super) fn chatalot(&self, path: &str, fetch: &Fetch) -> Option<Fetched> {
        let server = self.containers.get("chatalot-server")?;
        if server.state != "running" {
            return None;
        }
        let upgrade = fetch.headers.iter().any(|(name, _)| name == "upgrade");
        Some(match path {
            "/ws" if upgrade => page(101, "", ""),
            "/ws" => page(400, "text/plain", "Connection header did not include 'upgrade'"),
            "/api/health" => {
                let db = self.database_up && self.containers.get("chatalot-db")?.state == "running";
                let status = if db { "ok" } else { "degraded" };
                let body = format!(
                    "{{\"status\":\"{status}\",\"version\":\"{}\",\"uptime_secs\":42,\"db_healthy\":{db}}}",
                    self.installer.version
                );
                page(200, "application/json", body)
            }
            _ => page(200, "text/html", format!("<!doctype html>{}", "x".repeat(600))),
        })
    }
}

/// An identity provider's discovery document, with the issuer as authentik writes it.
fn discovery(host: &str, path: &str) -> Fetched {
    let issuer = path.trim_end_matches(".well-known/openid-configuration");
    let body = format!(
        "{{\"issuer\":\"https://{host}/{issuer}\",\"authorization_endpoint\":\"https://{host}/authorize\",\"token_endpoint\":\"https://{host}/token\",\"jwks_uri\":\"https://{host}/jwks\"}}"
    );
    page(200, "application/json", body)
}

/// The addresses of a configuration's sites.
fn sites(configuration: &str) -> impl Iterator<Item = &str> {
    configuration
        .lines()
        .filter(|line| !line.starts_with(['\t', ' ', '#', '{', '}']))
        .filter_map(|line| line.strip_suffix(" {"))
}
