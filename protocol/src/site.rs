//! One chatalot on a host: the runbook's inputs as types that cannot hold a bad value.
//!
//! Secrets travel beside the site, in [`Secrets`], so that a site may be stored, hashed and shown.

mod network;
mod proxy;

pub use network::{Network, Networks};
pub use proxy::ProxyChoice;

use crate::names::shown;
use crate::secret::{Secret, carried};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::path::Path;
use std::{fmt, str::FromStr};

/// Why a value is refused: what it must look like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not {wanted}")]
pub struct BadValue {
    /// The value, made safe to print.
    pub value: String,
    /// What was wanted.
    pub wanted: &'static str,
}

fn refuse<T>(value: &str, wanted: &'static str) -> Result<T, BadValue> {
    Err(BadValue {
        value: shown(value),
        wanted,
    })
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $parse:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The value as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadValue;
            fn from_str(text: &str) -> Result<Self, BadValue> {
                let parse: fn(&str) -> Result<String, BadValue> = $parse;
                parse(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadValue;
            fn try_from(text: String) -> Result<Self, BadValue> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_type! {
    /// A public domain name in its ASCII form (`xn--…` for an international one); no scheme, port or path.
    Domain, domain
}
text_type! {
    /// The account that becomes the administrator: printable ASCII without spaces.
    AdminName, |text| plain(text, 64, "an admin username: printable ASCII, no spaces, at most 64 characters")
}
text_type! {
    /// An absolute `https://` address without credentials in it.
    HttpsUrl, |text| url(text, &["https://"], "an https:// address without credentials, spaces or quotes")
}
text_type! {
    /// Where the source is cloned from: `https://`, `ssh://` or `git://`, or an absolute `file:///` path.
    Repository, |text| url(text, &["https://", "ssh://", "git://", "file:///"], "a git address (https://…)")
}
text_type! {
    /// Where a host may clone from: a [`Repository`], or `*` for any.
    GitRemote, |text| if text == "*" { Ok(text.to_owned()) } else { text.parse().map(|Repository(text)| text) }
}
text_type! {
    /// A branch, tag or commit.
    GitRef, git_ref
}
text_type! {
    /// A folder on the host for chatalot: absolute, of plain characters, at least two levels deep, and where the
    /// agent's confined daemon sees what its steps write.
    Folder, folder
}
text_type! {
    /// A file on the host: absolute, of plain characters, at least two levels deep, where the proxy can read it.
    HostFile, |text| below(text, HIDDEN, "a file such as /etc/ssl/acme-root.pem, not below /home, /root, /tmp, /var/tmp, /run, /proc, /sys or /dev")
}
text_type! {
    /// A user name, client id or the like that goes into an argument: printable ASCII without spaces.
    Word, |text| plain(text, 256, "a word of printable ASCII without spaces")
}
text_type! {
    /// A login name on the host.
    LoginName, login
}

fn domain(text: &str) -> Result<String, BadValue> {
    const WANTED: &str = "a domain such as chat.example.com, without scheme, port or path";
    let ascii = idna::domain_to_ascii_strict(text.trim_end_matches('.'));
    match ascii {
        Ok(name) if name.contains('.') && name.len() <= 253 && name.parse::<Ipv4Addr>().is_err() => Ok(name),
        _ => refuse(text, WANTED),
    }
}

fn plain(text: &str, longest: usize, wanted: &'static str) -> Result<String, BadValue> {
    let ok = (1..=longest).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"\"'`\\$".contains(&b))
        && !text.starts_with('-');
    if ok {
        Ok(text.to_owned())
    } else {
        refuse(text, wanted)
    }
}

fn url(text: &str, schemes: &[&str], wanted: &'static str) -> Result<String, BadValue> {
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    let ok = rest.is_some_and(|rest| {
        let host = rest.split('/').next().unwrap_or_default();
        let user_only = text.starts_with("ssh://") && !host.contains(':');
        // What begins like an option is one to the program that is started with it, behind a user too.
        let option =
            rest.starts_with('-') || host.rsplit('@').next().is_some_and(|host| host.starts_with('-'));
        !rest.is_empty()
            && !option
            && text.len() <= 1024
            && (!host.contains('@') || user_only)
            && rest
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"\"'`\\<>$".contains(&b))
    });
    if ok {
        Ok(text.to_owned())
    } else {
        refuse(text, wanted)
    }
}

fn git_ref(text: &str) -> Result<String, BadValue> {
    let ok = (1..=200).contains(&text.len())
        && !text.starts_with(['-', '/', '.'])
        && !text.contains("..")
        && !text.ends_with(['/', '.'])
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_./+".contains(&b));
    if ok {
        Ok(text.to_owned())
    } else {
        refuse(text, "a branch, tag or commit")
    }
}

/// What the agent's daemon does not see as its steps do (it has its own `/tmp` and no homes), or what does not stay.
const HIDDEN: &[&str] = &[
    "/home", "/root", "/tmp", "/var/tmp", "/run", "/var/run", "/proc", "/sys", "/dev",
];

fn folder(text: &str) -> Result<String, BadValue> {
    const WANTED: &str = "a folder such as /srv/chatalot, not below /home, /root, /tmp, /var/tmp, /run, /proc, /sys, /dev or /etc";
    below(text, &[HIDDEN, &["/etc"]].concat(), WANTED)
}

fn below(text: &str, refused: &[&str], wanted: &'static str) -> Result<String, BadValue> {
    let parts: Vec<&str> = text.trim_end_matches('/').split('/').skip(1).collect();
    let plain = text.starts_with('/')
        && text.len() <= 200
        && parts.len() >= 2
        && parts.iter().all(|part| {
            !part.is_empty()
                && !part.starts_with(['-', '.'])
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        });
    let path = format!("/{}", parts.join("/"));
    if plain && !refused.iter().any(|place| Path::new(&path).starts_with(place)) {
        Ok(path)
    } else {
        refuse(text, wanted)
    }
}

fn login(text: &str) -> Result<String, BadValue> {
    let ok = (1..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b));
    if ok {
        Ok(text.to_owned())
    } else {
        refuse(text, "a login name")
    }
}

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// With an invitation only.
    #[default]
    InviteOnly,
    /// Everybody.
    Open,
    /// Nobody.
    Closed,
}

impl Registration {
    /// The word that the installer takes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InviteOnly => "invite_only",
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

impl FromStr for Registration {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        [Self::InviteOnly, Self::Open, Self::Closed]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .map_or_else(|| refuse(text, "one of invite_only, open, closed"), Ok)
    }
}

/// An IPv4 address that can be reached from the internet: not private, shared, link-local or special.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicIpv4(Ipv4Addr);

impl PublicIpv4 {
    /// The address.
    pub const fn address(self) -> Ipv4Addr {
        self.0
    }
}

impl FromStr for PublicIpv4 {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        const WANTED: &str = "a public IPv4 address (not private, shared 100.64/10, link-local or special)";
        let Ok(ip) = text.parse::<Ipv4Addr>() else {
            return refuse(text, WANTED);
        };
        let [a, b, ..] = ip.octets();
        let shared = a == 100 && (64..128).contains(&b);
        let special = a == 0 || a >= 224 || ip.is_loopback() || ip.is_link_local();
        if shared || special || ip.is_private() {
            refuse(text, WANTED)
        } else {
            Ok(Self(ip))
        }
    }
}

impl TryFrom<String> for PublicIpv4 {
    type Error = BadValue;
    fn try_from(text: String) -> Result<Self, BadValue> {
        text.parse()
    }
}

impl From<PublicIpv4> for String {
    fn from(ip: PublicIpv4) -> Self {
        ip.0.to_string()
    }
}

/// Single sign-on; the client secret is in [`Secrets`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oidc {
    /// The issuer's address.
    pub issuer: HttpsUrl,
    /// The client id.
    pub client_id: Word,
    /// Whether password login is switched off.
    #[serde(default)]
    pub disable_password_login: bool,
}

/// Where the source comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The git repository.
    pub repository: Repository,
    /// What is checked out of it.
    pub reference: GitRef,
}

/// Which authority signs the public certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acme {
    /// Let's Encrypt.
    #[default]
    Production,
    /// Let's Encrypt's staging directory, whose certificates no browser trusts.
    Staging,
    /// An authority of one's own.
    Private {
        /// Its ACME directory.
        directory: HttpsUrl,
        /// A PEM file on the host with the root that the directory itself is verified by.
        root: HostFile,
    },
}

/// A site: everything about one chatalot but its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is an input of its own")]
pub struct Site {
    /// The public domain.
    pub domain: Domain,
    /// The first administrator.
    pub admin: AdminName,
    /// Who may register.
    pub registration: Registration,
    /// Voice and video: the address that the TURN server is reached at.
    pub turn: Option<PublicIpv4>,
    /// Managed updates.
    pub updates: bool,
    /// The private registry's user, where one is needed; the token is in [`Secrets`].
    pub registry_user: Option<Word>,
    /// Single sign-on.
    pub oidc: Option<Oidc>,
    /// Whether a Cloudflare Tunnel leads to it, in place of a proxy; the token is in [`Secrets`].
    #[serde(default, skip_serializing_if = "is_not")]
    pub tunnel: bool,
    /// Whether an installer that has to run writes its `.env` anew.
    #[serde(default, skip_serializing_if = "is_not")]
    pub overwrite_env: bool,
    /// Whether chatalot's own port is published on the host alone.
    #[serde(default, skip_serializing_if = "is_not")]
    pub loopback_only: bool,
    /// Where the source comes from.
    pub source: Source,
    /// Where it is put.
    pub folder: Folder,
    /// Which authority signs the public certificate.
    pub acme: Acme,
    /// What stands in front of it.
    #[serde(default, skip_serializing_if = "ProxyChoice::is_default")]
    pub proxy: ProxyChoice,
    /// Whom alone the proxy lets in until the administrator has registered; everybody, where there is none.
    #[serde(default, skip_serializing_if = "Networks::is_empty")]
    pub limit_until_admin: Networks,
    /// A login that is added to the `docker` group, which is the same as giving it root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker_group: Option<LoginName>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks like this")]
const fn is_not(flag: &bool) -> bool {
    !*flag
}

/// The secrets that belong to a site. Serialised only on the way to the host and into 0600 files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Secrets {
    /// The private registry's token.
    #[serde(default, with = "carried")]
    pub registry_token: Option<Secret>,
    /// The single sign-on client's secret.
    #[serde(default, with = "carried")]
    pub oidc_client_secret: Option<Secret>,
    /// The Cloudflare Tunnel's token.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "carried")]
    pub cloudflare_token: Option<Secret>,
}

impl Secrets {
    /// Each secret that is there, by the name of its input.
    pub fn present(&self) -> impl Iterator<Item = (&'static str, &Secret)> {
        [
            ("registry_token", &self.registry_token),
            ("oidc_client_secret", &self.oidc_client_secret),
            ("cloudflare_token", &self.cloudflare_token),
        ]
        .into_iter()
        .filter_map(|(name, secret)| secret.as_ref().map(|secret| (name, secret)))
    }
}

#[cfg(test)]
mod tests;
