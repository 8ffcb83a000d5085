//! The policy in words, and the file that joining writes.

use super::{Policy, Remotes};
use chatalot_protocol::site::Domain;
use std::fmt::Write as _;

/// What a policy that is written for the first time knows.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'a> {
    /// A host that joins a controller: the domains that it was added with, and the remotes besides chatalot's own.
    Joining {
        /// Empty means any.
        domains: &'a [Domain],
        /// Empty means chatalot's own only.
        remotes: &'a [String],
    },
    /// A host that stands alone: only root on it can ask for anything.
    Alone,
}

const HEAD: &str = "\
# What may be done to this host, whoever asks: the agent reads it before each change and refuses the rest.
# It counts only as a plain file of root's that nobody else may write. With a word in it that the agent does not
# know, nothing is allowed. The controller sees a summary of it and cannot change it.
# Try it with `chatalot-agent policy check`; `chatalot-agent policy explain` puts it into words.

# Whether anything may be changed at all.
enabled = true
# What may be asked for: deploy, uninstall, uninstall_with_data (which deletes database and uploads).
verbs = [\"deploy\", \"uninstall\"]
";

const TAIL: &str = "
# More that can be limited:
# install_dir = \"/srv/chatalot\"            # chatalot's folder: this one or below it
# proxies = [\"caddy\"]                      # which reverse proxy may be put in front: caddy, nginx, traefik, none
# packages = []                            # the packages that may be installed
# repositories = []                        # third parties' package repositories that may be added: docker, caddy, epel
# max_runtime_minutes = 180                # after which no further step begins
# windows = [\"mon-fri 22:00-04:00\"]        # when changes may be made, in UTC
";

/// The file that a host begins with.
pub fn written(origin: Origin<'_>) -> String {
    let mut text = HEAD.to_owned();
    let (domains, remotes): (Vec<&str>, &[String]) = match origin {
        Origin::Joining { domains, remotes } => (domains.iter().map(Domain::as_str).collect(), remotes),
        Origin::Alone => (Vec::new(), &[]),
    };
    text.push_str("# Which domains may be served; any, where none are listed.\n");
    // Writing to a string does not fail.
    let _ = if domains.is_empty() {
        writeln!(text, "# domains = [\"chat.example.com\"]")
    } else {
        writeln!(text, "domains = {}", quoted(&domains))
    };
    text.push_str("# Where the source may come from; its installer runs as root. Without a list: chatalot's own only.\n");
    let _ = match origin {
        Origin::Alone => writeln!(text, "git_remotes = [\"*\"]"),
        Origin::Joining { .. } if remotes.is_empty() => {
            writeln!(text, "# git_remotes = [{:?}]", super::parse::own_remote())
        }
        Origin::Joining { .. } => writeln!(text, "git_remotes = {}", quoted(remotes)),
    };
    text.push_str(TAIL);
    text
}

/// A list in TOML; domains and addresses hold nothing that would have to be escaped.
fn quoted<T: AsRef<str>>(all: &[T]) -> String {
    let all: Vec<String> = all.iter().map(|one| format!("\"{}\"", one.as_ref())).collect();
    format!("[{}]", all.join(", "))
}

impl Policy {
    /// What is allowed, a sentence a rule.
    pub fn words(&self) -> Vec<String> {
        if !self.enabled || self.verbs.is_empty() {
            return vec!["Nothing may be changed on this host.".to_owned()];
        }
        let mut words = vec![format!("May be asked for: {}.", self.verbs.join(", "))];
        words.push(match &self.domains {
            None => "Any domain may be served.".to_owned(),
            Some(domains) => only("Domains", domains),
        });
        words.push(match &self.remotes {
            Remotes::Any => "The source may come from anywhere.".to_owned(),
            Remotes::Only(remotes) => only("The source may come from", remotes),
        });
        if let Some(dir) = &self.install_dir {
            words.push(format!("chatalot may be put into {dir} or below it."));
        }
        if let Some(proxies) = &self.proxies {
            let names: Vec<&str> = proxies.iter().map(|proxy| proxy.as_str()).collect();
            words.push(only("Reverse proxies", &names));
        }
        if let Some(packages) = &self.packages {
            words.push(only("Packages that may be installed", packages));
        }
        if let Some(repositories) = &self.repositories {
            words.push(only("Package repositories that may be added", repositories));
        }
        if let Some(most) = self.max_runtime {
            words.push(format!(
                "No step begins more than {} min after its deployment.",
                most.as_secs() / 60
            ));
        }
        if let Some(windows) = &self.windows {
            words.push(only("Changes may be made at these times (UTC)", windows));
        }
        words
    }
}

fn only<T: ToString>(what: &str, all: &[T]) -> String {
    let all: Vec<String> = all.iter().map(T::to_string).collect();
    if all.is_empty() {
        format!("{what}: none.")
    } else {
        format!("{what}: {}.", all.join(", "))
    }
}
