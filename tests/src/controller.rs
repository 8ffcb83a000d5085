//! The real controller of a test, on this machine, and its command line.

use std::env;
use std::fs::{self, DirBuilder, File};
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::command::{Failed, Output, Result, run};
use crate::sandbox::Sandbox;
use crate::wait::wait_until;
use crate::wire::Wire;

/// A controller with a state folder of its own. Dropping it ends it and removes the folder.
#[derive(Debug)]
pub struct Controller {
    state: PathBuf,
    how: How,
    wire: Option<Wire>,
    process: Child,
}

/// How it is served.
#[derive(Debug)]
struct How {
    port: u16,
    /// The port that everybody is told.
    told: u16,
    more: Vec<String>,
    builds: Builds,
}

/// Which builds a controller is of: itself, and the agent that it hands out. The shipped ones, where nothing is said.
#[derive(Debug, Clone)]
pub struct Builds {
    /// Its program.
    pub controller: PathBuf,
    /// The agent's.
    pub agent: PathBuf,
}

impl Default for Builds {
    fn default() -> Self {
        Self {
            controller: shipped("chatalotctl"),
            agent: shipped("chatalot-agent"),
        }
    }
}

impl Controller {
    /// Starts a controller that the sandbox's VPSes can reach.
    pub fn start(name: &str) -> Result<Self> {
        Self::start_with(name, &[])
    }

    /// The same with more flags.
    pub fn start_with(name: &str, more: &[&str]) -> Result<Self> {
        Self::start_of(name, more, Builds::default())
    }

    /// The same of these builds.
    pub fn start_of(name: &str, more: &[&str], builds: Builds) -> Result<Self> {
        let port = Self::free_port()?;
        let more = more.iter().map(ToString::to_string).collect();
        let (told, wire) = (port, None);
        let how = How {
            port,
            told,
            more,
            builds,
        };
        Self::served(name, how, wire)
    }

    /// Starts one before which everything that passes is kept, see [`Self::overheard`].
    pub fn start_overheard(name: &str) -> Result<Self> {
        let port = Self::free_port()?;
        let wire = Wire::before(Sandbox::GATEWAY, port).map_err(failed(Path::new("the wire")))?;
        let how = How {
            port,
            told: wire.port(),
            more: Vec::new(),
            builds: Builds::default(),
        };
        Self::served(name, how, Some(wire))
    }

    fn served(name: &str, how: How, wire: Option<Wire>) -> Result<Self> {
        let state = env::temp_dir().join(format!("chatalot-{name}-{}", std::process::id()));
        // As systemd makes it.
        let private = DirBuilder::new().recursive(true).mode(0o700).create(&state);
        private.map_err(failed(&state))?;
        let controller = Self {
            process: serve(&state, &how)?,
            state,
            how,
            wire,
        };
        controller.wait_until_it_answers()?;
        Ok(controller)
    }

    /// A port on which the sandbox's VPSes can reach a controller.
    pub fn free_port() -> Result<u16> {
        TcpListener::bind((Sandbox::GATEWAY, 0))
            .and_then(|listener| listener.local_addr())
            .map(|address| address.port())
            .map_err(failed(Path::new("a free port")))
    }

    /// A command of the operator's; whatever its exit code.
    pub fn ctl(&self, args: &[&str]) -> Result<Output> {
        let program = shipped("chatalotctl");
        let socket = self.state.join("operator.sock");
        let socket = format!("--socket={}", socket.display());
        run(&program.to_string_lossy(), &[&[socket.as_str()], args].concat())
    }

    /// Waits until a host has a session.
    pub fn wait_for_session(&self, host: &str, patience: Duration) -> Result<()> {
        wait_until("the agent's session", patience, || {
            self.ctl(&["--output", "json", "host", "show", host])
                .is_ok_and(|output| output.stdout.contains("\"connected\":true"))
        })
    }

    /// The operator's command line, for a test that talks to it while it runs.
    pub fn command(&self) -> Command {
        let mut command = Command::new(shipped("chatalotctl"));
        command.arg(format!("--socket={}", self.state.join("operator.sock").display()));
        command
    }

    /// A command of somebody elsewhere, who has this API token in a file; whatever its exit code.
    pub fn from_afar(&self, token: &Path, args: &[&str]) -> Result<Output> {
        let program = shipped("chatalotctl");
        let there = format!("--controller={}:{}", Sandbox::GATEWAY, self.how.told);
        let token = format!("--token-file={}", token.display());
        let args = [&[there.as_str(), token.as_str()], args].concat();
        run(&program.to_string_lossy(), &args)
    }

    /// Kills the controller without a word and starts it again.
    pub fn kill_and_restart(&mut self) -> Result<()> {
        self.process.kill().map_err(failed(&self.state))?;
        self.process.wait().map_err(failed(&self.state))?;
        self.process = serve(&self.state, &self.how)?;
        self.wait_until_it_answers()
    }

    /// The same with other builds.
    pub fn exchange(&mut self, builds: Builds) -> Result<()> {
        self.how.builds = builds;
        self.kill_and_restart()
    }

    /// Copies the controller by its own command while it runs, kills it, and makes another of the copy: in another
    /// folder, at another port.
    pub fn restore_elsewhere(&mut self, port: u16) -> Result<()> {
        let ctl = |args: &[&str]| run(&shipped("chatalotctl").to_string_lossy(), args)?.ok();
        let before = self.state.to_string_lossy().into_owned();
        let (copy, after) = (format!("{before}.backup"), format!("{before}-elsewhere"));
        ctl(&["backup", &copy, "--state", &before])?;
        self.process.kill().map_err(failed(&self.state))?;
        self.process.wait().map_err(failed(&self.state))?;
        fs::remove_dir_all(&self.state).map_err(failed(&self.state))?;
        self.state = PathBuf::from(&after);
        let restored = ctl(&["restore", &copy, "--state", &after]);
        fs::remove_file(&copy).map_err(failed(Path::new(&copy)))?;
        restored?;
        (self.how.port, self.how.told) = (port, port);
        self.process = serve(&self.state, &self.how)?;
        self.wait_until_it_answers()
    }

    /// Its state folder.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// What has passed before it so far, as it was on the wire: one piece for each way of each connection.
    pub fn overheard(&self) -> Vec<Vec<u8>> {
        self.wire.as_ref().map(Wire::passed).unwrap_or_default()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.state.join("log")).unwrap_or_default()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    fn wait_until_it_answers(&self) -> Result<()> {
        wait_until("the controller", Duration::from_secs(20), || {
            self.ctl(&["host", "list"]).is_ok_and(|output| output.is_ok())
        })
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // There is nobody to tell.
        drop(self.process.kill());
        drop(self.process.wait());
        if env::var_os("CHATALOT_SANDBOX_KEEP").is_none() {
            drop(fs::remove_dir_all(&self.state));
        }
    }
}

fn serve(state: &Path, how: &How) -> Result<Child> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(state.join("log"))
        .map_err(failed(state))?;
    let [listen, address] = [how.port, how.told].map(|port| format!("{}:{port}", Sandbox::GATEWAY));
    Command::new(&how.builds.controller)
        .args(["serve", "--state"])
        .arg(state)
        .args(["--listen", &listen, "--address", &address, "--agent-binary"])
        .arg(&how.builds.agent)
        .args(&how.more)
        .env_remove("JOURNAL_STREAM")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(failed(&how.builds.controller))
}

/// A program as `packaging/build.sh` leaves it; `CHATALOT_SHIPPED` names another folder.
pub fn shipped(name: &str) -> PathBuf {
    let folder = env::var_os("CHATALOT_SHIPPED").map_or_else(
        || {
            let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../target")
                .join(target)
                .join("ship")
        },
        PathBuf::from,
    );
    folder.join(name)
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Failed {
    let path = path.display().to_string();
    move |source| Failed::File { path, source }
}
