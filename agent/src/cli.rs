//! The command line: the daemon itself, what systemd and the bootstrap call, and an operator's commands without a
//! controller.

use crate::audit::AuditCommand;
use crate::config::{self, Config};
use crate::daemon::DaemonError;
use crate::effect::run_step;
use crate::host::linux::{self, LinuxHost};
use crate::ledger::LedgerError;
use crate::policy::command::PolicyCommand;
use crate::setup::{self, Install, SetupError, TOKEN_VARIABLE};
use crate::{daemon, local, logging};
use chatalot_console::client::Client;
use chatalot_console::commands::{
    self, DeployArgs, DeploymentCommand, DiagnoseArgs, DriftArgs, HandoverArgs, OpenArgs, PlanArgs,
    PreflightArgs, StatusArgs, UninstallArgs, VerifyArgs, WatchArgs,
};
use chatalot_console::exit::{Exit, Failure, HELP, finish};
use chatalot_console::output::{Output, OutputFlags};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::names::DeploymentId;
use clap::{Parser, Subcommand};
use std::io::{ErrorKind, Write, stderr, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Puts chatalot on this host and keeps it well
#[derive(Debug, Parser)]
#[command(name = "chatalot-agent", version, about, after_help = HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Verb,
    #[command(flatten)]
    output: OutputFlags,
    /// The configuration
    #[arg(long, global = true, value_name = "FILE", default_value = config::PATH)]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check what chatalot needs of this host; changes nothing
    Preflight(PreflightArgs),
    /// Show what a deployment would do; changes nothing
    Plan(PlanArgs),
    /// Deploy chatalot here
    Deploy(Box<DeployArgs>),
    /// Let everybody in to a site that lets in only a few until its administrator has registered
    Open(OpenArgs),
    /// Take chatalot away again, as far as deployments have put it here; its data stays unless its name is typed
    Uninstall(UninstallArgs),
    /// Check the deployed site
    Verify(VerifyArgs),
    /// Tell what is wrong with the deployed site, and why
    Diagnose(DiagnoseArgs),
    /// Tell what is not as the last good deployment left it
    Drift(DriftArgs),
    /// Show what the user of the deployed site must know
    Handover(HandoverArgs),
    /// Show how this host is
    Status(StatusArgs),
    /// Follow a deployment from its start
    Watch(WatchArgs),
    /// Look at a deployment, follow it or end it
    #[command(subcommand)]
    Deployment(DeploymentCommand),
    /// Look at what this host lets be done to it
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Look at who asked this host for what
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Print the inputs of a site as a JSON schema
    Inputs {
        /// The same as without
        #[arg(long)]
        schema: bool,
    },
    /// Join a controller, anew if this host has joined it already, with the token in the environment as `CHATALOT_JOIN` (`-`: from standard input)
    Join {
        /// Its address
        #[arg(long, value_name = "HOST:PORT")]
        controller: String,
    },
    /// Take the agent away again; chatalot stays
    Leave,
    /// Install this very program as a service, or upgrade to it
    Install {
        /// The controller to join
        #[arg(long, value_name = "HOST:PORT", required_unless_present = "standalone")]
        controller: Option<String>,
        /// Without a controller
        #[arg(long, conflicts_with = "controller")]
        standalone: bool,
    },
    /// Run the daemon
    #[command(hide = true)]
    Run,
    /// Apply one step of a deployment
    #[command(hide = true)]
    RunStep {
        /// The state folder
        #[arg(long)]
        state: Option<PathBuf>,
        /// Which deployment
        deployment: DeploymentId,
        /// Which effect of it
        stream: u32,
    },
}

/// Runs a command to its end.
pub fn run(cli: Cli) -> ExitCode {
    let Cli {
        command,
        output,
        config,
    } = cli;
    if let Err(error) = linux::keep_memory_private() {
        return fail(&format!(
            "the memory of this process cannot be kept private: {error}"
        ));
    }
    let config = match Config::read(&config) {
        Ok(config) => config,
        Err(error) => return fail(&crate::chain(&error)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no event loop: {error}")),
    };
    runtime.block_on(async move {
        match command {
            Verb::Run => serve(config).await,
            Verb::RunStep {
                state,
                deployment,
                stream,
            } => {
                let config = Config {
                    state: state.unwrap_or(config.state.clone()),
                    ..config
                };
                apply(config, deployment, stream).await
            }
            Verb::Install { controller, .. } => set_up(&config, Setup::Install(controller)).await,
            Verb::Join { controller } => set_up(&config, Setup::Join(controller)).await,
            Verb::Leave => set_up(&config, Setup::Leave).await,
            command => {
                let mut out = Output::standard("chatalot-agent", &output);
                let result = operate(command, &config, &mut out).await;
                finish(result, &mut out).into()
            }
        }
    })
}

/// Whoever ends so soon has not begun.
const AT_ONCE: Duration = Duration::from_secs(10);
/// How long a start that has failed lasts; shorter than systemd waits for one.
const BEFORE_NEXT: Duration = Duration::from_secs(30);

async fn serve(config: Config) -> ExitCode {
    logging::start(log::LevelFilter::Info);
    let began = Instant::now();
    match daemon::run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("the agent cannot run: {}", crate::chain(&error));
            // What stands in the way of the start stands there in two seconds, too, when systemd tries again.
            if began.elapsed() < AT_ONCE {
                tokio::time::sleep(BEFORE_NEXT).await;
            }
            ExitCode::FAILURE
        }
    }
}

async fn apply(config: Config, deployment: DeploymentId, stream: u32) -> ExitCode {
    logging::start(log::LevelFilter::Warn);
    match run_step::run(&config, deployment, stream).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!(deployment:% = deployment, stream, error = crate::chain(&error); "a step's files cannot be used");
            ExitCode::FAILURE
        }
    }
}

/// An operator's command, asked of the daemon; what only reads is answered without one too.
async fn operate(command: Verb, config: &Config, out: &mut Output) -> Result<Exit, Failure> {
    if let Verb::Policy(command) = &command {
        return command.run(&LinuxHost::new(config.host()), out).await;
    }
    if let Verb::Audit(command) = &command {
        return command.run(config, out).await;
    }
    let client = Client::new(config.socket.clone(), "/v1");
    let reads = matches!(
        command,
        Verb::Preflight(_)
            | Verb::Plan(_)
            | Verb::Verify(_)
            | Verb::Diagnose(_)
            | Verb::Drift(_)
            | Verb::Handover(_)
            | Verb::Status(_)
    );
    if reads && !daemon_answers(&config.socket).await? {
        return alone(command, config, out).await;
    }
    ask(command, &client, out).await
}

async fn ask(command: Verb, client: &Client, out: &mut Output) -> Result<Exit, Failure> {
    match command {
        Verb::Preflight(flags) => commands::preflight(client, &flags, out).await,
        Verb::Plan(flags) => commands::plan(client, &flags, out).await,
        Verb::Deploy(flags) => commands::deploy(client, &flags, out).await,
        Verb::Open(flags) => commands::open(client, &flags, out).await,
        Verb::Uninstall(flags) => commands::uninstall(client, &flags, out).await,
        Verb::Verify(flags) => commands::verify(client, &flags, out).await,
        Verb::Diagnose(flags) => commands::diagnose(client, &flags, out).await,
        Verb::Drift(flags) => commands::drift(client, &flags, out).await,
        Verb::Handover(flags) => commands::handover(client, &flags, out).await,
        Verb::Status(flags) => commands::status(client, &flags, out).await,
        Verb::Watch(flags) => commands::watch(client, &flags, out).await,
        Verb::Deployment(command) => command.run(client, out).await,
        _ => commands::inputs_schema(out),
    }
}

/// Whether there is a daemon. Somebody who may not ask it gets no answer instead of a wrong one.
async fn daemon_answers(socket: &Path) -> Result<bool, Failure> {
    let Err(refused) = tokio::net::UnixStream::connect(socket).await else {
        return Ok(true);
    };
    match refused.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => Ok(false),
        ErrorKind::PermissionDenied => Err(not_root(&socket.display().to_string())),
        // It is there: the request itself will tell what is wrong.
        _ => Ok(true),
    }
}

fn not_root(closed: &str) -> Failure {
    Failure::Blocked(vec![Advice::new(
        "NOT_ROOT",
        format!("user id {}, which may not open {closed}", nix::unistd::geteuid()),
        "root",
        "run this as root: `su -` first, or `sudo -i` where there is sudo",
    )])
}

fn cannot_serve(error: &DaemonError) -> Failure {
    match error {
        DaemonError::Ledger(LedgerError::Hidden { path, source })
            if source.kind() == ErrorKind::PermissionDenied =>
        {
            not_root(path)
        }
        other => Failure::Usage(crate::chain(other)),
    }
}

/// The same service in this process, for one command: there is never a second writer of the ledger.
async fn alone(command: Verb, config: &Config, out: &mut Output) -> Result<Exit, Failure> {
    let usage = |why: String| Failure::Usage(why);
    let service = daemon::lone_service(config)
        .await
        .map_err(|error| cannot_serve(&error))?;
    let folder = std::env::temp_dir().join(format!("chatalot-agent-{}", DeploymentId::fresh()));
    let made = std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700).create(&folder);
    made.map_err(|error| usage(format!("cannot make `{}`: {error}", folder.display())))?;
    let socket = folder.join("agent.sock");
    let answered = match local::bind(&socket) {
        Ok(listener) => {
            let stop = CancellationToken::new();
            let serving = tokio::spawn(local::serve(listener, service, stop.clone()));
            let answered = ask(command, &Client::new(socket, "/v1"), out).await;
            stop.cancel();
            // It ends by itself; nothing waits for it but the end of this process.
            drop(serving);
            answered
        }
        Err(error) => Err(usage(format!(
            "cannot make a socket in `{}`: {error}",
            folder.display()
        ))),
    };
    if let Err(error) = std::fs::remove_dir_all(&folder) {
        log::debug!(error = crate::chain(&error); "a temporary folder stays behind");
    }
    answered
}

enum Setup {
    Install(Option<String>),
    Join(String),
    Leave,
}

async fn set_up(config: &Config, what: Setup) -> ExitCode {
    let host = LinuxHost::new(config.host());
    let mut say = |line: &str| {
        // A reader that went away needs no word.
        let _ = writeln!(stdout(), "chatalot: {line}");
    };
    let done = match what {
        Setup::Leave => setup::leave(&host, &mut say).await,
        Setup::Join(controller) => join(&host, controller, &mut say).await,
        Setup::Install(controller) => match invitation() {
            Ok(invitation) => {
                setup::install(
                    &host,
                    &Install {
                        controller,
                        invitation,
                        anew: false,
                    },
                    &mut say,
                )
                .await
            }
            Err(error) => Err(error),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut out = Output::standard("chatalot-agent", &OutputFlags::default());
            // There is nobody else to tell.
            let _ =
                out.note(chatalot_console::advice::render(&error.told(), out.page_of_errors()).trim_end());
            ExitCode::FAILURE
        }
    }
}

async fn join(host: &LinuxHost, controller: String, say: &mut dyn FnMut(&str)) -> Result<(), SetupError> {
    let order = Install {
        controller: Some(controller),
        invitation: invitation()?,
        anew: true,
    };
    setup::install(host, &order, say).await
}

fn invitation() -> Result<Option<chatalot_protocol::approve::Invitation>, SetupError> {
    setup::invitation_from(std::env::var(TOKEN_VARIABLE).ok(), stdin())
}

fn fail(why: &str) -> ExitCode {
    // There is nobody else to tell.
    let _ = writeln!(stderr(), "chatalot: {why}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use std::os::unix::net::UnixListener;

    #[tokio::test]
    async fn only_a_socket_that_is_not_there_or_not_served_means_no_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent.sock");
        assert!(!daemon_answers(&socket).await.unwrap());
        let listener = UnixListener::bind(&socket).unwrap();
        assert!(daemon_answers(&socket).await.unwrap());
        drop(listener);
        assert!(!daemon_answers(&socket).await.unwrap());
        // Root may open everything, so that another failure than a missing file stands for a closed one.
        assert!(
            daemon_answers(&folder.path().join("x".repeat(300)))
                .await
                .unwrap()
        );
    }

    #[test]
    fn a_ledger_that_may_not_be_seen_is_a_reason_to_be_root() {
        let hidden = |kind: ErrorKind| {
            cannot_serve(&DaemonError::Ledger(LedgerError::Hidden {
                path: "/var/lib/chatalot-agent/ledger.sqlite".into(),
                source: std::sync::Arc::new(kind.into()),
            }))
        };
        let closed = hidden(ErrorKind::PermissionDenied);
        assert_eq!(closed.advice()[0].code, "NOT_ROOT");
        assert_eq!(closed.exit(), Exit::Blocked);
        assert!(hidden(ErrorKind::Other).advice().is_empty());
    }

    #[test]
    fn the_inputs_are_asked_for_in_the_same_words_as_at_a_controller() {
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["chatalot-agent", "inputs"]).is_ok());
        assert!(Cli::try_parse_from(["chatalot-agent", "inputs", "--schema"]).is_ok());
    }
}
