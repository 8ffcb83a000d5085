//! An `.env` of which nothing is remembered: set up by hand, left by a deployment that was taken away, or by a first one
//! that came to nothing. Told of it is only what it has otherwise under an input's own name, for the installer may keep
//! the others elsewhere.

use super::{exposed, is_shown_elsewhere, login_is_switched, pairs};
use crate::runbook::chapters::install::flags::Change;
use chatalot_protocol::site::{Secrets, Site};

/// Whether `.env` does not say otherwise than is asked for.
pub(super) fn is_not_otherwise(site: &Site, secrets: &Secrets, change: &Change, env: &str) -> bool {
    let name = change.name.as_str();
    // What the installer has just written itself it has not kept, but that a run before may have been of another site.
    if site.overwrite_env && !matches!(name, "domain" | "registration") {
        return true;
    }
    if name == "oidc-disable-password-login" {
        // Where single sign-on is in there, this belongs there too.
        let keeps_it =
            pairs(env).any(|(name, _)| is_named(&name, &["OIDC"]) || name.contains("PASSWORD_LOGIN"));
        return !keeps_it || login_is_switched(site, change, env);
    }
    let Some(is) = change.is.as_deref().filter(|_| !is_shown_elsewhere(site, change)) else {
        return true;
    };
    let own: Vec<&str> = pairs(env)
        .filter(|(variable, _)| is_own(name, variable))
        .map(|(_, value)| value)
        .collect();
    // What compose puts together of other variables cannot be told.
    if own.is_empty() || own.iter().any(|value| value.contains('$')) {
        return true;
    }
    if change.is_secret() {
        return exposed(secrets, name).is_none_or(|secret| pairs(env).any(|(_, value)| value == secret));
    }
    own.iter().any(|value| {
        value.trim_end_matches('/') == is.trim_end_matches('/') || (name == "domain" && host_of(value) == is)
    })
}

/// Whether this is the variable of an input, by its name; one that names a file is not.
fn is_own(input: &str, variable: &str) -> bool {
    if ["_FILE", "_PATH"].iter().any(|end| variable.ends_with(end)) {
        return false;
    }
    match input {
        "domain" => matches!(variable, "DOMAIN" | "PUBLIC_URL"),
        "registration" => matches!(variable, "REGISTRATION" | "REGISTRATION_MODE"),
        _ => {
            let words = input.to_ascii_uppercase();
            is_named(variable, &words.split('-').collect::<Vec<_>>())
        }
    }
}

/// Whether a variable has all these words in its name.
fn is_named(variable: &str, words: &[&str]) -> bool {
    words
        .iter()
        .all(|word| variable.split('_').any(|part| part == *word))
}

/// The name within an address such as `https://chat.example.com:443/`.
fn host_of(value: &str) -> String {
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    let name = rest.split(['/', ':']).next().unwrap_or_default();
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::super::{There, judge};
    use super::*;
    use crate::runbook::chapters::install::flags::tests::full;
    use chatalot_protocol::secret::Secret;

    /// What is told of an `.env` of which nothing is remembered.
    fn otherwise(name: &str, is: &str, env: &str) -> Option<String> {
        let there = There {
            env,
            services: None,
            switched_off: &[],
            remembered: false,
        };
        let secrets = Secrets {
            cloudflare_token: Some(Secret::new("the-new-token")),
            oidc_client_secret: Some(Secret::new("s3cret")),
            ..Secrets::default()
        };
        let change = Change {
            name: name.to_owned(),
            was: None,
            is: Some(is.to_owned()),
        };
        let told = judge(&full().0, &secrets, &[change], &there).err()?;
        Some(told.code.into_owned())
    }

    const TURN: &str = "203.0.113.42";
    const ISSUER: &str = "https://auth.example.com/";
    /// What an input is to be, and an `.env` that has it otherwise.
    const OTHERWISE: &[(&str, &str, &str)] = &[
        (
            "registration",
            "closed",
            "REGISTRATION_MODE=invite_only # open, closed\n",
        ),
        ("registration", "closed", "export REGISTRATION_MODE='open'\n"),
        (
            "admin-username",
            "alice",
            "ADMIN_USERNAME=\nPOSTGRES_USER=alice\n",
        ),
        (
            "domain",
            "chat.example.com",
            "PUBLIC_URL=https://old.example.com\n",
        ),
        ("turn-external-ip", TURN, "TURN_EXTERNAL_IP=203.0.113.9\n"),
        (
            "oidc-issuer",
            ISSUER,
            "OIDC_ISSUER_URL=https://old.example.com/\n",
        ),
        (
            "oidc-client-id",
            "chatalot",
            "OIDC_CLIENT_ID=\nTURN_USER=chatalot\n",
        ),
        ("oidc-client-secret", "tag", "OIDC_CLIENT_SECRET=old-one\n"),
        ("cloudflare-token", "tag", "CLOUDFLARE_TUNNEL_TOKEN=\n"),
        (
            "oidc-disable-password-login",
            "on",
            "OIDC_DISABLE_PASSWORD_LOGIN=0\n",
        ),
        (
            "oidc-disable-password-login",
            "on",
            "PASSWORD_LOGIN_ENABLED=true\n",
        ),
        (
            "oidc-disable-password-login",
            "on",
            "OIDC_ISSUER=https://auth.example.com/\n",
        ),
    ];

    #[test]
    fn where_nothing_is_remembered_what_env_has_otherwise_under_an_inputs_own_name_is_told() {
        for (name, is, env) in OTHERWISE {
            let told = otherwise(name, is, env);
            assert_eq!(told.as_deref(), Some("INSTALLER_KEPT_ENV"), "{name}: {env}");
        }
    }

    #[test]
    fn where_nothing_is_remembered_what_env_has_no_variable_for_is_not_told() {
        for (name, is, env) in [
            ("registration", "closed", "REGISTRATION_MODE=closed # or open\n"),
            ("registration", "closed", "REGISTRATION_PER_HOUR=5\nMODE=open\n"),
            ("admin-username", "alice", "ADMIN_MAIL=a@example.com\n"),
            ("domain", "chat.example.com", "COOKIE_DOMAIN=.example.com\n"),
            (
                "domain",
                "chat.example.com",
                "PUBLIC_URL=\"https://Chat.example.com:443/\" # mine\n",
            ),
            ("domain", "chat.example.com", "PUBLIC_URL=https://${HOST}\n"),
            (
                "turn-external-ip",
                TURN,
                "TURN_USER=chatalot\nTURN_REALM=a.example.com\n",
            ),
            ("oidc-issuer", ISSUER, "OIDC_CLIENT_ID=chatalot\n"),
            ("oidc-client-id", "chatalot", "OIDC_CLIENT_SECRET=s3cret\n"),
            (
                "oidc-client-secret",
                "tag",
                "OIDC_CLIENT_SECRET_FILE=x\nMY_SECRET='s3cret'\n",
            ),
            (
                "cloudflare-token",
                "tag",
                "CLOUDFLARE_TUNNEL_TOKEN=the-new-token\n",
            ),
            ("oidc-disable-password-login", "on", "DB_PASSWORD=x\n"),
            (
                "oidc-disable-password-login",
                "on",
                "OIDC_DISABLE_PASSWORD_LOGIN=true # mine\n",
            ),
            ("expose", "named-tunnel", ""),
            ("use-prebuilt", "on", ""),
            ("commit", "c0", "COMMIT=c1\n"),
        ] {
            assert_eq!(otherwise(name, is, env), None, "{name}: {env}");
        }
    }
}
