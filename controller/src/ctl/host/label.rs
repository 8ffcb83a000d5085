//! `chatalotctl host label`

use crate::access::view::Labels;
use crate::model::HostView;
use chatalot_console::client::Client;
use chatalot_console::exit::{Exit, Failure};
use chatalot_console::output::{Format, Output};
use chatalot_protocol::names::HostName;
use clap::Args;

/// `host label`
#[derive(Debug, Args)]
pub(in crate::ctl) struct LabelArgs {
    /// The host
    name: HostName,
    /// All its labels from now on; none, where none is named
    #[arg(value_name = "LABEL")]
    labels: Vec<HostName>,
}

/// Gives a host its labels.
pub(super) async fn label(client: &Client, args: &LabelArgs, out: &mut Output) -> Result<Exit, Failure> {
    let labels = Labels {
        labels: args.labels.clone(),
    };
    let host: HostView = client
        .post(&format!("/v1/hosts/{}/labels", args.name), &labels)
        .await?;
    match out.format {
        Format::Json => out.json(&host)?,
        Format::Text if host.labels.is_empty() => out.line(&format!("{} has no label.", host.name))?,
        Format::Text => {
            let labels: Vec<&str> = host.labels.iter().map(HostName::as_str).collect();
            out.line(&format!("{}: {}", host.name, labels.join(" ")))?;
        }
    }
    Ok(Exit::Done)
}
