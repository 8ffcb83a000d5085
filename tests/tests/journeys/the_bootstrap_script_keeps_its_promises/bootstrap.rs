//! What the tests of the bootstrap script stand on: an agent that only writes down how it was called, a controller that
//! is openssl with a key of its own, and a VPS.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end here")]

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use chatalot_tests::{Output, Result, Sandbox, Vps, run, run_with_input, wait_until};

pub(crate) const SCRIPT: &str = include_str!("../../../../packaging/bootstrap.sh");
pub(crate) const WRONG_PIN: &str = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// What is still there when an agent was run: how it was called.
pub(crate) const TRACE: &str = "/var/lib/agent-ran";
pub(crate) const AGENT: &str = r#"
#include <stdio.h>
#include <stdlib.h>
int main(int count, char **words) {
    FILE *trace = fopen("/var/lib/agent-ran", "a");
    for (int i = 1; i < count; i++) fprintf(trace, "%s ", words[i]);
    fprintf(trace, "token=%s\n", getenv("CHATALOT_JOIN") ? getenv("CHATALOT_JOIN") : "");
    return getenv("AGENT_EXIT") ? atoi(getenv("AGENT_EXIT")) : 0;
}"#;

/// The agent of these tests, and its SHA-256.
pub(crate) static FAKE: LazyLock<(Vec<u8>, String)> = LazyLock::new(|| {
    let path = folder("fake-agent").join("chatalot-agent");
    let args = [
        "-static",
        "-Os",
        "-s",
        "-x",
        "c",
        "-",
        "-o",
        path.to_str().unwrap(),
    ];
    run_with_input("cc", &args, AGENT.as_bytes())
        .and_then(Output::ok)
        .unwrap();
    let agent = fs::read(path).unwrap();
    let hash = sha256(&agent);
    (agent, hash)
});

/// A VPS with another shell, and a server that both it and this machine reach.
pub(crate) struct World {
    pub(crate) vps: Vps,
    pub(crate) server: Server,
}

impl World {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let sandbox = Sandbox::up()?;
        let server = Server::start(name, Sandbox::GATEWAY);
        let vps = Vps::fresh(&sandbox, &format!("bootstrap-{name}"))?;
        vps.push(Path::new("/bin/busybox"), "/usr/bin/busybox", 0o755)?;
        vps.push(&server.folder.join("cert"), "/dev/shm/ca.crt", 0o644)?;
        Ok(Self { vps, server })
    }

    /// Puts a script there as a controller serves it; the line that runs it.
    pub(crate) fn join(&self, address: &str, pin: &str, hash: &str) -> String {
        let script = served(&format!(
            "--controller '{address}' --sha256-x86_64 '{hash}' --pin '{pin}'"
        ));
        let path = format!("/dev/shm/join-{}.sh", &sha256(script.as_bytes())[..8]);
        self.vps.write(&path, script.as_bytes(), 0o644).unwrap();
        format!("CHATALOT_JOIN=cja1_x sh {path}")
    }

    /// Runs what must fail for this reason and must not run an agent; what it said.
    pub(crate) fn refused(&self, line: &str, why: &str) -> Result<String> {
        let output = self.vps.sh(&format!(
            "export CURL_CA_BUNDLE=/dev/shm/ca.crt; cd /dev/shm; ({line}); code=$?; [ ! -e {TRACE} ] || cat {TRACE}; exit $code"
        ))?;
        assert!(!output.is_ok(), "{line}\n{}", output.stdout);
        assert!(output.stderr.contains(why), "{line}\n{}", output.stderr);
        assert!(!output.stdout.contains("install"), "{line}: the agent was run");
        Ok(output.stderr)
    }

    /// How agents were called; forgotten then.
    pub(crate) fn trace(&self) -> Result<String> {
        self.vps.must(&format!("cat {TRACE} && rm {TRACE}"))
    }

    /// The disk is what it was.
    pub(crate) fn assert_unchanged(&self, before: &str) -> Result<()> {
        let after = self.files()?;
        let only = |this: &str, other: &str| -> Vec<String> {
            let lines = this.lines().filter(|line| !other.contains(*line));
            lines.map(str::to_owned).collect()
        };
        let (came, went) = (only(&after, before), only(before, &after));
        assert!(
            came.is_empty() && went.is_empty(),
            "came: {came:#?}\nwent: {went:#?}"
        );
        Ok(())
    }

    /// Every file and folder of the disk but what the system itself writes, with mode, size, owner and target.
    pub(crate) fn files(&self) -> Result<String> {
        self.vps.must(
            "find / /tmp -xdev \\( -path /proc -o -path /sys -o -path /var/log -o -path /var/lib/systemd -o -path /var/lib/apt \
             -o -path /var/cache -o -path '/tmp/systemd-private*' \\) -prune -o -printf '%p %y %m %s %u %l\\n' | sort",
        )
    }
}

/// A command in a name space of its own, where something is done to the host first.
pub(crate) fn inside(harm: &str, line: &str) -> String {
    format!("unshare -m sh -c '{harm}; {line}'")
}

/// The script as a controller serves it: its last line replaced.
pub(crate) fn served(arguments: &str) -> String {
    let body = SCRIPT.strip_suffix("main \"$@\"\n").unwrap();
    format!("{body}main {arguments}\n")
}

/// The agent for another processor.
pub(crate) fn foreign() -> Vec<u8> {
    let mut agent = FAKE.0.clone();
    agent[18] = 0xb7;
    agent
}

pub(crate) fn sha256(content: &[u8]) -> String {
    let said = run_with_input("sha256sum", &["-"], content).unwrap().stdout;
    said.split_whitespace().next().unwrap().to_owned()
}

/// Accepts calls when it is asked to, and never answers.
pub(crate) fn silent(address: Ipv4Addr) -> TcpListener {
    let listener = TcpListener::bind((address, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

/// An empty folder.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bootstrap-{name}"));
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// openssl as the controller: files with their HTTP headers, under a key of its own.
pub(crate) struct Server {
    folder: PathBuf,
    pub(crate) address: String,
    pub(crate) pin: String,
    process: Child,
}

impl Server {
    pub(crate) fn start(name: &str, address: Ipv4Addr) -> Self {
        let folder = folder(name);
        let make = format!(
            "cd '{}' && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out cert -days 2 \
             -subj /CN=controller -addext subjectAltName=IP:{address} 2>/dev/null && openssl pkey -in key -pubout -outform der \
             | openssl dgst -sha256 -binary | openssl base64",
            folder.display()
        );
        let pin = run("sh", &["-c", &make]).and_then(Output::ok).unwrap().stdout;
        let port = TcpListener::bind((address, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address = format!("{address}:{port}");
        let log = File::create(folder.join("log")).unwrap();
        let process = Command::new("openssl")
            .args([
                "s_server", "-HTTP", "-key", "key", "-cert", "cert", "-accept", &address,
            ])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self {
            folder,
            address,
            pin: format!("sha256//{}", pin.trim()),
            process,
        };
        wait_until("openssl", SOON, || server.log().contains("ACCEPT")).unwrap();
        server
    }

    pub(crate) fn offer(&self, path: &str, status: &str, content: &[u8]) {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n\r\n");
        fs::write(path, [head.as_bytes(), content].concat()).unwrap();
    }

    pub(crate) fn requests(&self) -> usize {
        self.log().matches("FILE:").count()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // There is nobody to tell.
        drop(self.process.kill());
        drop(self.process.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}
