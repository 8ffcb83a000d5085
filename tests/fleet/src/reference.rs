//! Other programs that do the bare thing, run beside ours when a folder with them is named.
//!
//! `mtls` (`gencerts DIR`, `server --dir D --port P`, `client TEST --dir D --port P …`) and `disk` (`DIR SECS`) each print a
//! line of JSON a test. What the server does with a connection is theirs to say.

use crate::Result;
use serde_json::Value;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

const START: Duration = Duration::from_secs(10);
const GLANCE: Duration = Duration::from_millis(10);
/// How many connections are held idle.
const IDLE: &str = "2000";

pub(crate) struct Reference {
    programs: PathBuf,
    certificates: TempDir,
}

/// Rows a second.
pub(crate) struct Rows {
    pub(crate) single: f64,
    pub(crate) hundred: f64,
}

impl Reference {
    pub(crate) fn in_folder(programs: PathBuf) -> Result<Self> {
        let certificates = tempfile::tempdir()?;
        let made = std::process::Command::new(programs.join("mtls"))
            .arg("gencerts")
            .arg(certificates.path())
            .stdout(Stdio::null())
            .status();
        match made {
            Ok(status) if status.success() => Ok(Self {
                programs,
                certificates,
            }),
            _ => Err(format!("no `mtls` in {} that makes certificates", programs.display()).into()),
        }
    }

    /// Handshakes for each second of the server's processor time.
    pub(crate) async fn handshakes(&self) -> Result<f64> {
        let line = self.client("0", &["handshake", "--secs", "5"]).await?;
        number(&line, "per_server_cpu_s")
    }

    /// Milliseconds of a request and its answer: the middle, and what one in a hundred exceeds.
    pub(crate) async fn round_trip(&self) -> Result<(f64, f64)> {
        let line = self.client("0", &["rtt", "--n", "10000"]).await?;
        Ok((number(&line, "p50_us")? / 1e3, number(&line, "p99_us")? / 1e3))
    }

    /// Kilobytes for each idle connection: with a task of a usual size, and with the smallest.
    pub(crate) async fn idle(&self) -> Result<(f64, f64)> {
        let plain = self.client("0", &["idle", "--n", IDLE]).await?;
        let slim = self.client("1", &["idle", "--n", IDLE]).await?;
        let each = |line| number(line, "rss_b_per_conn").map(|bytes| bytes / 1024.0);
        Ok((each(&plain)?, each(&slim)?))
    }

    /// What `SQLite` commits in a folder.
    pub(crate) async fn rows(&self, folder: &Path) -> Result<Rows> {
        let run = Command::new(self.programs.join("disk"))
            .arg(folder)
            .arg("2")
            .output();
        let text = String::from_utf8(run.await?.stdout)?;
        let lines: Vec<Value> = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let rate = |test: &str| {
            let line = lines.iter().find(|line| line["test"] == test);
            number(line.unwrap_or(&Value::Null), "rec_per_s")
        };
        Ok(Rows {
            single: rate("sqlite-FULL-1")?,
            hundred: rate("sqlite-FULL-100")?,
        })
    }

    /// What a test of the client says, against a server of its own.
    async fn client(&self, slim: &str, test: &[&str]) -> Result<Value> {
        // The server takes the port after it as well.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let _server = self.server(port, slim).await?;
        let mut client = self.mtls("client");
        client.args(test).args(["--port", &port.to_string(), "--dir"]);
        let run = client.arg(self.certificates.path()).output();
        let said = String::from_utf8(run.await?.stdout)?;
        let line = said
            .lines()
            .rev()
            .find_map(|line| serde_json::from_str(line).ok());
        line.ok_or_else(|| format!("`mtls client {}` says nothing", test.join(" ")).into())
    }

    async fn server(&self, port: u16, slim: &str) -> Result<Child> {
        let mut server = self.mtls("server");
        let server = server.args(["--port", &port.to_string(), "--slim", slim, "--dir"]);
        let server = server
            .arg(self.certificates.path())
            .stdout(Stdio::null())
            .spawn()?;
        let listens = async {
            while TcpStream::connect(("127.0.0.1", port + 1)).await.is_err() {
                sleep(GLANCE).await;
            }
        };
        timeout(START, listens)
            .await
            .map_err(|_| "`mtls server` does not listen")?;
        Ok(server)
    }

    fn mtls(&self, verb: &str) -> Command {
        let mut command = Command::new(self.programs.join("mtls"));
        command.arg(verb).kill_on_drop(true);
        command
    }
}

fn number(line: &Value, name: &str) -> Result<f64> {
    line[name]
        .as_f64()
        .ok_or_else(|| format!("no `{name}` in what a reference program says: {line}").into())
}
