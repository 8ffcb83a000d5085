//! Every reverse proxy, one file each.

pub mod caddy;
mod served;

pub use served::served;

use super::distro::Distro;
use super::{ActCx, Cx, StepError};
use crate::host::PortOwner;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chatalot_protocol::site::Site;
use std::path::PathBuf;

/// Whose the proxy on the host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is as its package left it, or not there.
    Untouched,
    /// It has our file.
    Ours,
    /// It serves somebody else and not us.
    Foreign {
        /// Whom.
        serves: String,
    },
}

/// Where it is remembered which file of ours the proxy has taken up last, by its digest.
pub const TAKEN_UP: &str = "proxy.file";

/// Files that we wrote, as they were before; `None` for one that was not there or that the proxy never took up.
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

/// A reverse proxy: how it is recognised, and how our site is put into it and taken out again.
#[async_trait]
pub trait Proxy: Sync {
    /// What people call it.
    fn name(&self) -> &'static str;
    /// Its program.
    fn program(&self) -> &'static str;
    /// Its packages.
    fn packages(&self, distro: &Distro) -> &'static [&'static str];
    /// Its unit.
    fn unit(&self) -> &'static str;
    /// Whether a port belongs to it.
    fn owns(&self, owner: &PortOwner) -> bool;
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
    /// Whether what it serves now it will serve after a restart too.
    async fn keeps(&self, cx: &Cx<'_>) -> Result<bool, StepError>;
    /// What taking ours out again does, one line each.
    fn plan_out(&self, site: &Site) -> Vec<String>;
    /// What is left of ours in its configuration.
    async fn left(&self, cx: &Cx<'_>) -> Result<Option<String>, StepError>;
    /// Takes ours out of its configuration and has it used; the rest of it stays as it is.
    async fn take_out(&self, cx: &ActCx<'_>) -> Result<(), StepError>;
    /// Why there is no certificate, within the last hour, oldest first.
    async fn refusals(&self, cx: &Cx<'_>) -> Result<Vec<Refusal>, StepError>;
}

/// The rows.
pub const PROXIES: &[&dyn Proxy] = &[&caddy::Caddy];

/// The proxy that goes in front of a site. There is one kind so far; where there are more, the site says which.
pub fn chosen(_site: &Site) -> &'static dyn Proxy {
    &caddy::Caddy
}

/// Puts files back as they were.
pub async fn revert(cx: &ActCx<'_>, before: Before) -> Result<(), StepError> {
    for (path, content) in before {
        match content {
            Some(content) => cx.host.rewrite(&path, &content).await?,
            None => cx.host.remove(&path).await?,
        }
    }
    Ok(())
}

/// A file's content in a few characters, to be remembered.
fn digest(content: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, content))
}
