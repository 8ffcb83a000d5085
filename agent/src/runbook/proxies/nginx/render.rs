//! What we write for nginx.

use super::super::certbot::{WEBROOT, chain, key};
use super::super::site_file::MARK;
use crate::runbook::route::LetIn;
use chatalot_protocol::site::Site;

/// What the text depends on besides the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Whether the host has IPv6.
    pub(super) ipv6: bool,
    /// Whether there is a certificate; without one only the authority is answered.
    pub(super) certificate: bool,
}

/// Uploads of 100 MB with what is around them.
const BODY: &str = "110M";
/// A quiet WebSocket is not a dead one.
const PATIENCE: &str = "86400s";

/// Our file.
pub(super) fn render(site: &Site, shape: Shape, limit: Option<&LetIn>) -> String {
    let mut text = format!("{MARK}\n{}", door(site, shape));
    if shape.certificate {
        text += &front(site, shape, limit);
    }
    text
}

fn listen(port: &str, shape: Shape) -> String {
    let v6 = if shape.ipv6 {
        format!("    listen [::]:{port};\n")
    } else {
        String::new()
    };
    format!("    listen {port};\n{v6}")
}

/// Port 80: the authority's questions, and the way to HTTPS.
fn door(site: &Site, shape: Shape) -> String {
    let otherwise = if shape.certificate {
        "return 301 https://$host$request_uri;"
    } else {
        "return 404;"
    };
    format!(
        "server {{\n{}    server_name {};\n    server_tokens off;\n    \
         location /.well-known/acme-challenge/ {{\n        root {WEBROOT};\n        default_type text/plain;\n    }}\n    \
         location / {{\n        {otherwise}\n    }}\n}}\n",
        listen("80", shape),
        site.domain,
    )
}

/// Port 443: the site.
fn front(site: &Site, shape: Shape, limit: Option<&LetIn>) -> String {
    format!(
        "server {{\n{listen}    server_name {domain};\n    server_tokens off;\n{limit}    \
         ssl_certificate {chain};\n    ssl_certificate_key {key};\n    ssl_protocols TLSv1.2 TLSv1.3;\n    \
         add_header Strict-Transport-Security \"max-age=31536000; includeSubDomains\" always;\n    \
         gzip on;\n    gzip_proxied any;\n    gzip_vary on;\n    gzip_min_length 512;\n    \
         gzip_types text/plain text/css text/javascript application/javascript application/json application/manifest+json application/wasm image/svg+xml;\n    \
         client_max_body_size {BODY};\n    \
         proxy_http_version 1.1;\n    \
         proxy_set_header Host $host;\n    \
         proxy_set_header X-Real-IP $remote_addr;\n    \
         proxy_set_header X-Forwarded-For $remote_addr;\n    \
         proxy_set_header X-Forwarded-Proto $scheme;\n    \
         proxy_set_header Upgrade $http_upgrade;\n    \
         proxy_set_header Connection $chatalot_connection;\n    \
         location / {{\n        proxy_pass http://127.0.0.1:8080;\n    }}\n    \
         location = /ws {{\n        proxy_pass http://127.0.0.1:8080;\n        proxy_read_timeout {PATIENCE};\n        proxy_send_timeout {PATIENCE};\n        proxy_buffering off;\n    }}\n}}\n\
         map $http_upgrade $chatalot_connection {{\n    default upgrade;\n    '' '';\n}}\n",
        listen = listen("443 ssl", shape),
        domain = site.domain,
        limit = limit.map(keeping_out).unwrap_or_default(),
        chain = chain(site).display(),
        key = key(site).display(),
    )
}

/// Port 443 alone: what the authority asks and the way to HTTPS are for all.
fn keeping_out(limit: &LetIn) -> String {
    let let_in = limit.networks();
    let let_in = let_in.iter().map(|network| format!("    allow {network};\n"));
    let_in.chain(["    deny all;\n".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatalot_protocol::inputs::Inputs;

    fn text(ipv6: bool, certificate: bool) -> String {
        let inputs = Inputs {
            domain: Some("chat.example.com".into()),
            admin_username: Some("alice".into()),
            ..Inputs::default()
        };
        render(&inputs.complete().unwrap().0, Shape { ipv6, certificate }, None)
    }

    #[test]
    fn without_a_certificate_only_the_authority_is_answered() {
        let text = text(true, false);
        assert!(
            text.contains("listen [::]:80;") && text.contains("acme-challenge"),
            "{text}"
        );
        assert!(!text.contains("443") && !text.contains("proxy_pass"), "{text}");
    }

    #[test]
    fn the_site_has_room_for_uploads_and_time_for_quiet_websockets() {
        let text = text(false, true);
        let ws = text.split_once("location = /ws {").unwrap().1;
        assert!(ws.contains("proxy_read_timeout 86400s;"), "{text}");
        assert!(text.contains("client_max_body_size 110M;") && text.contains("Upgrade $http_upgrade;"));
        assert!(
            text.contains("return 301 https://") && !text.contains("[::]"),
            "{text}"
        );
    }
}
