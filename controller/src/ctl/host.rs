//! `chatalotctl host …`

mod add;
mod join;
mod label;
mod show;

use chatalot_console::client::Client;
use chatalot_console::exit::{Exit, Failure};
use chatalot_console::output::Output;
use clap::Subcommand;

pub(super) use add::seconds;
pub(super) use show::list;

/// What can be done with hosts.
#[derive(Debug, Subcommand)]
pub(super) enum HostCommand {
    /// Let a host join: print the line to run on it, or run it over ssh
    Add(add::AddArgs),
    /// Give a host labels, which API tokens may reach it by
    Label(label::LabelArgs),
    /// List all hosts
    List,
    /// Show one host
    Show(show::ShowArgs),
}

impl HostCommand {
    /// Does it.
    pub(super) async fn run(self, client: &Client, out: &mut Output) -> Result<Exit, Failure> {
        match self {
            Self::Add(args) => add::add(client, &args, out).await,
            Self::Label(args) => label::label(client, &args, out).await,
            Self::List => list(client, out).await,
            Self::Show(args) => show::show(client, &args, out).await,
        }
    }
}
