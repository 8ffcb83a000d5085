//! `chatalot-agent policy …`: needs no daemon, and changes nothing.

use super::{Origin, Policy, written};
use crate::host::Look;
use chatalot_console::client::ClientError;
use chatalot_console::exit::{Exit, Failure};
use chatalot_console::flags::SiteFlags;
use chatalot_console::output::{Format, Output};
use chatalot_protocol::advice::Advice;
use clap::Subcommand;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What can be asked about the policy.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Check the policy, and whether it would let a site be deployed now: 0 yes, 4 no
    Check {
        /// A site file, as for `deploy --site`
        #[arg(value_name = "FILE")]
        site: Option<PathBuf>,
        /// Another policy than the one in force, before it is put in place
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
    },
    /// Put the policy into words
    Explain {
        /// Another policy than the one in force
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
    },
    /// Print the policy that an installation begins with
    Default,
}

impl PolicyCommand {
    /// Answers it.
    pub async fn run(&self, host: &dyn Look, out: &mut Output) -> Result<Exit, Failure> {
        match self {
            Self::Check { site, policy } => {
                let policy = read(host, policy.as_deref()).await?;
                check(&policy, site.as_deref(), host.now_ms(), out)
            }
            Self::Explain { policy } => {
                let words = read(host, policy.as_deref()).await?.words();
                match out.format {
                    Format::Json => out.json(&words)?,
                    Format::Text => out.text(&format!("{}\n", words.join("\n")))?,
                }
                Ok(Exit::Done)
            }
            Self::Default => {
                out.text(&written(Origin::Joining {
                    domains: &[],
                    remotes: &[],
                }))?;
                Ok(Exit::Done)
            }
        }
    }
}

async fn read(host: &dyn Look, other: Option<&Path>) -> Result<Policy, Failure> {
    let Some(path) = other else {
        return Policy::in_force(host).await.map_err(refused);
    };
    let file = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("cannot read `{file}`: {error}")))?;
    Policy::parse(&text).map_err(|error| {
        refused(Advice {
            fix: format!("mend {file}, and try it with `chatalot-agent policy check --policy {file}`"),
            ..error
        })
    })
}

fn check(policy: &Policy, site: Option<&Path>, now_ms: i64, out: &mut Output) -> Result<Exit, Failure> {
    let Some(path) = site else {
        return yes("the policy can be used", out);
    };
    let flags = SiteFlags {
        site: Some(path.to_owned()),
        ..SiteFlags::default()
    };
    let (site, _) = flags.collect()?.complete().map_err(Failure::Inputs)?;
    policy.judge(&site, now_ms).map_err(refused)?;
    yes("the policy lets this site be deployed now", out)
}

fn yes(words: &str, out: &mut Output) -> Result<Exit, Failure> {
    match out.format {
        Format::Json => out.json(&json!({"allowed": true}))?,
        Format::Text => out.line(words)?,
    }
    Ok(Exit::Done)
}

fn refused(advice: Advice) -> Failure {
    Failure::Client(ClientError::Refused(Box::new(advice)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeHost;
    use crate::runbook::distro::DISTROS;

    #[tokio::test]
    async fn a_policy_that_is_tried_out_is_the_file_that_the_fix_names() {
        let folder = tempfile::tempdir().unwrap();
        let tried = folder.path().join("tried.toml");
        std::fs::write(&tried, "enabled = maybe").unwrap();
        let host = FakeHost::fresh(&DISTROS[0]);
        let Err(Failure::Client(ClientError::Refused(advice))) = read(&host, Some(&tried)).await else {
            panic!("no policy")
        };
        let file = tried.to_str().unwrap();
        assert_eq!(advice.code, "POLICY_INVALID");
        assert!(
            advice.fix.contains(file) && !advice.fix.contains(super::super::PATH),
            "{}",
            advice.fix
        );
    }
}
