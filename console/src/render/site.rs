//! The inputs of a site, for confirmation.

use crate::output::{Page, Style};
use crate::text::{labelled, safe};
use chatalot_protocol::site::{Acme, ProxyChoice, Site};

/// Every input, secrets only as given or not.
pub fn site(site: &Site, has_secret: &dyn Fn(&str) -> bool, page: Page) -> String {
    let mut text = page.paint(Style::Strong, "Site") + "\n";
    for (label, value) in rows(site, has_secret) {
        text.push_str(&labelled(&format!("  {label}"), 17, &safe(&value), page.width));
    }
    text
}

fn rows(site: &Site, has_secret: &dyn Fn(&str) -> bool) -> Vec<(&'static str, String)> {
    let secret = |name: &str| if has_secret(name) { "given" } else { "not given" };
    let turn = site.turn.map_or_else(
        || "off".to_owned(),
        |ip| format!("on, reached at {}", ip.address()),
    );
    let updates = if site.updates {
        "managed, approved in the admin panel"
    } else {
        "off"
    };
    let registry = site.registry_user.as_ref().map_or_else(
        || "no credentials".to_owned(),
        |user| format!("user {user}, token {}", secret("registry_token")),
    );
    let sign_on = site.oidc.as_ref().map_or_else(
        || "password".to_owned(),
        |oidc| {
            let password = if oidc.disable_password_login { "no" } else { "also" };
            format!(
                "single sign-on at {}, client {}, secret {}; {password} password login",
                oidc.issuer,
                oidc.client_id,
                secret("oidc_client_secret")
            )
        },
    );
    let group = site.docker_group.as_ref();
    let front = if site.tunnel {
        format!("a Cloudflare Tunnel, token {}", secret("cloudflare_token"))
    } else {
        proxy(site.proxy).to_owned()
    };
    let mut rows = vec![
        ("domain", site.domain.to_string()),
        ("administrator", site.admin.to_string()),
        ("registration", site.registration.as_str().to_owned()),
        ("voice, video", turn),
        ("updates", updates.to_owned()),
        ("registry", registry),
        ("login", sign_on),
        (
            "source",
            format!("{} at {}", site.source.repository, site.source.reference),
        ),
        ("folder", site.folder.to_string()),
        ("proxy", front),
        ("certificate", authority(&site.acme)),
        (
            "docker group",
            group.map_or_else(|| "nobody".to_owned(), |login| format!("{login} (that is root)")),
        ),
    ];
    if !site.limit_until_admin.is_empty() {
        rows.push((
            "let in",
            format!(
                "only {} and the host itself, until {} has registered",
                site.limit_until_admin, site.admin
            ),
        ));
    }
    if site.overwrite_env {
        rows.push((
            ".env",
            "written anew if the installer runs, after a copy".to_owned(),
        ));
    }
    if site.loopback_only {
        rows.push(("port 8080", "published on 127.0.0.1 alone".to_owned()));
    }
    rows
}

const fn proxy(choice: ProxyChoice) -> &'static str {
    match choice {
        ProxyChoice::Caddy => "Caddy",
        ProxyChoice::Nginx => "nginx, certificate by certbot",
        ProxyChoice::Traefik => "the Traefik that runs already",
        ProxyChoice::None => "set up by yourself",
    }
}

fn authority(acme: &Acme) -> String {
    match acme {
        Acme::Production => "Let's Encrypt".to_owned(),
        Acme::Staging => "Let's Encrypt staging (no browser trusts it)".to_owned(),
        Acme::Private { directory, root } => format!("{directory}, verified by {root}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatalot_protocol::inputs::Inputs;
    use chatalot_protocol::secret::Secret;

    #[test]
    fn the_full_set_is_shown_and_no_secret() {
        let inputs = Inputs {
            domain: Some("chat.example.com".into()),
            admin_username: Some("alice".into()),
            turn_external_ip: Some("203.0.113.42".into()),
            registry_user: Some("deploy-alice".into()),
            registry_token: Some(Secret::new("t0ken")),
            ..Inputs::default()
        };
        let (whole, secrets) = inputs.complete().unwrap();
        let has = |name: &str| secrets.present().any(|(present, _)| present == name);
        let text = site(&whole, &has, Page::PLAIN);
        assert!(!text.contains("t0ken"));
        assert_eq!(
            text,
            "Site\n\
             \x20 domain         chat.example.com\n\
             \x20 administrator  alice\n\
             \x20 registration   invite_only\n\
             \x20 voice, video   on, reached at 203.0.113.42\n\
             \x20 updates        managed, approved in the admin panel\n\
             \x20 registry       user deploy-alice, token given\n\
             \x20 login          password\n\
             \x20 source         https://forgejo.seglamater.app/seglamater/chatalot.git at main\n\
             \x20 folder         /srv/chatalot\n\
             \x20 proxy          Caddy\n\
             \x20 certificate    Let's Encrypt\n\
             \x20 docker group   nobody\n"
        );
    }
}
