//! The inputs of a site as flags, as a file and on standard input.
//!
//! A secret is never the value of a flag: other users of the machine see the process list. It comes from a file
//! that only its owner can read, from standard input (`-`), or from the prompt.

mod file;

use crate::exit::Failure;
use chatalot_protocol::inputs::Inputs;
use clap::Args;
use std::path::{Path, PathBuf};

/// The inputs of a site; what is not said is taken from `--site`, asked for, or left at its default.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "The site")]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct SiteFlags {
    /// The public domain that chatalot will answer at
    #[arg(long, value_name = "NAME")]
    pub domain: Option<String>,
    /// The username that becomes the administrator
    #[arg(long, value_name = "NAME")]
    pub admin_username: Option<String>,
    /// Who may register: open, `invite_only` (default) or closed
    #[arg(long, value_name = "MODE")]
    pub registration: Option<String>,
    /// Voice and video: the host's public IPv4 address
    #[arg(long, visible_alias = "turn", value_name = "ADDRESS")]
    pub turn_external_ip: Option<String>,
    /// No managed updates
    #[arg(long, conflicts_with = "updates")]
    pub no_updates: bool,
    /// Managed updates (default), against a site file that says otherwise
    #[arg(long)]
    pub updates: bool,
    /// The private registry's user
    #[arg(long, value_name = "NAME")]
    pub registry_user: Option<String>,
    /// A file with the private registry's token (`-`: standard input)
    #[arg(long, value_name = "FILE")]
    pub registry_token_file: Option<PathBuf>,
    /// Single sign-on: the issuer's https address
    #[arg(long, value_name = "URL")]
    pub oidc_issuer: Option<String>,
    /// Single sign-on: the client id
    #[arg(long, value_name = "ID")]
    pub oidc_client_id: Option<String>,
    /// Single sign-on: a file with the client secret (`-`: standard input)
    #[arg(long, value_name = "FILE")]
    pub oidc_client_secret_file: Option<PathBuf>,
    /// Single sign-on only, no password login
    #[arg(long)]
    pub oidc_disable_password_login: bool,
    /// A Cloudflare Tunnel in place of a proxy: a file with its token (`-`: standard input)
    #[arg(long, value_name = "FILE")]
    pub cloudflare_token_file: Option<PathBuf>,
    /// If the installer has to run, have it write `.env` anew, after a copy was made
    #[arg(long)]
    pub overwrite_env: bool,
    /// Publish chatalot's own port 8080 on 127.0.0.1 alone, by docker-compose.override.yml
    #[arg(long)]
    pub loopback_only: bool,
    /// The git repository that is installed
    #[arg(long, visible_alias = "repo", value_name = "URL")]
    pub repository: Option<String>,
    /// The branch, tag or commit of it (default: main)
    #[arg(long = "ref", value_name = "REF")]
    pub reference: Option<String>,
    /// The folder on the host (default: /srv/chatalot)
    #[arg(long, value_name = "PATH")]
    pub folder: Option<String>,
    /// The ACME authority: production (default), staging or the https address of a directory
    #[arg(long, value_name = "AUTHORITY")]
    pub acme: Option<String>,
    /// For an authority of one's own: the PEM file on the host that verifies its directory
    #[arg(long, value_name = "PATH")]
    pub acme_root: Option<String>,
    /// The reverse proxy: caddy (default), nginx, a traefik that runs already, or none (you set up your own)
    #[arg(long, value_name = "PROXY")]
    pub proxy: Option<String>,
    /// Until the administrator has registered, the proxy lets in these addresses and networks alone (with commas between)
    #[arg(long, value_name = "ADDRESSES")]
    pub limit_until_admin: Option<String>,
    /// A login on the host to add to the docker group (that is root)
    #[arg(long, value_name = "LOGIN")]
    pub docker_group: Option<String>,
    /// A TOML file with any of these inputs, dashes as underscores (`-`: standard input)
    #[arg(long, value_name = "FILE")]
    pub site: Option<PathBuf>,
    /// Read `registry_token`, `oidc_client_secret` and `cloudflare_token` as TOML from standard input
    #[arg(long)]
    pub secrets_stdin: bool,
}

impl SiteFlags {
    /// What was said: the site file first, a flag over it.
    pub fn collect(&self) -> Result<Inputs, Failure> {
        self.judge_standard_input()?;
        let mut inputs = match &self.site {
            Some(path) => file::site(path)?,
            None => Inputs::default(),
        };
        self.lay_over(&mut inputs);
        if self.secrets_stdin {
            let secrets = file::secrets()?;
            replace(&mut inputs.registry_token, secrets.registry_token.as_ref());
            replace(
                &mut inputs.oidc_client_secret,
                secrets.oidc_client_secret.as_ref(),
            );
            replace(&mut inputs.cloudflare_token, secrets.cloudflare_token.as_ref());
        }
        if let Some(path) = &self.registry_token_file {
            inputs.registry_token = Some(file::secret(path)?);
        }
        if let Some(path) = &self.oidc_client_secret_file {
            inputs.oidc_client_secret = Some(file::secret(path)?);
        }
        if let Some(path) = &self.cloudflare_token_file {
            inputs.cloudflare_token = Some(file::secret(path)?);
        }
        Ok(without_empty(inputs))
    }

    /// Whether standard input is read, so that nobody can be asked on it.
    pub fn takes_standard_input(&self) -> bool {
        self.readers_of_standard_input() > 0
    }

    fn readers_of_standard_input(&self) -> usize {
        let files = [
            &self.site,
            &self.registry_token_file,
            &self.oidc_client_secret_file,
            &self.cloudflare_token_file,
        ];
        let dashes = files
            .into_iter()
            .filter(|path| path.as_deref() == Some(Path::new("-")))
            .count();
        dashes + usize::from(self.secrets_stdin)
    }

    fn judge_standard_input(&self) -> Result<(), Failure> {
        if self.readers_of_standard_input() < 2 {
            return Ok(());
        }
        let why = "standard input can be read once: give all secrets with --secrets-stdin";
        Err(Failure::Usage(why.to_owned()))
    }

    fn lay_over(&self, inputs: &mut Inputs) {
        replace(&mut inputs.domain, self.domain.as_ref());
        replace(&mut inputs.admin_username, self.admin_username.as_ref());
        replace(&mut inputs.registration, self.registration.as_ref());
        replace(&mut inputs.turn_external_ip, self.turn_external_ip.as_ref());
        replace(&mut inputs.registry_user, self.registry_user.as_ref());
        replace(&mut inputs.oidc_issuer, self.oidc_issuer.as_ref());
        replace(&mut inputs.oidc_client_id, self.oidc_client_id.as_ref());
        replace(&mut inputs.repository, self.repository.as_ref());
        replace(&mut inputs.reference, self.reference.as_ref());
        replace(&mut inputs.folder, self.folder.as_ref());
        replace(&mut inputs.acme, self.acme.as_ref());
        replace(&mut inputs.acme_root, self.acme_root.as_ref());
        replace(&mut inputs.proxy, self.proxy.as_ref());
        replace(&mut inputs.limit_until_admin, self.limit_until_admin.as_ref());
        replace(&mut inputs.docker_group, self.docker_group.as_ref());
        if self.updates || self.no_updates {
            inputs.updates = Some(self.updates);
        }
        if self.oidc_disable_password_login {
            inputs.oidc_disable_password_login = Some(true);
        }
        if self.overwrite_env {
            inputs.overwrite_env = Some(true);
        }
        if self.loopback_only {
            inputs.loopback_only = Some(true);
        }
    }
}

fn replace<T: Clone>(value: &mut Option<T>, by: Option<&T>) {
    if let Some(by) = by {
        *value = Some(by.clone());
    }
}

/// An empty value says "none", also over a site file that says something.
fn without_empty(mut inputs: Inputs) -> Inputs {
    for value in [
        &mut inputs.domain,
        &mut inputs.admin_username,
        &mut inputs.registration,
        &mut inputs.turn_external_ip,
        &mut inputs.registry_user,
        &mut inputs.oidc_issuer,
        &mut inputs.oidc_client_id,
        &mut inputs.repository,
        &mut inputs.reference,
        &mut inputs.folder,
        &mut inputs.acme,
        &mut inputs.acme_root,
        &mut inputs.proxy,
        &mut inputs.limit_until_admin,
        &mut inputs.docker_group,
    ] {
        if value.as_ref().is_some_and(String::is_empty) {
            *value = None;
        }
    }
    for secret in [
        &mut inputs.registry_token,
        &mut inputs.oidc_client_secret,
        &mut inputs.cloudflare_token,
    ] {
        if secret
            .as_ref()
            .is_some_and(chatalot_protocol::secret::Secret::is_empty)
        {
            *secret = None;
        }
    }
    inputs
}

#[cfg(test)]
mod tests;
