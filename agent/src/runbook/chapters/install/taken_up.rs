//! Whether an installer that ran again has taken up the inputs, or kept its `.env` as it was: each input that is another
//! one, one that is gone as well as one that is new.

use super::flags::Change;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::{Secrets, Site};

/// What a site can have or not, and the service that compose starts for it.
const SWITCHED: &[(&str, &str, &str)] = &[
    ("voice and video", "coturn", "enable-turn"),
    ("managed updates", "chatalot-updater", "enable-updater"),
    ("the tunnel", "cloudflared", "expose"),
];
/// Inputs whose effect is looked at elsewhere: the checkout's, the registry's, and those that compose's services show.
const ELSEWHERE: &[&str] = &["commit", "registry-user", "registry-token", "expose"];

/// What is there after a run.
pub(super) struct There<'a> {
    /// The text of `.env`.
    pub(super) env: &'a str,
    /// The services that compose would start with it, where it can tell.
    pub(super) services: Option<&'a [String]>,
}

/// Judges what is there against what was asked for.
pub(super) fn judge(
    site: &Site,
    secrets: &Secrets,
    changes: &[Change],
    there: &There<'_>,
) -> Result<(), Box<Advice>> {
    let mut kept = services(site, changes, there.services.unwrap_or_default());
    if there.services.is_none() {
        kept.clear();
    }
    for change in changes
        .iter()
        .filter(|change| !ELSEWHERE.contains(&change.name.as_str()))
    {
        if !is_taken_up(site, secrets, change, there.env) {
            let value = match (&change.is, change.is_secret()) {
                (None, _) => " gone",
                (Some(_), true) => "",
                (Some(value), false) => &format!(" {value}"),
            };
            kept.push(format!("{}{value}", change.name));
        }
    }
    if kept.is_empty() {
        return Ok(());
    }
    Err(Advice::new(
        "INSTALLER_KEPT_ENV",
        format!("{}/.env is as it was, without what was asked for: {}", site.folder, kept.join(", ")),
        "the inputs as they are now in it",
        format!(
            "deploy again with --overwrite-env, which keeps a copy of .env and secrets/ and every secret that existing data depends on; or change them in {0}/.env yourself, then deploy again",
            site.folder
        ),
    )
    .into())
}

/// What compose would not start although it is wanted, or still would although it was switched off.
fn services(site: &Site, changes: &[Change], active: &[String]) -> Vec<String> {
    let wanted = super::containers::least(site);
    let told = |(what, service, input): &(&str, &str, &str)| {
        let starts = active.iter().any(|each| each == service);
        match (wanted.contains(service), starts) {
            (true, false) => Some(format!("{what} on")),
            (false, true) if changes.iter().any(|change| change.name == *input) => {
                Some(format!("{what} off"))
            }
            _ => None,
        }
    };
    SWITCHED.iter().filter_map(told).collect()
}

fn is_taken_up(site: &Site, secrets: &Secrets, change: &Change, env: &str) -> bool {
    let holds = |value: &str| {
        pairs(env).any(|(_, there)| there == value || there.strip_prefix("https://") == Some(value))
    };
    match change.name.as_str() {
        "oidc-disable-password-login" => {
            let mut lines = pairs(env)
                .filter(|(name, _)| name.contains("PASSWORD_LOGIN"))
                .peekable();
            // Written anew without a variable of that name, it cannot be told.
            if lines.peek().is_none() && site.overwrite_env {
                return true;
            }
            let is_off = |(name, value): (String, &str)| is_on(value) == name.contains("DISABLE");
            lines.next().is_some_and(is_off) == change.is.is_some()
        }
        "admin-username" => {
            let names: Vec<&str> = pairs(env)
                .filter(|(name, _)| name.contains("ADMIN"))
                .map(|(_, value)| value)
                .collect();
            // Where neither is there, the installer keeps it elsewhere.
            let was = change.was.as_deref();
            names.contains(&site.admin.as_str()) || !names.iter().any(|name| Some(*name) == was)
        }
        // Switches, which the services show.
        name if name.starts_with("enable-") => true,
        // Where it was written anew, it is written as the installer writes it.
        _ if change.is_secret() && site.overwrite_env => true,
        name if change.is_secret() => {
            let input = name.replace('-', "_");
            let secret = secrets.present().find(|(name, _)| *name == input);
            secret.is_none_or(|(_, secret)| holds(secret.expose()))
        }
        _ => match (&change.is, &change.was) {
            (Some(value), _) => holds(value),
            (None, Some(was)) => !holds(was),
            (None, None) => true,
        },
    }
}

/// The variables with their names in capitals.
fn pairs(env: &str) -> impl Iterator<Item = (String, &str)> {
    env.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| {
            let name = name.trim().to_ascii_uppercase().replace('-', "_");
            (name, value.trim().trim_matches(['"', '\'']))
        })
}

fn is_on(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on")
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatalot_protocol::inputs::Inputs;
    use chatalot_protocol::secret::Secret;

    fn site() -> Site {
        let inputs = Inputs {
            domain: Some("chat.example.com".into()),
            admin_username: Some("alice".into()),
            turn_external_ip: Some("203.0.113.42".into()),
            ..Inputs::default()
        };
        inputs.complete().unwrap().0
    }

    fn change(name: &str, was: Option<&str>, is: Option<&str>) -> Change {
        Change {
            name: name.to_owned(),
            was: was.map(str::to_owned),
            is: is.map(str::to_owned),
        }
    }

    /// What is told as kept of one change.
    fn kept(one: Change, env: &str, services: &[&str]) -> Option<String> {
        let services: Vec<String> = services.iter().map(|name| (*name).to_owned()).collect();
        let there = There {
            env,
            services: Some(&services),
        };
        let secrets = Secrets {
            cloudflare_token: Some(Secret::new("the-new-token")),
            ..Secrets::default()
        };
        let told = judge(&site(), &secrets, &[one], &there).err()?;
        assert_eq!(told.code, "INSTALLER_KEPT_ENV");
        told.saw
            .split_once("asked for: ")
            .map(|(_, what)| what.to_owned())
    }

    #[test]
    fn an_env_that_was_kept_is_noticed_by_its_values() {
        const ALL: &[&str] = &["coturn", "chatalot-updater"];
        let ip = || change("turn-external-ip", Some("203.0.113.9"), Some("203.0.113.42"));
        assert_eq!(kept(ip(), "TURN_EXTERNAL_IP='203.0.113.42'\n", ALL), None);
        let told = kept(ip(), "TURN_EXTERNAL_IP=203.0.113.9\n", ALL).unwrap();
        assert_eq!(told, "turn-external-ip 203.0.113.42");
        let admin = || change("admin-username", Some("bob"), Some("alice"));
        assert_eq!(kept(admin(), "ADMIN_USERNAME=alice\n", ALL), None);
        assert_eq!(kept(admin(), "NOTHING=of it\n", ALL), None);
        assert_eq!(kept(admin(), "ADMIN_MAIL=a@example.com\n", ALL), None);
        assert_eq!(
            kept(admin(), "ADMIN_USERNAME=bob\n", ALL).unwrap(),
            "admin-username alice"
        );
        let token = || change("cloudflare-token", Some("tag 1"), Some("tag 2"));
        assert_eq!(kept(token(), "T=the-new-token\n", ALL), None);
        assert_eq!(
            kept(token(), "T=the-old-token\n", ALL).unwrap(),
            "cloudflare-token"
        );
    }

    #[test]
    fn what_was_switched_off_must_be_gone() {
        const ALL: &[&str] = &["coturn", "chatalot-updater"];
        let issuer = || change("oidc-issuer", Some("https://auth.example.com/"), None);
        assert_eq!(kept(issuer(), "OIDC_ISSUER=\n", ALL), None);
        let told = kept(issuer(), "OIDC_ISSUER=https://auth.example.com/\n", ALL).unwrap();
        assert_eq!(told, "oidc-issuer gone");
        let expose = || change("expose", Some("named-tunnel"), None);
        assert_eq!(kept(expose(), "", ALL), None);
        let with_tunnel = ["coturn", "chatalot-updater", "cloudflared"];
        assert_eq!(kept(expose(), "", &with_tunnel).unwrap(), "the tunnel off");
        let updater = change("enable-updater", None, Some("on"));
        assert_eq!(kept(updater, "", &["coturn"]).unwrap(), "managed updates on");
    }

    #[test]
    fn a_password_login_that_is_switched_off_or_on_is_told_by_either_spelling() {
        const ALL: &[&str] = &["coturn", "chatalot-updater"];
        let off = || change("oidc-disable-password-login", None, Some("on"));
        let on = || change("oidc-disable-password-login", Some("on"), None);
        for (env, is_off) in [
            ("OIDC_DISABLE_PASSWORD_LOGIN=1\n", true),
            ("OIDC_DISABLE_PASSWORD_LOGIN=false\n", false),
            ("PASSWORD_LOGIN_ENABLED=false\n", true),
            ("PASSWORD_LOGIN_ENABLED=true\n", false),
            ("", false),
        ] {
            assert_eq!(kept(off(), env, ALL).is_none(), is_off, "{env}");
            assert_eq!(kept(on(), env, ALL).is_none(), !is_off, "{env}");
        }
    }
}
