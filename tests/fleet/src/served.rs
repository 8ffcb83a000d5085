//! The shipped controller in a process of its own, and what the kernel says of it.

use crate::Result;
use crate::enrol::Fleet;
use chatalot_tests::figures::float;
use chatalot_tests::shipped;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// How long a start may take: the database is checked, and there are many hosts in it.
const START: Duration = Duration::from_mins(1);
const GLANCE: Duration = Duration::from_millis(5);

pub(crate) struct Served {
    child: Child,
    socket: PathBuf,
}

/// Kilobytes of memory.
pub(crate) struct Memory {
    pub(crate) resident: f64,
    pub(crate) anonymous: f64,
}

impl Served {
    /// Starts it, and waits until it can be asked.
    pub(crate) async fn start(fleet: &Fleet) -> Result<Self> {
        let socket = fleet.config.socket();
        let child = Command::new(shipped("chatalotctl"))
            .args(["serve", "--listen", &fleet.config.listen.to_string(), "--state"])
            .arg(&fleet.config.state)
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let served = Self { child, socket };
        let answers = async {
            while UnixStream::connect(&served.socket).await.is_err() {
                sleep(GLANCE).await;
            }
        };
        timeout(START, answers)
            .await
            .map_err(|_| "the controller does not start")?;
        Ok(served)
    }

    /// Ends it without a word.
    pub(crate) async fn kill(mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }

    /// Ends it as a service manager does.
    pub(crate) async fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(self.id()?.cast_signed()), Signal::SIGTERM)?;
        self.child.wait().await?;
        Ok(())
    }

    pub(crate) fn id(&self) -> Result<u32> {
        self.child
            .id()
            .ok_or_else(|| "the controller has ended by itself".into())
    }

    /// Seconds of processor time so far.
    pub(crate) fn cpu(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id()?))?;
        let after_name = stat.rsplit(") ").next().unwrap_or_default();
        let ticks = after_name.split(' ').skip(11).take(2);
        Ok(ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0)
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        let maps = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.id()?))?;
        let kilobytes = |name: &str| {
            let line = maps.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        Ok(Memory {
            resident: kilobytes("Rss:").ok_or("no memory in /proc")?,
            anonymous: kilobytes("Anonymous:").ok_or("no memory in /proc")?,
        })
    }

    /// How many hosts the controller says are connected.
    pub(crate) async fn connected(&self) -> Result<usize> {
        let hosts = Operator::open(self).await?.ask("GET", "/v1/hosts", "").await?;
        let hosts = hosts.as_array().ok_or("no list of hosts")?;
        Ok(hosts.iter().filter(|host| host["connected"] == true).count())
    }
}

/// The operator's socket as the command line speaks to it, over one connection that is kept.
pub(crate) struct Operator(BufReader<UnixStream>);

impl Operator {
    pub(crate) async fn open(served: &Served) -> Result<Self> {
        Ok(Self(BufReader::new(UnixStream::connect(&served.socket).await?)))
    }

    /// Asks; what comes back, which has to say how long it is.
    pub(crate) async fn ask(&mut self, method: &str, path: &str, body: &str) -> Result<Value> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.write_all(request.as_bytes()).await?;
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            if self.0.read_line(&mut line).await? == 0 {
                return Err("the operator's socket was closed".into());
            }
            let head = line.trim().to_ascii_lowercase();
            if head.is_empty() {
                break;
            }
            if let Some(value) = head.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer).await?;
        Ok(serde_json::from_slice(&answer)?)
    }
}

/// Megabytes of kernel memory that cannot be given back, of the whole machine.
pub(crate) fn kernel() -> Result<f64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find(|line| line.starts_with("SUnreclaim:"));
    let kilobytes: u32 = line
        .and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .ok_or("no kernel memory in /proc")?;
    Ok(float(kilobytes.into()) / 1024.0)
}
