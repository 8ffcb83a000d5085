//! `/etc/chatalot-agent/policy.toml`: what this host lets be done to it, whoever asks. Root on the host writes it; the
//! controller sees a summary and cannot change it.
//!
//! | module | what |
//! |---|---|
//! | `parse` | the file's words as types; anything unknown is an error |
//! | `judge` | the rules, each with its refusal |
//! | `window` | hours of the week |
//! | `words` | the policy in words, and the file that joining writes |
//! | [`watch`] | tells once when the file becomes unusable, and when it is mended |
//! | [`command`] | `chatalot-agent policy check`, `chatalot-agent policy explain` |
//!
//! It is read anew each time before something is changed, and what was read before counts for nothing: a file that
//! is missing, damaged or writable for others refuses everything.

pub mod command;
mod judge;
mod parse;
pub mod watch;
mod window;
mod words;

pub use judge::Effect;
pub use words::{Origin, written};

use crate::host::{Look, Strictly};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::report::PolicyView;
use chatalot_protocol::site::{Domain, Folder, ProxyChoice};
use std::path::Path;
use std::time::Duration;
use window::Window;

/// Where the policy is.
pub const PATH: &str = "/etc/chatalot-agent/policy.toml";

/// What may be done. Nothing is, where it does not say so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    enabled: bool,
    verbs: Vec<&'static str>,
    /// `None`: any.
    domains: Option<Vec<Domain>>,
    remotes: Remotes,
    install_dir: Option<Folder>,
    proxies: Option<Vec<ProxyChoice>>,
    packages: Option<Vec<String>>,
    /// `None`: those that the recipe knows.
    repositories: Option<Vec<String>>,
    max_runtime: Option<Duration>,
    /// `None`: at any time.
    windows: Option<Vec<Window>>,
}

/// Where the source may come from: its installer runs as root.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Remotes {
    Any,
    Only(Vec<String>),
}

impl Default for Remotes {
    fn default() -> Self {
        Self::Only(vec![parse::own_remote().to_owned()])
    }
}

impl Policy {
    /// The policy in a text.
    pub fn parse(text: &str) -> Result<Self, Advice> {
        parse::policy(text)
    }

    /// The policy that is in force at this moment, or why everything is refused.
    pub async fn in_force(host: &dyn Look) -> Result<Self, Advice> {
        let read = host.read_strictly(Path::new(PATH)).await;
        let text = match read {
            Ok(Strictly::Content(content)) => {
                String::from_utf8(content).map_err(|_| parse::invalid("bytes that are no text"))?
            }
            Ok(Strictly::Absent) => return Err(missing()),
            Ok(Strictly::Unsafe(why)) => return Err(unsafe_file(&why)),
            Err(error) => return Err(unreadable(&crate::chain(&error))),
        };
        Self::parse(&text)
    }
}

/// What somebody who may not change the policy is told of it.
pub async fn view(host: &dyn Look) -> PolicyView {
    match Policy::in_force(host).await {
        Ok(policy) => PolicyView {
            words: policy.words(),
            advice: None,
        },
        Err(advice) => PolicyView {
            words: vec!["Nothing may be changed on this host.".to_owned()],
            advice: Some(advice),
        },
    }
}

fn missing() -> Advice {
    Advice::new(
        "POLICY_MISSING",
        format!("no `{PATH}`: nothing may be changed"),
        "a policy that says what may be done",
        format!(
            "as root on the host: put your policy at {PATH} again; `chatalot-agent policy default > {PATH}` writes the \
             one that an installation begins with"
        ),
    )
}

fn unsafe_file(why: &str) -> Advice {
    Advice::new(
        "POLICY_UNSAFE",
        format!("{why}: nothing may be changed"),
        "a plain file of root's that nobody else may write, in a folder of the same kind",
        format!("look whether somebody has changed it, then `chown root: {PATH} && chmod 644 {PATH}`"),
    )
}

fn unreadable(why: &str) -> Advice {
    Advice::new(
        "POLICY_UNREADABLE",
        format!("{why}: nothing may be changed"),
        "a policy that can be read",
        "mend what it names",
    )
}

#[cfg(test)]
mod tests;
