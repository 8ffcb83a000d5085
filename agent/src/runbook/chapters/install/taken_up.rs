//! Whether an installer that ran again has taken up the inputs, or kept its `.env` as it was: each input that is another
//! one, one that is gone as well as one that is new.

mod unknown;

use super::copies::bare;
use super::flags::Change;
use super::switched_off::{SWITCHES, Switch};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::{Secrets, Site};

/// Inputs whose effect is looked at elsewhere: the checkout's and the registry's.
const ELSEWHERE: &[&str] = &["commit", "registry-user", "registry-token"];
/// What is in the names of the variables that an input is kept in; a value of theirs may be that of others too.
const NAMES: &[(&str, &str)] = &[
    ("admin-username", "ADMIN"),
    ("cloudflare-token", "CLOUDFLARE"),
    ("oidc-", "OIDC"),
    ("registration", "REGISTRATION"),
    ("turn-", "TURN"),
];

/// What is there after a run.
pub(super) struct There<'a> {
    /// The text of `.env`.
    pub(super) env: &'a str,
    /// The services that compose would start with it, where it can tell.
    pub(super) services: Option<&'a [String]>,
    /// What earlier deployments had and this one has not.
    pub(super) switched_off: &'a [&'static Switch],
    /// Whether it is remembered what was asked for before. An `.env` of which it is not may be by another hand, or of a
    /// run that came to nothing.
    pub(super) remembered: bool,
}

/// Whether `.env` is not of another domain, whatever was asked for before.
pub(super) fn is_of(site: &Site, env: &str) -> bool {
    unknown::is_not_otherwise(site, &Secrets::default(), &domain(site), env)
}

fn domain(site: &Site) -> Change {
    Change {
        name: "domain".to_owned(),
        was: None,
        is: Some(site.domain.to_string()),
    }
}

/// Judges what is there against what was asked for.
pub(super) fn judge(
    site: &Site,
    secrets: &Secrets,
    changes: &[Change],
    there: &There<'_>,
) -> Result<(), Box<Advice>> {
    let mut kept = there
        .services
        .map_or_else(Vec::new, |active| services(site, there.switched_off, active));
    let of_domain = domain(site);
    let unchanged = changes.iter().all(|change| change.name != of_domain.name);
    for change in changes
        .iter()
        .chain(unchanged.then_some(&of_domain))
        .filter(|change| !ELSEWHERE.contains(&change.name.as_str()))
    {
        let is_taken_up = if there.remembered && change.name != "domain" {
            is_taken_up(site, secrets, change, there.env)
        } else {
            unknown::is_not_otherwise(site, secrets, change, there.env)
        };
        if !is_taken_up {
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
    Err(kept_env(site, &kept.join(", ")).into())
}

fn kept_env(site: &Site, kept: &str) -> Advice {
    let env = format!("{}/.env", site.folder);
    // Asked for once more, it would only be written anew once more.
    let (saw, fix) = if site.overwrite_env {
        (
            format!(
                "the installer has written {env} anew, and it is still without what was asked for: {kept}"
            ),
            format!(
                "look at {env} and at what the installer has said; change them there yourself, then deploy again without --overwrite-env"
            ),
        )
    } else {
        (
            format!("{env} is as it was, without what was asked for: {kept}"),
            format!(
                "deploy again with --overwrite-env, which keeps a copy of .env and secrets/ and every secret that existing data depends on; or change them in {env} yourself, then deploy again"
            ),
        )
    };
    Advice::new("INSTALLER_KEPT_ENV", saw, "the inputs as they are now in it", fix)
}

/// What compose would not start although it is wanted, or still would although it was switched off.
fn services(site: &Site, switched_off: &[&'static Switch], active: &[String]) -> Vec<String> {
    let wanted = super::containers::least(site);
    let told = |switch: &Switch| {
        let is_wanted = switch.services.iter().all(|service| wanted.contains(service));
        let starts = |service: &&str| active.iter().any(|each| each == service);
        if is_wanted && !switch.services.iter().all(starts) {
            return Some(format!("{} on", switch.what));
        }
        let is_off = switched_off.iter().any(|one| one.what == switch.what);
        (is_off && switch.services.iter().any(starts)).then(|| format!("{} off", switch.what))
    };
    SWITCHES.iter().filter_map(told).collect()
}

fn is_taken_up(site: &Site, secrets: &Secrets, change: &Change, env: &str) -> bool {
    let name = change.name.as_str();
    if name == "oidc-disable-password-login" {
        return login_is_switched(site, change, env);
    }
    if is_shown_elsewhere(site, change) {
        return true;
    }
    let (is_named, values) = values(name, env);
    let holds = |value: &str| {
        let mut values = values.iter();
        values.any(|there| *there == value || there.strip_prefix("https://") == Some(value))
    };
    if change.is_secret() {
        return exposed(secrets, name).is_none_or(holds);
    }
    match (&change.is, &change.was) {
        // Where neither is there, the installer keeps it elsewhere.
        (Some(value), was) if name == "admin-username" => {
            holds(value) || !is_named || was.as_ref().is_some_and(|was| !holds(was))
        }
        (Some(value), _) => holds(value),
        (None, Some(was)) => !is_named || !holds(was),
        (None, None) => true,
    }
}

/// What has no value of its own the services show, and the installer's block.
fn is_shown_elsewhere(site: &Site, change: &Change) -> bool {
    let mut values_of_it = [&change.was, &change.is].into_iter().flatten();
    values_of_it.any(|value| value == "on" || value == "named-tunnel")
        // Where it was written anew, a secret is written as the installer writes it.
        || (change.is_secret() && site.overwrite_env)
}

/// The secret of an input.
fn exposed<'a>(secrets: &'a Secrets, input: &str) -> Option<&'a str> {
    let input = input.replace('-', "_");
    let mut present = secrets.present();
    let (_, secret) = present.find(|(name, _)| *name == input)?;
    Some(secret.expose())
}

/// Whether password login is as it is to be, however its variable is spelt.
fn login_is_switched(site: &Site, change: &Change, env: &str) -> bool {
    let mut lines = pairs(env).filter(|(name, _)| name.contains("PASSWORD_LOGIN"));
    match lines.next() {
        Some((name, value)) => (is_on(value) == name.contains("DISABLE")) == change.is.is_some(),
        // Written anew without a variable of that name, it cannot be told.
        None => site.overwrite_env || change.is.is_none(),
    }
}

/// The values of the variables that an input is kept in, by their names; where there is none of such a name, all.
fn values<'a>(input: &str, env: &'a str) -> (bool, Vec<&'a str>) {
    let of = |word: &str| -> Vec<&'a str> {
        let all = pairs(env).filter(|(name, _)| name.contains(word));
        all.map(|(_, value)| value).collect()
    };
    let word = NAMES.iter().find(|(begins, _)| input.starts_with(begins));
    let named = word.map(|(_, word)| of(word)).unwrap_or_default();
    if named.is_empty() {
        (false, of(""))
    } else {
        (true, named)
    }
}

/// The variables with their names in capitals.
fn pairs(env: &str) -> impl Iterator<Item = (String, &str)> {
    env.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| {
            let name = name.trim();
            let name = name.strip_prefix("export ").unwrap_or(name).trim_start();
            (
                name.to_ascii_uppercase().replace('-', "_"),
                bare(without_comment(value)),
            )
        })
}

/// A value without what somebody has written behind it.
fn without_comment(value: &str) -> &str {
    let value = value.trim();
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
    let end = match quote {
        Some(quote) => value[1..].find(quote).map(|at| at + 2),
        None => value.find(" #"),
    };
    value.get(..end.unwrap_or(value.len())).unwrap_or(value)
}

fn is_on(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::chapters::install::flags::tests::full;
    use chatalot_protocol::secret::Secret;

    const ALL: &[&str] = &["coturn", "chatalot-updater", "chatalot-socket-proxy"];

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
            switched_off: &SWITCHES.iter().skip(2).collect::<Vec<_>>(),
            remembered: true,
        };
        let secrets = Secrets {
            cloudflare_token: Some(Secret::new("the-new-token")),
            ..Secrets::default()
        };
        let told = judge(&full().0, &secrets, &[one], &there).err()?;
        assert_eq!(told.code, "INSTALLER_KEPT_ENV");
        told.saw
            .split_once("asked for: ")
            .map(|(_, what)| what.to_owned())
    }

    #[test]
    fn an_env_that_was_kept_is_noticed_by_its_values() {
        let ip = || change("turn-external-ip", Some("203.0.113.9"), Some("203.0.113.42"));
        assert_eq!(kept(ip(), "TURN_EXTERNAL_IP='203.0.113.42'\n", ALL), None);
        let told = kept(ip(), "TURN_EXTERNAL_IP=203.0.113.9\n", ALL).unwrap();
        assert_eq!(told, "turn-external-ip 203.0.113.42");
        let admin = || change("admin-username", Some("bob"), Some("alice"));
        assert_eq!(kept(admin(), "ADMIN_USERNAME=alice\n", ALL), None);
        assert_eq!(kept(admin(), "NOTHING=of it\n", ALL), None);
        assert_eq!(kept(admin(), "ADMIN_MAIL=a@example.com\n", ALL), None);
        assert_eq!(kept(admin(), "POSTGRES_USER=bob\n", ALL), None);
        assert_eq!(
            kept(admin(), "ADMIN_USERNAME=bob\n", ALL).unwrap(),
            "admin-username alice"
        );
        // What it was cannot be remembered.
        let unknown = || change("admin-username", None, Some("alice"));
        assert_eq!(kept(unknown(), "POSTGRES_USER=bob\n", ALL), None);
        assert_eq!(
            kept(unknown(), "ADMIN_USERNAME=bob\n", ALL).unwrap(),
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
    fn an_env_that_was_written_anew_is_not_asked_to_be_written_anew() {
        let (mut site, secrets) = full();
        let told = |site: &Site| {
            let there = There {
                env: "REGISTRATION_MODE=closed\n",
                services: None,
                switched_off: &[],
                remembered: true,
            };
            let open = change("registration", Some("closed"), Some("open"));
            judge(site, &secrets, &[open], &there).unwrap_err()
        };
        assert!(told(&site).fix.starts_with("deploy again with --overwrite-env"));
        site.overwrite_env = true;
        let anew = told(&site);
        assert!(
            anew.saw
                .ends_with("still without what was asked for: registration open"),
            "{anew}"
        );
        assert!(
            anew.fix.ends_with("deploy again without --overwrite-env"),
            "{anew}"
        );
    }

    #[test]
    fn what_was_switched_off_must_be_gone() {
        let issuer = || change("oidc-issuer", Some("https://auth.example.com/"), None);
        assert_eq!(kept(issuer(), "OIDC_ISSUER=\n", ALL), None);
        let told = kept(issuer(), "OIDC_ISSUER=https://auth.example.com/\n", ALL).unwrap();
        assert_eq!(told, "oidc-issuer gone");
        let expose = || change("expose", Some("named-tunnel"), None);
        assert_eq!(kept(expose(), "", ALL), None);
        let with_tunnel = [ALL, &["cloudflared"]].concat();
        assert_eq!(kept(expose(), "", &with_tunnel).unwrap(), "the tunnel off");
        let updater = change("enable-updater", None, Some("on"));
        assert_eq!(kept(updater, "", &["coturn"]).unwrap(), "managed updates on");
    }

    #[test]
    fn a_value_that_another_variable_has_too_says_nothing() {
        let gone = || change("oidc-client-id", Some("chatalot"), None);
        assert_eq!(kept(gone(), "TURN_USER=chatalot\nOIDC_CLIENT_ID=\n", ALL), None);
        assert_eq!(kept(gone(), "TURN_USER=chatalot\n", ALL), None);
        let new = || change("oidc-client-id", Some("old"), Some("chatalot"));
        assert!(kept(new(), "TURN_USER=chatalot\nOIDC_CLIENT_ID=old\n", ALL).is_some());
        assert_eq!(kept(new(), "TURN_USER=x\nOIDC_CLIENT_ID=chatalot\n", ALL), None);
    }

    #[test]
    fn inputs_that_cannot_be_remembered_are_no_switches_that_no_env_holds() {
        for name in ["non-interactive", "use-prebuilt", "enable-turn"] {
            assert_eq!(kept(change(name, None, Some("on")), "", ALL), None, "{name}");
        }
    }

    #[test]
    fn a_password_login_that_is_switched_off_or_on_is_told_by_either_spelling() {
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
