//! Every reverse proxy, one file each, and the life that they share: detect → plan → write ours only → validate →
//! reload → look at what is served → put back on failure.
//!
//! | module | what |
//! |---|---|
//! | [`caddy`], [`nginx`], [`traefik`] | one row a proxy |
//! | [`certbot`] | certificates for a proxy that does not ask for them by itself |
//! | `site_file` | a file of ours in a folder of sites: placed, recognised, an older domain's taken away |
//! | `life` | the life itself, written against the trait |
//! | `asked` | how often an authority was asked, kept across restarts |
//! | `served` | what a browser would see |

mod asked;
pub mod caddy;
pub mod certbot;
mod life;
pub mod nginx;
mod served;
mod site_file;
pub mod traefik;

pub use asked::{asked_within_an_hour, note_asking};
pub use life::{judged, put};
pub use served::{is_trusted, served, way_in};

use super::distro::Distro;
use super::{ActCx, Cx, StepError};
use crate::host::PortOwner;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::{ProxyChoice, Site};
use std::path::PathBuf;

/// Whose the proxy on the host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is as its package left it, or not there.
    Untouched,
    /// It has our file.
    Ours,
    /// It serves somebody else and not us yet; ours goes beside.
    Beside {
        /// Whom.
        serves: String,
    },
    /// Our site cannot be put into it as it is.
    Unfit(Box<Advice>),
}

/// Where it is remembered which file of ours the proxy has taken up last, by its digest.
pub const TAKEN_UP: &str = "proxy.file";

/// Files as they were before; `None` for one that was not there, or that is ours and that the proxy never took up.
pub type Before = Vec<(PathBuf, Option<Vec<u8>>)>;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// What puts it back.
    pub before: Before,
    /// The digest of our file.
    pub digest: String,
}

/// Why the authority has not signed, as the proxy told its journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Whether because there were too many requests.
    pub rate_limited: bool,
    /// Whether it counts against the limit of failed validations: a staging authority's does not.
    pub counts: bool,
    /// The proxy's words.
    pub words: String,
}

/// A program that a proxy consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its program; where that and the unit are there already, wherever from, nothing is installed.
    pub program: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Its packages.
    pub packages: &'static [&'static str],
}

/// A reverse proxy: how it is recognised, and how our site is put into it and taken out again.
#[async_trait]
pub trait Proxy: Sync {
    /// What people call it.
    fn name(&self) -> &'static str;
    /// The input that chooses it.
    fn choice(&self) -> ProxyChoice;
    /// What has to be installed for it; nothing where it must be there already.
    fn parts(&self, distro: &Distro) -> Vec<Part>;
    /// Its unit, for one that systemd runs.
    fn unit(&self) -> Option<&'static str>;
    /// Where it says what is wrong, as something to type.
    fn journal(&self) -> &'static str;
    /// Whether certbot gets its certificate; else it asks by itself, as soon as it has our site.
    fn by_certbot(&self) -> bool {
        false
    }
    /// Whether it asks by itself, and where our site's file says.
    fn asks_where_told(&self) -> bool {
        false
    }
    /// Whether it serves the site for as long as chatalot's container is there, by what that container carries.
    fn goes_with_container(&self) -> bool {
        false
    }
    /// What it cannot help saying in the `Server` header.
    fn server_header(&self) -> Option<&'static str> {
        None
    }
    /// Whether a port belongs to it.
    async fn owns(&self, cx: &Cx<'_>, owner: &PortOwner) -> Result<bool, StepError>;
    /// The files that are ours, or that we add something to: what is put back or taken away again.
    fn files(&self, site: &Site) -> Vec<PathBuf>;
    /// Whose it is.
    async fn detect(&self, cx: &Cx<'_>) -> Result<Standing, StepError>;
    /// What will be done, one line each.
    fn plan(&self, site: &Site) -> Vec<String>;
    /// Writes ours and nothing else; hands back what was there.
    async fn write(&self, cx: &ActCx<'_>) -> Result<Written, StepError>;
    /// Has the proxy judge its configuration, before it is asked to use it.
    async fn validate(&self, cx: &ActCx<'_>) -> Result<(), StepError>;
    /// Has the proxy use its configuration, now and after a boot.
    async fn reload(&self, cx: &ActCx<'_>) -> Result<(), StepError>;
    /// Whether what it serves now it will serve after a restart too, and nothing of ours that is out of date.
    async fn keeps(&self, cx: &Cx<'_>) -> Result<bool, StepError>;
    /// What taking ours out again does, one line each.
    fn plan_out(&self, site: &Site) -> Vec<String>;
    /// What is left of ours in its configuration.
    async fn left(&self, cx: &Cx<'_>) -> Result<Option<String>, StepError>;
    /// Takes ours out of its configuration and has it used; the rest of it stays as it is.
    async fn take_out(&self, cx: &ActCx<'_>) -> Result<(), StepError>;
    /// Why there is no certificate, within the last hour, oldest first; none where somebody else asks for it.
    async fn refusals(&self, _cx: &Cx<'_>) -> Result<Vec<Refusal>, StepError> {
        Ok(Vec::new())
    }
}

/// The rows.
pub const PROXIES: &[&dyn Proxy] = &[&caddy::Caddy, &nginx::Nginx, &traefik::Traefik];

/// The proxy that we put in front of a site; none where the operator sets up one, or where there is no need of one.
pub fn chosen(site: &Site) -> Option<&'static dyn Proxy> {
    PROXIES.iter().copied().find(|row| row.choice() == site.proxy)
}

/// Where the proxy in front says what is wrong, whoever set it up.
pub fn journal(site: &Site) -> &'static str {
    chosen(site).map_or("the journal of your own reverse proxy", Proxy::journal)
}

/// A file's content in a few characters, to be remembered.
fn digest(content: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, content))
}
