//! The operator's inputs as they are collected: from flags, a site file, a prompt or a program.
//!
//! [`INPUTS`] is the one table of what there is to ask; [`Inputs::complete`] turns what was collected into a
//! [`Site`] or names everything that is missing or wrong at once.

use crate::secret::Secret;
use crate::site::{Acme, Networks, Oidc, ProxyChoice, Secrets, Site, Source};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// One input: how it is asked for and described.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Input {
    /// The key in a site file; the flag is the same with dashes.
    pub name: &'static str,
    /// What a person or a program is asked.
    pub question: &'static str,
    /// Whether there is no way without it.
    pub required: bool,
    /// What holds when nothing is said.
    pub default: Option<&'static str>,
    /// Whether the value must never be shown.
    pub secret: bool,
    /// The inputs that it must come together with.
    pub with: &'static [&'static str],
}

const fn input(name: &'static str, question: &'static str) -> Input {
    Input {
        name,
        question,
        required: false,
        default: None,
        secret: false,
        with: &[],
    }
}

/// Every input, in the order in which it is asked for.
pub const INPUTS: &[Input] = &[
    Input {
        required: true,
        ..input("domain", "Which public domain will chatalot answer at?")
    },
    Input {
        required: true,
        ..input("admin_username", "Which username becomes the administrator?")
    },
    Input {
        default: Some("invite_only"),
        ..input("registration", "Who may register: open, invite_only or closed?")
    },
    input(
        "turn_external_ip",
        "For voice and video: the host's public IPv4 address (empty: no TURN)?",
    ),
    Input {
        default: Some("true"),
        ..input("updates", "Managed updates, approved in the admin panel?")
    },
    Input {
        with: &["registry_token"],
        ..input(
            "registry_user",
            "The private registry's user (empty: none needed)?",
        )
    },
    Input {
        secret: true,
        with: &["registry_user"],
        ..input("registry_token", "The private registry's token?")
    },
    Input {
        with: &["oidc_client_id", "oidc_client_secret"],
        ..input(
            "oidc_issuer",
            "The single sign-on issuer's https address (empty: none)?",
        )
    },
    Input {
        with: &["oidc_issuer", "oidc_client_secret"],
        ..input("oidc_client_id", "The single sign-on client id?")
    },
    Input {
        secret: true,
        with: &["oidc_issuer", "oidc_client_id"],
        ..input("oidc_client_secret", "The single sign-on client secret?")
    },
    Input {
        with: &["oidc_issuer"],
        default: Some("false"),
        ..input(
            "oidc_disable_password_login",
            "Single sign-on only, no password login?",
        )
    },
    Input {
        secret: true,
        ..input(
            "cloudflare_token",
            "For a Cloudflare Tunnel in place of a proxy: its token (empty: no tunnel)?",
        )
    },
    Input {
        default: Some("false"),
        ..input(
            "overwrite_env",
            "Have the installer write .env anew, after a copy was made?",
        )
    },
    Input {
        default: Some("false"),
        ..input(
            "loopback_only",
            "Publish chatalot's own port 8080 on 127.0.0.1 alone, not to the world?",
        )
    },
    Input {
        default: Some("https://forgejo.seglamater.app/seglamater/chatalot.git"),
        ..input("repository", "Which git repository is installed?")
    },
    Input {
        default: Some("main"),
        ..input("ref", "Which branch, tag or commit of it?")
    },
    Input {
        default: Some("/srv/chatalot"),
        ..input("folder", "Which folder on the host?")
    },
    Input {
        default: Some("production"),
        ..input(
            "acme",
            "Which ACME authority: production, staging or the https address of a directory?",
        )
    },
    Input {
        default: Some("caddy"),
        ..input(
            "proxy",
            "Which reverse proxy is in front: caddy, nginx, traefik or none?",
        )
    },
    input(
        "acme_root",
        "For an authority of one's own: the PEM file on the host that verifies its directory?",
    ),
    input(
        "limit_until_admin",
        "Until the administrator has registered, which addresses alone are let in, as 198.51.100.7,2001:db8::/48 (empty: everybody, and whoever registers first becomes the administrator)?",
    ),
    input(
        "docker_group",
        "A login to add to the docker group (that is root; empty: none)?",
    ),
];

/// What was collected so far. As TOML it is the site file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(
    missing_docs,
    reason = "each field is described by the row of INPUTS with its name"
)]
pub struct Inputs {
    pub domain: Option<String>,
    pub admin_username: Option<String>,
    pub registration: Option<String>,
    pub turn_external_ip: Option<String>,
    pub updates: Option<bool>,
    pub registry_user: Option<String>,
    pub registry_token: Option<Secret>,
    pub oidc_issuer: Option<String>,
    pub oidc_client_id: Option<String>,
    pub oidc_client_secret: Option<Secret>,
    pub oidc_disable_password_login: Option<bool>,
    pub cloudflare_token: Option<Secret>,
    pub overwrite_env: Option<bool>,
    pub loopback_only: Option<bool>,
    pub repository: Option<String>,
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    pub folder: Option<String>,
    pub acme: Option<String>,
    pub acme_root: Option<String>,
    pub proxy: Option<String>,
    pub limit_until_admin: Option<String>,
    pub docker_group: Option<String>,
}

/// One input that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Which input.
    pub input: String,
    /// Whether nothing was given, rather than something wrong.
    pub missing: bool,
    /// What is wrong with it.
    pub why: String,
    /// What to ask the user.
    pub question: String,
}

impl Inputs {
    /// The site and its secrets, or everything that is missing or wrong.
    pub fn complete(self) -> Result<(Site, Secrets), Vec<Problem>> {
        let mut desk = Desk::default();
        self.judge_togetherness(&mut desk);
        let acme = acme(&mut desk, self.acme.as_deref(), self.acme_root);
        let proxy = desk.optional("proxy", self.proxy).unwrap_or_default();
        let site = Parts {
            domain: desk.required("domain", self.domain),
            admin: desk.required("admin_username", self.admin_username),
            registration: desk.or_default("registration", self.registration),
            repository: desk.or_default("repository", self.repository),
            reference: desk.or_default("ref", self.reference),
            folder: desk.or_default("folder", self.folder),
        };
        let turn = desk.optional("turn_external_ip", self.turn_external_ip);
        let registry_user = desk.optional("registry_user", self.registry_user);
        let issuer = desk.optional("oidc_issuer", self.oidc_issuer);
        let client_id = desk.optional("oidc_client_id", self.oidc_client_id);
        let docker_group = desk.optional("docker_group", self.docker_group);
        let tunnel = self.cloudflare_token.is_some();
        let proxy = if tunnel { ProxyChoice::None } else { proxy };
        let limit_until_admin = limit(&mut desk, self.limit_until_admin, proxy, tunnel);
        if !desk.problems.is_empty() {
            return Err(desk.problems);
        }
        let Some((domain, admin, registration, source, folder)) = site.whole() else {
            return Err(desk.problems);
        };
        let disable_password_login = self.oidc_disable_password_login.unwrap_or(false);
        let oidc = issuer.zip(client_id).map(|(issuer, client_id)| Oidc {
            issuer,
            client_id,
            disable_password_login,
        });
        let updates = self.updates.unwrap_or(true);
        let site = Site {
            domain,
            admin,
            registration,
            turn,
            updates,
            registry_user,
            oidc,
            tunnel,
            overwrite_env: self.overwrite_env.unwrap_or(false),
            loopback_only: self.loopback_only.unwrap_or(false),
            source,
            folder,
            acme,
            proxy,
            limit_until_admin,
            docker_group,
        };
        let secrets = Secrets {
            registry_token: self.registry_token,
            oidc_client_secret: self.oidc_client_secret,
            cloudflare_token: self.cloudflare_token,
        };
        Ok((site, secrets))
    }

    fn judge_togetherness(&self, desk: &mut Desk) {
        let given = |name: &str| match name {
            "registry_user" => self.registry_user.is_some(),
            "registry_token" => self.registry_token.is_some(),
            "oidc_issuer" => self.oidc_issuer.is_some(),
            "oidc_client_id" => self.oidc_client_id.is_some(),
            "oidc_client_secret" => self.oidc_client_secret.is_some(),
            "oidc_disable_password_login" => self.oidc_disable_password_login == Some(true),
            _ => false,
        };
        for row in INPUTS.iter().filter(|row| given(row.name)) {
            for other in row.with.iter().filter(|other| !given(other)) {
                desk.missing(other, &format!("`{}` was given, and needs it", row.name));
            }
        }
        for (name, secret) in [
            ("registry_token", &self.registry_token),
            ("oidc_client_secret", &self.oidc_client_secret),
            ("cloudflare_token", &self.cloudflare_token),
        ] {
            if secret.as_ref().is_some_and(|secret| {
                // As the scrubber counts: a shorter one could not be told from ordinary text.
                secret.expose().chars().count() < 4 || secret.expose().contains(char::is_whitespace)
            }) {
                desk.wrong(name, "a secret has at least four characters and no white space");
            }
        }
    }
}

/// The parts of a site that are always there, before it is known that they are right.
struct Parts {
    domain: Option<crate::site::Domain>,
    admin: Option<crate::site::AdminName>,
    registration: Option<crate::site::Registration>,
    repository: Option<crate::site::Repository>,
    reference: Option<crate::site::GitRef>,
    folder: Option<crate::site::Folder>,
}

type Whole = (
    crate::site::Domain,
    crate::site::AdminName,
    crate::site::Registration,
    Source,
    crate::site::Folder,
);

impl Parts {
    fn whole(self) -> Option<Whole> {
        let source = Source {
            repository: self.repository?,
            reference: self.reference?,
        };
        Some((
            self.domain?,
            self.admin?,
            self.registration?,
            source,
            self.folder?,
        ))
    }
}

fn acme(desk: &mut Desk, authority: Option<&str>, root: Option<String>) -> Acme {
    match authority {
        None | Some("production") => Acme::Production,
        Some("staging") => Acme::Staging,
        Some(directory) => {
            let directory = desk.optional("acme", Some(directory.to_owned()));
            if root.is_none() {
                desk.missing(
                    "acme_root",
                    "an authority of one's own is verified by its own root",
                );
            }
            let root = desk.optional("acme_root", root);
            directory
                .zip(root)
                .map_or(Acme::Production, |(directory, root)| Acme::Private {
                    directory,
                    root,
                })
        }
    }
}

/// Who is let in until the administrator has registered: said to a proxy of ours, for nobody else would do it.
fn limit(desk: &mut Desk, text: Option<String>, proxy: ProxyChoice, tunnel: bool) -> Networks {
    const NAME: &str = "limit_until_admin";
    let given = text.is_some();
    let networks = desk.optional(NAME, text).unwrap_or_default();
    if given && tunnel {
        desk.wrong(
            NAME,
            "behind a Cloudflare Tunnel every visitor comes from Cloudflare, so addresses tell nobody apart; limit the tunnel's hostname there, by an Access policy",
        );
    } else if given && proxy == ProxyChoice::None {
        desk.wrong(
            NAME,
            "with a reverse proxy of your own (`proxy = none`), only that one can limit who is let in",
        );
    }
    networks
}

/// Where values are judged, and what is wrong with them collected.
#[derive(Default)]
struct Desk {
    problems: Vec<Problem>,
}

impl Desk {
    fn required<T: FromStr<Err = impl ToString>>(&mut self, name: &str, text: Option<String>) -> Option<T> {
        if text.is_none() {
            self.missing(name, "it is required");
        }
        self.optional(name, text)
    }

    fn or_default<T: FromStr<Err = impl ToString>>(&mut self, name: &str, text: Option<String>) -> Option<T> {
        let default = INPUTS
            .iter()
            .find(|row| row.name == name)
            .and_then(|row| row.default);
        self.optional(name, text.or_else(|| default.map(str::to_owned)))
    }

    fn optional<T: FromStr<Err = impl ToString>>(&mut self, name: &str, text: Option<String>) -> Option<T> {
        let parsed = text?.parse();
        parsed
            .map_err(|why: T::Err| self.wrong(name, &why.to_string()))
            .ok()
    }

    fn missing(&mut self, name: &str, why: &str) {
        if !self.problems.iter().any(|problem| problem.input == name) {
            self.add(name, true, why);
        }
    }

    fn wrong(&mut self, name: &str, why: &str) {
        self.add(name, false, why);
    }

    fn add(&mut self, name: &str, missing: bool, why: &str) {
        let question = INPUTS
            .iter()
            .find(|row| row.name == name)
            .map_or("", |row| row.question);
        self.problems.push(Problem {
            input: name.to_owned(),
            missing,
            why: why.to_owned(),
            question: question.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests;
