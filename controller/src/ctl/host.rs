//! `chatalotctl host …`

mod add;
mod approve;
mod join;
mod label;
mod lifecycle;
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
    /// List the keys that wait for approval, with the words that their hosts show
    Pending,
    /// Let a key that waits become a host, once its words were compared
    Approve(approve::ApproveArgs),
    /// Turn a key away that waits for approval
    Deny(approve::DenyArgs),
    /// Give a host labels, which API tokens may reach it by
    Label(label::LabelArgs),
    /// List all hosts
    List,
    /// Show one host
    Show(show::ShowArgs),
    /// Put a host out: cut its session, cancel what is queued for it
    Revoke(lifecycle::NameArgs),
    /// Let a host come back that was revoked or locked, or whose certificate has expired
    Readmit(lifecycle::NameArgs),
    /// Give a host another name
    Rename(lifecycle::RenameArgs),
}

impl HostCommand {
    /// Does it.
    pub(super) async fn run(self, client: &Client, out: &mut Output) -> Result<Exit, Failure> {
        match self {
            Self::Add(args) => add::add(client, &args, out).await,
            Self::Pending => approve::pending(client, out).await,
            Self::Approve(args) => approve::approve(client, &args, out).await,
            Self::Deny(args) => approve::deny(client, &args, out).await,
            Self::Label(args) => label::label(client, &args, out).await,
            Self::List => list(client, out).await,
            Self::Show(args) => show::show(client, &args, out).await,
            Self::Revoke(args) => lifecycle::revoke(client, &args, out).await,
            Self::Readmit(args) => lifecycle::readmit(client, &args, out).await,
            Self::Rename(args) => lifecycle::rename(client, &args, out).await,
        }
    }
}
