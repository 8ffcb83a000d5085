//! A file of ours in a proxy's folder of sites, one a domain.

use super::{Before, TAKEN_UP, Written, digest};
use crate::host::{HostError, Look};
use crate::runbook::ActCx;
use chatalot_protocol::site::Domain;
use std::path::{Path, PathBuf};

/// The first line of a file of ours.
pub(super) const MARK: &str = "# Written by chatalot-agent, which writes it anew when it deploys.";

/// A proxy's folder of sites.
pub(super) struct Folder {
    /// Where it is.
    pub(super) path: &'static str,
    /// How our file's name begins, before the domain.
    pub(super) begins: &'static str,
    /// How it ends, after the domain.
    pub(super) ends: &'static str,
}

/// What is in such a folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// Ours for this domain.
    pub(super) ours: Option<Vec<u8>>,
    /// Ours for another domain, which is out of date: an engine holds one site.
    pub(super) stale: Vec<(PathBuf, Vec<u8>)>,
    /// The others' names and texts.
    pub(super) foreign: Vec<(String, String)>,
}

impl Folder {
    /// Our file for a domain.
    pub(super) fn file(&self, domain: &Domain) -> PathBuf {
        Path::new(self.path).join(format!("{}{domain}{}", self.begins, self.ends))
    }

    /// Reads all of it.
    pub(super) async fn content(&self, host: &dyn Look, domain: &Domain) -> Result<Content, HostError> {
        let ours = self.file(domain);
        let mut found = Content::default();
        for name in host.list(Path::new(self.path)).await? {
            let path = Path::new(self.path).join(&name);
            // The proxy does not read the others either.
            if !name.ends_with(self.ends) {
                continue;
            }
            let Some(text) = host.read(&path).await? else {
                continue;
            };
            if path == ours {
                found.ours = Some(text);
            } else if text.starts_with(MARK.as_bytes()) {
                found.stale.push((path, text));
            } else {
                found
                    .foreign
                    .push((name, String::from_utf8_lossy(&text).into_owned()));
            }
        }
        Ok(found)
    }

    /// All files of ours, whatever their domain: there is one chatalot on a host.
    pub(super) fn ours(&self, content: &Content, domain: &Domain) -> Vec<PathBuf> {
        let ours = content.ours.iter().map(|_| self.file(domain));
        ours.chain(content.stale.iter().map(|(path, _)| path.clone()))
            .collect()
    }

    /// Whether it holds exactly this file of ours.
    pub(super) async fn holds(
        &self,
        host: &dyn Look,
        domain: &Domain,
        wanted: &str,
    ) -> Result<bool, HostError> {
        let content = self.content(host, domain).await?;
        Ok(content.stale.is_empty() && content.ours.is_some_and(|text| text == wanted.as_bytes()))
    }

    /// Writes our file, and takes away one of an older domain.
    pub(super) async fn place(&self, cx: &ActCx<'_>, text: &str) -> Result<Written, HostError> {
        let domain = &cx.look.site.domain;
        let path = self.file(domain);
        let content = self.content(cx.host, domain).await?;
        // A run that was cut off leaves a file that the proxy never judged: nothing to go back to.
        let known = cx.look.memory.get(TAKEN_UP);
        let there = content.ours.filter(|text| known == Some(&digest(text)));
        let mut before: Before = vec![(path.clone(), there)];
        cx.host.write(&path, text.as_bytes(), 0o644).await?;
        for (stale, text) in content.stale {
            cx.host.remove(&stale).await?;
            before.push((stale, Some(text)));
        }
        Ok(Written {
            before,
            digest: digest(text.as_bytes()),
        })
    }
}
