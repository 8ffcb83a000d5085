//! `chatalotctl host revoke`, `host readmit` and `host rename`

use crate::clock::now_ms;
use crate::model::{HostView, Membership, RenameHost};
use chatalot_console::client::Client;
use chatalot_console::exit::{Exit, Failure};
use chatalot_console::output::{Format, Output};
use chatalot_protocol::names::HostName;
use clap::Args;

/// `host revoke`, `host readmit`
#[derive(Debug, Args)]
pub(in crate::ctl) struct NameArgs {
    /// The host
    name: HostName,
}

/// `host rename`
#[derive(Debug, Args)]
pub(in crate::ctl) struct RenameArgs {
    /// What it is called now
    name: HostName,
    /// What to call it
    to: HostName,
}

/// Puts a host out.
pub(super) async fn revoke(client: &Client, args: &NameArgs, out: &mut Output) -> Result<Exit, Failure> {
    let host: HostView = client
        .post(&format!("/v1/hosts/{}/revoke", args.name), &())
        .await?;
    tell(&host, &revoked(&host), out)
}

/// Lets a host come back.
pub(super) async fn readmit(client: &Client, args: &NameArgs, out: &mut Output) -> Result<Exit, Failure> {
    let host: HostView = client
        .post(&format!("/v1/hosts/{}/readmit", args.name), &())
        .await?;
    tell(&host, &readmitted(&host, now_ms()), out)
}

/// Gives a host another name.
pub(super) async fn rename(client: &Client, args: &RenameArgs, out: &mut Output) -> Result<Exit, Failure> {
    let rename = RenameHost { to: args.to.clone() };
    let host: HostView = client
        .post(&format!("/v1/hosts/{}/rename", args.name), &rename)
        .await?;
    let text = format!(
        "{} is called {} now; its id and its history are the same.",
        args.name, host.name
    );
    tell(&host, &text, out)
}

fn tell(host: &HostView, text: &str, out: &mut Output) -> Result<Exit, Failure> {
    match out.format {
        Format::Json => out.json(host)?,
        Format::Text => out.note(text)?,
    }
    Ok(Exit::Done)
}

fn revoked(host: &HostView) -> String {
    let name = &host.name;
    if host.membership == Membership::Invited {
        return format!(
            "{name} has not joined; the line that it was to join with is worth nothing any more."
        );
    }
    format!(
        "{name} is revoked: its session is cut, and what was queued for it is cancelled.\n\
         What runs on it goes on running, and its agent keeps its data.\n\
         To take it back: chatalotctl host readmit {name}"
    )
}

fn readmitted(host: &HostView, now_ms: i64) -> String {
    let name = &host.name;
    let Some(left) = host
        .readmit_until_ms
        .map(|until| until - now_ms)
        .filter(|left| *left > 0)
    else {
        return format!("{name} is in; the alarms about its identity are ended.");
    };
    let text = format!(
        "{name} may come back within {} min, once: its agent tries by itself, at the latest every hour.\n\
         At once: on the host, systemctl restart chatalot-agent",
        (left + 59_999) / 60_000
    );
    if host.membership != Membership::Locked {
        return text;
    }
    format!(
        "{text}\n\
         It was locked because two machines had its identity, and whichever of them asks first is let in. If one of\n\
         them may not be yours, run `chatalotctl host add {name}` instead, and its line on the right one."
    )
}
