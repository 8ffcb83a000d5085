//! The commands that both command lines have. Each takes a client of the daemon and the streams, and gives back
//! how it ended; [`crate::exit::finish`] tells of a failure.

mod approval;
mod check;
mod deploy;
mod deployment;
mod diagnose;
mod open;
mod site;
mod uninstall;
mod watch;

pub use check::{StatusArgs, VerifyArgs, preflight, status, verify};
pub use deploy::{DeployArgs, deploy};
pub use deployment::{CancelArgs, ShowArgs, cancel, show};
pub use diagnose::{DiagnoseArgs, DriftArgs, diagnose, drift};
pub use open::{OpenArgs, open};
pub use site::{HandoverArgs, HandoverFormat, PlanArgs, PreflightArgs, handover, inputs_schema, plan};
pub use uninstall::{UninstallArgs, uninstall};
pub use watch::{WatchArgs, watch};

use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use clap::Subcommand;

/// What can be done with a deployment that exists.
#[derive(Debug, Clone, Subcommand)]
pub enum DeploymentCommand {
    /// Show how it stands; JSON is one object
    Show(ShowArgs),
    /// Follow it to its end
    Watch(WatchArgs),
    /// End it at the next step boundary
    Cancel(CancelArgs),
}

impl DeploymentCommand {
    /// Does it.
    pub async fn run(&self, client: &Client, out: &mut Output) -> Result<Exit, Failure> {
        match self {
            Self::Show(args) => show(client, args, out).await,
            Self::Watch(args) => watch(client, args, out).await,
            Self::Cancel(args) => cancel(client, args, out).await,
        }
    }
}

#[cfg(test)]
mod daemon;
#[cfg(test)]
mod tests;
