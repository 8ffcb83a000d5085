//! The command line: one file a command; those that an agent has as well are `chatalot_console`'s.

mod approval;
mod audit;
mod backup;
mod ca;
mod host;
mod login;
mod remote;
mod serve;
mod table;
mod token;

use crate::config::{STATE, ServeArgs, socket_in};
use chatalot_console::client::{Client, Door, Peer};
use chatalot_console::commands::{
    self, DeployArgs, DeploymentCommand, DiagnoseArgs, DriftArgs, HandoverArgs, PlanArgs, PreflightArgs,
    StatusArgs, UninstallArgs, VerifyArgs, WatchArgs,
};
use chatalot_console::exit::{Exit, Failure, finish};
use chatalot_console::output::{Output, OutputFlags};
use chatalot_protocol::names::HostName;
use clap::{Args, Parser, Subcommand};
use remote::Remote;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Enrols hosts, deploys chatalot to them, and watches over them
#[derive(Debug, Parser)]
#[command(name = "chatalotctl", version, about)]
pub struct Cli {
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    way: WayFlags,
    #[command(subcommand)]
    verb: Verb,
}

/// Which controller the command is for: this machine's, unless another one is named or logged in to.
#[derive(Debug, Args)]
struct WayFlags {
    /// The socket of the controller on this machine
    #[arg(long, global = true, value_name = "PATH", env = "CHATALOTCTL_SOCKET")]
    socket: Option<PathBuf>,
    /// A controller elsewhere; the token for it is in the environment (`CHATALOTCTL_TOKEN`) or a --token-file
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        env = "CHATALOTCTL_CONTROLLER",
        conflicts_with = "socket"
    )]
    controller: Option<String>,
    /// A file that holds the API token
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "CHATALOTCTL_TOKEN_FILE",
        conflicts_with = "socket"
    )]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the controller
    Serve(ServeArgs),
    /// Copy the controller, authority and all, into one file, while it runs
    Backup(backup::BackupArgs),
    /// Make a controller from such a file, on this machine or another
    Restore(backup::RestoreArgs),
    /// Keep an API token, and speak to its controller from now on
    Login(login::LoginArgs),
    /// Forget it, and speak to the controller on this machine
    Logout,
    /// Tell whom the controller takes you for
    Whoami,
    /// Hand out API tokens, list and end them
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// See and decide what waits for somebody else's approval
    #[command(subcommand)]
    Approval(approval::ApprovalCommand),
    /// See the authority that hosts trust, and put another root in its place, in phases
    #[command(subcommand)]
    Ca(ca::CaCommand),
    /// See who asked for what, and verify that record
    #[command(subcommand)]
    Audit(audit::AuditCommand),
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
    match cli.verb {
        Verb::Serve(args) => serve::run(args.into()),
        verb => {
            let done = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(Failure::Output)
                .and_then(|runtime| runtime.block_on(ask(verb, &cli.way, &mut out)));
            finish(done, &mut out).into()
        }
    }
}

/// What was named counts before what was logged in to, and that before this machine's own.
fn clients(way: &WayFlags, base: impl Into<String>) -> Result<Client, Failure> {
    let kept = match (&way.socket, remote::kept_at()) {
        (None, Some(path)) => remote::Login::read(&path)?,
        _ => None,
    };
    let door: Arc<dyn Door> = match (&way.controller, kept) {
        (Some(address), kept) => {
            let given = remote::given_token(way.token_file.as_deref())?;
            let kept = kept.filter(|kept| kept.controller == *address);
            let token = given.or_else(|| kept.and_then(|kept| kept.token().cloned()));
            let missing = "no API token: set CHATALOTCTL_TOKEN, name a --token-file, or log in";
            Arc::new(Remote::new(
                address,
                &token.ok_or_else(|| Failure::Usage(missing.to_owned()))?,
            )?)
        }
        (None, Some(kept)) => Arc::new(kept.remote()?),
        (None, None) => {
            let socket = way.socket.clone().unwrap_or_else(|| socket_in(Path::new(STATE)));
            return Ok(Client::new(socket, base).of(Peer::Controller));
        }
    };
    Ok(Client::through(door, base).of(Peer::Controller))
}

async fn ask(verb: Verb, way: &WayFlags, out: &mut Output) -> Result<Exit, Failure> {
    match verb {
        Verb::Serve(_) => Ok(Exit::Done),
        Verb::Backup(args) => backup::take(&args, out),
        Verb::Restore(args) => backup::restore(&args, out),
        Verb::Login(args) => login::login(&args, way.token_file.as_deref(), out).await,
        Verb::Logout => login::logout(out),
        Verb::Ca(command) => command.run(|| clients(way, "/v1"), out).await,
        Verb::Inputs { .. } => commands::inputs_schema(out),
        verb => tell(verb, way, out).await,
    }
}

/// The commands that take a controller.
async fn tell(verb: Verb, way: &WayFlags, out: &mut Output) -> Result<Exit, Failure> {
    let on = |host: &HostName| clients(way, format!("/v1/hosts/{host}"));
    let controller = clients(way, "/v1")?;
    match verb {
        Verb::Whoami => login::whoami(&controller, out).await,
        Verb::Token(command) => command.run(&controller, out).await,
        Verb::Approval(command) => command.run(&controller, out).await,
        Verb::Audit(command) => command.run(&controller, out).await,
        Verb::Host(command) => command.run(&controller, out).await,
        Verb::Deploy(on_host) => commands::deploy(&on(&on_host.host)?, &on_host.args, out).await,
        Verb::Plan(on_host) => commands::plan(&on(&on_host.host)?, &on_host.args, out).await,
        Verb::Preflight(on_host) => commands::preflight(&on(&on_host.host)?, &on_host.args, out).await,
        Verb::Uninstall(on_host) => commands::uninstall(&on(&on_host.host)?, &on_host.args, out).await,
        Verb::Verify(on_host) => commands::verify(&on(&on_host.host)?, &on_host.args, out).await,
        Verb::Diagnose(on_host) => commands::diagnose(&on(&on_host.host)?, &on_host.args, out).await,
        Verb::Drift(on_host) => commands::drift(&on(&on_host.host)?, &on_host.args, out).await,
        Verb::Handover(on_host) => commands::handover(&on(&on_host.host)?, &on_host.args, out).await,
        Verb::Status { host: Some(host) } => commands::status(&on(&host)?, &StatusArgs {}, out).await,
        Verb::Status { host: None } => host::list(&controller, out).await,
        Verb::Watch(args) => commands::watch(&controller, &args, out).await,
        Verb::Deployment(command) => command.run(&controller, out).await,
        // Told above.
        Verb::Serve(_)
        | Verb::Backup(_)
        | Verb::Restore(_)
        | Verb::Login(_)
        | Verb::Logout
        | Verb::Ca(_)
        | Verb::Inputs { .. } => Ok(Exit::Done),
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
