//! The installer's flags for a site, in the runbook's order.

use chatalot_protocol::advice::Advice;
use chatalot_protocol::secret::Secret;
use chatalot_protocol::site::{Secrets, Site};
use std::collections::BTreeMap;

enum Value {
    None,
    Plain(String),
    /// By the name of its input.
    Secret(&'static str),
}

struct Flag(&'static str, Value);

/// What is kept besides the flags, of every run.
const COMMIT: &str = "commit";
/// Of these only a tag is kept.
const SECRETS: &[&str] = &["registry-token", "oidc-client-secret", "cloudflare-token"];

fn flags(site: &Site) -> Vec<Flag> {
    let plain = |text: &dyn ToString| Value::Plain(text.to_string());
    let mut flags = vec![
        Flag("--non-interactive", Value::None),
        Flag("--domain", plain(&site.domain)),
        Flag("--admin-username", plain(&site.admin)),
        Flag("--registration", plain(&site.registration.as_str())),
    ];
    if let Some(ip) = site.turn {
        flags.push(Flag("--enable-turn", Value::None));
        flags.push(Flag("--turn-external-ip", plain(&ip.address())));
    }
    if site.updates {
        flags.push(Flag("--enable-updater", Value::None));
    }
    if let Some(user) = &site.registry_user {
        flags.push(Flag("--registry-user", plain(user)));
        flags.push(Flag("--registry-token", Value::Secret("registry_token")));
    }
    if let Some(oidc) = &site.oidc {
        flags.push(Flag("--oidc-issuer", plain(&oidc.issuer)));
        flags.push(Flag("--oidc-client-id", plain(&oidc.client_id)));
        flags.push(Flag("--oidc-client-secret", Value::Secret("oidc_client_secret")));
        if oidc.disable_password_login {
            flags.push(Flag("--oidc-disable-password-login", Value::None));
        }
    }
    if site.tunnel {
        flags.push(Flag("--expose", Value::Plain("named-tunnel".to_owned())));
        flags.push(Flag("--cloudflare-token", Value::Secret("cloudflare_token")));
    }
    flags.push(Flag("--use-prebuilt", Value::None));
    flags
}

/// The installer's arguments.
pub(super) fn installer_args(site: &Site, secrets: &Secrets) -> Result<Vec<String>, Box<Advice>> {
    let mut args = Vec::new();
    for Flag(name, value) in flags(site) {
        args.push(name.to_owned());
        match value {
            Value::None => {}
            Value::Plain(text) => args.push(text),
            Value::Secret(input) => args.push(exposed(secrets, input)?.to_owned()),
        }
    }
    Ok(args)
}

fn exposed<'a>(secrets: &'a Secrets, input: &str) -> Result<&'a str, Box<Advice>> {
    let found = secrets.present().find(|(name, _)| *name == input);
    found
        .map(|(_, secret): (_, &Secret)| secret.expose())
        .ok_or_else(|| {
            Advice::new(
                "SECRET_MISSING",
                format!("no `{input}` with this deployment"),
                "the secret that belongs to the site",
                format!("deploy again with `{input}`"),
            )
            .into()
        })
}

/// The flags as a plan shows them: secrets by their names.
pub(super) fn shown(site: &Site) -> String {
    let words: Vec<String> = flags(site)
        .into_iter()
        .map(|Flag(name, value)| match value {
            Value::None => name.to_owned(),
            Value::Plain(text) => format!("{name} {text}"),
            Value::Secret(input) => format!("{name} <{input}>"),
        })
        .collect();
    words.join(" ")
}

/// The flags that a site needs and a help text does not name.
pub(super) fn unknown(site: &Site, help: &str) -> Vec<&'static str> {
    let named: Vec<&str> = help
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .collect();
    flags(site)
        .into_iter()
        .map(|Flag(name, _)| name)
        .filter(|name| !named.contains(name))
        .collect()
}

/// Everything that decides what the installer makes: kept, to see whether it has to run again.
pub(super) struct Inputs(BTreeMap<String, String>);

impl Inputs {
    pub(super) fn of(site: &Site, tags: &BTreeMap<String, String>, commit: Option<String>) -> Self {
        let mut all = BTreeMap::new();
        for Flag(name, value) in flags(site) {
            let text = match value {
                Value::None => "on".to_owned(),
                Value::Plain(text) => text,
                Value::Secret(input) => tags.get(input).cloned().unwrap_or_default(),
            };
            all.insert(name.trim_start_matches('-').to_owned(), text);
        }
        all.insert(COMMIT.to_owned(), commit.unwrap_or_default());
        Self(all)
    }

    /// As it is kept.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// Those that are not as they were; all of them where what is remembered cannot be read.
    pub(super) fn changes(&self, kept: &str) -> Vec<Change> {
        let before: BTreeMap<String, String> = serde_json::from_str(kept).unwrap_or_default();
        let names: std::collections::BTreeSet<&String> = self.0.keys().chain(before.keys()).collect();
        let change = |name: &String| Change {
            name: name.clone(),
            was: before.get(name).cloned(),
            is: self.0.get(name).cloned(),
        };
        let all = names.into_iter().map(change);
        all.filter(|change| change.was != change.is).collect()
    }
}

/// Whether anything can be told from what is remembered.
pub(super) fn can_be_read(kept: &str) -> bool {
    had(kept, COMMIT)
}

/// Whether a flag was among what is remembered.
pub(super) fn had(kept: &str, flag: &str) -> bool {
    let before: BTreeMap<String, String> = serde_json::from_str(kept).unwrap_or_default();
    before.contains_key(flag)
}

/// An input that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// Its flag, without the dashes.
    pub(super) name: String,
    /// What it was; of a secret its tag.
    pub(super) was: Option<String>,
    /// What it is to be; of a secret its tag.
    pub(super) is: Option<String>,
}

impl Change {
    /// Whether only its tag is known.
    pub(super) fn is_secret(&self) -> bool {
        SECRETS.contains(&self.name.as_str())
    }
}

/// With what they were and what they are to be, for people; of a secret only that it is another one.
impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let told = |text: &Option<String>| {
            text.as_deref()
                .map_or_else(|| "none".to_owned(), crate::host::plain_line)
        };
        let name = &self.name;
        match (&self.was, &self.is) {
            (Some(_), Some(_)) if self.is_secret() => write!(f, "{name}: another one"),
            (None, Some(_)) if self.is_secret() => write!(f, "{name}: given"),
            (_, None) if self.is_secret() => write!(f, "{name}: gone"),
            (was, is) => write!(f, "{name}: {} → {}", told(was), told(is)),
        }
    }
}

#[cfg(test)]
pub(in crate::runbook) mod tests {
    use super::*;
    use chatalot_protocol::inputs::Inputs as Collected;

    fn least() -> (Site, Secrets) {
        let inputs = Collected {
            domain: Some("chat.example.com".into()),
            admin_username: Some("alice".into()),
            updates: Some(false),
            ..Collected::default()
        };
        inputs.complete().unwrap()
    }

    pub(in crate::runbook) fn full() -> (Site, Secrets) {
        let inputs = Collected {
            domain: Some("chat.example.com".into()),
            admin_username: Some("alice".into()),
            turn_external_ip: Some("203.0.113.42".into()),
            registry_user: Some("deploy-alice".into()),
            registry_token: Some(Secret::new("abc123...")),
            oidc_issuer: Some("https://auth.example.com/application/o/chatalot/".into()),
            oidc_client_id: Some("chatalot-prod".into()),
            oidc_client_secret: Some(Secret::new("s3cret")),
            ..Collected::default()
        };
        inputs.complete().unwrap()
    }

    #[test]
    fn the_least_command_is_the_runbooks() {
        let (site, secrets) = least();
        let args = installer_args(&site, &secrets).unwrap().join(" ");
        assert_eq!(
            args,
            "--non-interactive --domain chat.example.com --admin-username alice --registration invite_only --use-prebuilt"
        );
    }

    #[test]
    fn the_full_command_is_the_runbooks() {
        let (site, secrets) = full();
        assert_eq!(
            installer_args(&site, &secrets).unwrap().join(" "),
            "--non-interactive --domain chat.example.com --admin-username alice --registration invite_only \
             --enable-turn --turn-external-ip 203.0.113.42 --enable-updater \
             --registry-user deploy-alice --registry-token abc123... \
             --oidc-issuer https://auth.example.com/application/o/chatalot/ --oidc-client-id chatalot-prod \
             --oidc-client-secret s3cret --use-prebuilt"
        );
    }

    #[test]
    fn single_sign_on_only_comes_right_after_single_sign_on() {
        let (mut site, secrets) = full();
        site.oidc.as_mut().unwrap().disable_password_login = true;
        let args = installer_args(&site, &secrets).unwrap();
        let at = args
            .iter()
            .position(|arg| arg == "--oidc-disable-password-login")
            .unwrap();
        assert_eq!(args[at - 2], "--oidc-client-secret");
        assert_eq!(args[at + 1], "--use-prebuilt");
    }

    #[test]
    fn f59_a_plan_and_what_is_remembered_show_no_secret() {
        let (site, _) = full();
        let tags = BTreeMap::from([("registry_token".to_owned(), "tag-1".to_owned())]);
        let kept = Inputs::of(&site, &tags, Some("c0".into())).text();
        for text in [shown(&site), kept] {
            assert!(!text.contains("abc123") && !text.contains("s3cret"), "{text}");
        }
    }

    #[test]
    fn a_missing_secret_is_asked_for() {
        assert_eq!(
            installer_args(&full().0, &Secrets::default()).unwrap_err().code,
            "SECRET_MISSING"
        );
    }

    #[test]
    fn help_must_name_whole_flags() {
        let (site, _) = least();
        let help = "usage: install.sh [--non-interactive] --domain=NAME --admin-username NAME\n  --registration-mode M\n  --use-prebuilt";
        assert_eq!(unknown(&site, help), ["--registration"]);
    }

    #[test]
    fn changed_inputs_are_named() {
        let (site, _) = full();
        let tag = |text: &str| BTreeMap::from([("registry_token".to_owned(), text.to_owned())]);
        let before = Inputs::of(&site, &tag("1"), Some("c0".into()));
        assert!(before.changes(&before.text()).is_empty());
        let after = Inputs::of(&site, &tag("2"), Some("c1".into()));
        let told: Vec<String> = after
            .changes(&before.text())
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(told, ["commit: c0 → c1", "registry-token: another one"]);
        assert_eq!(after.changes("nonsense").len(), after.0.len());
    }
}
