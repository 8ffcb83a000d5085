//! The command line: one file a command; those that an agent has as well are `chatalot_console`'s.

mod host;
mod serve;

use crate::config::{STATE, ServeArgs, socket_in};
use chatalot_console::client::{Client, Peer};
use chatalot_console::commands::{
    self, DeployArgs, DeploymentCommand, DiagnoseArgs, DriftArgs, HandoverArgs, PlanArgs, PreflightArgs,
    StatusArgs, UninstallArgs, VerifyArgs, WatchArgs,
};
use chatalot_console::exit::{Exit, Failure, finish};
use chatalot_console::output::{Output, OutputFlags};
use chatalot_protocol::names::HostName;
use clap::{Args, Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Enrols hosts, deploys chatalot to them, and watches over them
#[derive(Debug, Parser)]
#[command(name = "chatalotctl", version, about)]
pub struct Cli {
    #[command(flatten)]
    output: OutputFlags,
    /// The socket of the controller on this machine
    #[arg(long, global = true, value_name = "PATH", env = "CHATALOTCTL_SOCKET")]
    socket: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the controller
    Serve(ServeArgs),
    /// Enrol hosts, and see which there are
    #[command(subcommand)]
    Host(host::HostCommand),
    /// Plan, approve, deploy and follow it to the handover
    Deploy(On<DeployArgs>),
    /// Show what a deployment would do, without any effect
    Plan(On<PlanArgs>),
    /// Check a host for a site, without any effect
    Preflight(On<PreflightArgs>),
    /// Take chatalot away from a host, as far as deployments have put it there; its data stays unless its name is typed
    Uninstall(On<UninstallArgs>),
    /// Check the deployed site
    Verify(On<VerifyArgs>),
    /// Tell what is wrong with the deployed site, and why
    Diagnose(On<DiagnoseArgs>),
    /// Tell what is not as the last good deployment left it
    Drift(On<DriftArgs>),
    /// Show what the owner of the site must know
    Handover(On<HandoverArgs>),
    /// Show how a host is, or all of them
    Status {
        /// The host
        host: Option<HostName>,
    },
    /// Follow a deployment to its end
    Watch(WatchArgs),
    /// Show, follow or cancel a deployment
    #[command(subcommand)]
    Deployment(DeploymentCommand),
    /// Tell which inputs a site has
    Inputs {
        /// As a JSON Schema, with --output json; the same as without
        #[arg(long)]
        schema: bool,
    },
}

/// A command on one host.
#[derive(Debug, Args)]
struct On<T: Args> {
    /// The host
    host: HostName,
    #[command(flatten)]
    args: T,
}

/// Runs a command to its end.
pub fn run(cli: Cli) -> ExitCode {
    let mut out = Output::standard("chatalotctl", &cli.output);
    let socket = cli.socket.unwrap_or_else(|| socket_in(Path::new(STATE)));
    match cli.verb {
        Verb::Serve(args) => serve::run(args.into()),
        verb => {
            let done = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(Failure::Output)
                .and_then(|runtime| runtime.block_on(ask(verb, &socket, &mut out)));
            finish(done, &mut out).into()
        }
    }
}

async fn ask(verb: Verb, socket: &Path, out: &mut Output) -> Result<Exit, Failure> {
    let on = |host: &HostName| Client::new(socket.to_owned(), format!("/v1/hosts/{host}"));
    let controller = Client::new(socket.to_owned(), "/v1").of(Peer::Controller);
    match verb {
        Verb::Serve(_) => Ok(Exit::Done),
        Verb::Host(command) => command.run(&controller, out).await,
        Verb::Deploy(on_host) => commands::deploy(&on(&on_host.host), &on_host.args, out).await,
        Verb::Plan(on_host) => commands::plan(&on(&on_host.host), &on_host.args, out).await,
        Verb::Preflight(on_host) => commands::preflight(&on(&on_host.host), &on_host.args, out).await,
        Verb::Uninstall(on_host) => commands::uninstall(&on(&on_host.host), &on_host.args, out).await,
        Verb::Verify(on_host) => commands::verify(&on(&on_host.host), &on_host.args, out).await,
        Verb::Diagnose(on_host) => commands::diagnose(&on(&on_host.host), &on_host.args, out).await,
        Verb::Drift(on_host) => commands::drift(&on(&on_host.host), &on_host.args, out).await,
        Verb::Handover(on_host) => commands::handover(&on(&on_host.host), &on_host.args, out).await,
        Verb::Status { host: Some(host) } => commands::status(&on(&host), &StatusArgs {}, out).await,
        Verb::Status { host: None } => host::list(&controller, out).await,
        Verb::Watch(args) => commands::watch(&controller, &args, out).await,
        Verb::Deployment(command) => command.run(&controller, out).await,
        Verb::Inputs { .. } => commands::inputs_schema(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_host_is_named_before_the_inputs_of_its_site() {
        let typed =
            "chatalotctl deploy chat-1 --domain chat.example.com --admin-username alice --output json";
        assert!(Cli::try_parse_from(typed.split(' ')).is_ok());
        assert!(Cli::try_parse_from(["chatalotctl", "deploy", "../x"]).is_err());
        assert!(Cli::try_parse_from(["chatalotctl", "host", "add"]).is_err());
    }
}
