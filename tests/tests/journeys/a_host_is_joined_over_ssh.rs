//! `host add --ssh` against a real OpenSSH server: the operator's own ssh decides whom it trusts, the token is on no
//! command line of either side, and what the host says is seen while it says it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use chatalot_tests::{Controller, Failed, Output, Result, Sandbox, Vps, phase, run, shipped};

const SOON: Duration = Duration::from_mins(1);
/// A server whose every descendant's command line is written down by the kernel's own account.
const SERVER: &str = "systemctl disable --now ssh.service ssh.socket 2>/dev/null; mkdir -p /run/sshd; \
    systemd-run --quiet --unit=watched-ssh strace -f -qq -s 65536 -e trace=execve -o /root/started /usr/sbin/sshd -D";
/// The first network tool of the script waits here for a word from the test.
const WAITING_CURL: &str = "#!/bin/sh\necho 'curl waits' >&2\nuntil [ -e /root/go ]; do sleep 0.1; done\nexec /usr/bin/curl \"$@\"\n";
const JOINED_NOTHING: &str = "test ! -e /usr/local/bin/chatalot-agent && test ! -e /var/lib/chatalot-agent && \
    ! grep -q chatalot-join /root/started";

#[test]
fn a_host_joins_over_ssh_only_under_the_key_that_the_operator_knows() -> Result<()> {
    let sandbox = Sandbox::up()?;
    let vps = phase("server", || with_server(&sandbox))?;
    let operator = Operator::with_keys(&vps)?;
    let stranger =
        vps.must("ssh-keygen -q -t ed25519 -N '' -f /root/other && cut -d ' ' -f 1,2 /root/other.pub")?;
    let known = vps.must("cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ed25519_key.pub")?;
    phase("unknown key", || {
        operator.trusts("")?;
        refused(&operator.add("chat-ssh")?, "Host key verification failed");
        vps.must(JOINED_NOTHING)
    })?;
    phase("wrong key", || {
        operator.trusts(&format!("{} {stranger}", vps.address()))?;
        refused(
            &operator.add("chat-ssh")?,
            "REMOTE HOST IDENTIFICATION HAS CHANGED",
        );
        vps.must(JOINED_NOTHING)
    })?;
    operator.trusts(&format!("{} {known}", vps.address()))?;
    phase("not root", || nobody_is_told_what_is_missing(&operator, &vps))?;
    phase("known key", || joins_before_our_eyes(&operator, &vps))?;
    let commands = vps.must("cat /root/started")?;
    for word in ["chatalot-join.sh", "\"install\"", "--controller"] {
        assert!(commands.contains(word), "{word} was not watched: {commands}");
    }
    assert!(
        !commands.contains("cja1_"),
        "the token is on a command line of the host"
    );
    assert!(
        !operator.started()?.contains("cja1_"),
        "the token is on a command line of the operator's"
    );
    Ok(())
}

fn with_server(sandbox: &Sandbox) -> Result<Vps> {
    let vps = Vps::fresh(sandbox, "sshd")?;
    vps.must("apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install openssh-server strace")?;
    vps.must(SERVER)?;
    vps.wait_for("ss -ltn | grep -q ':22 '", SOON)?;
    Ok(vps)
}

/// Whoever is refused gets the same advice, beneath what ssh itself has said.
#[track_caller]
fn refused(output: &Output, said: &str) {
    let text = [output.stdout.as_str(), &output.stderr].concat();
    assert_eq!(output.code, 3, "{text}");
    for word in [
        said,
        "SSH_FAILED",
        "wanted  a host that has joined",
        "run the same command again",
    ] {
        assert!(text.contains(word), "no `{word}`: {text}");
    }
}

/// A login that may not become root is told so by the host, and nothing is left.
fn nobody_is_told_what_is_missing(operator: &Operator, vps: &Vps) -> Result<()> {
    vps.must(
        "useradd -m -s /bin/sh alice && cp -R /root/.ssh /home/alice/ && chown -R alice: /home/alice/.ssh",
    )?;
    let told = operator.add_as("alice", "chat-ssh")?;
    refused(&told, "sudo");
    vps.must("test ! -e /usr/local/bin/chatalot-agent && test -z \"$(ls -d /tmp/tmp.* 2>/dev/null)\"")?;
    Ok(())
}

fn joins_before_our_eyes(operator: &Operator, vps: &Vps) -> Result<()> {
    vps.write("/usr/local/bin/curl", WAITING_CURL.as_bytes(), 0o755)?;
    let mut adding = operator
        .command("root", "chat-ssh")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| Failed::Run {
            command: "host add".to_owned(),
            source,
        })?;
    let lines = adding.stderr.take().map(BufReader::new);
    let mut lines = lines
        .into_iter()
        .flat_map(BufRead::lines)
        .map_while(std::io::Result::ok);
    // Nothing on the host goes on before this: the line has come while the command was at work.
    assert!(
        lines.any(|line| line.contains("curl waits")),
        "the host's words did not come"
    );
    vps.must("touch /root/go")?;
    let rest: Vec<String> = lines.collect();
    let status = adding.wait().map_err(|source| Failed::Run {
        command: "host add".to_owned(),
        source,
    })?;
    assert!(status.success(), "{status}: {rest:?}");
    for said in ["the agent is installed and runs", "chat-ssh is connected"] {
        assert!(
            rest.iter().any(|line| line.contains(said)),
            "no `{said}`: {rest:?}"
        );
    }
    let shown = operator
        .controller
        .ctl(&["--output", "json", "host", "show", "chat-ssh"])?
        .ok()?;
    assert!(shown.stdout.contains("\"connected\":true"), "{}", shown.stdout);
    vps.must("rm /usr/local/bin/curl && test -z \"$(ls -d /tmp/tmp.* 2>/dev/null)\"")?;
    Ok(())
}

/// An operator with a key pair, known hosts and an ssh configuration of his own, nothing of this machine's user's.
struct Operator {
    controller: Controller,
    folder: PathBuf,
    address: String,
}

impl Operator {
    fn with_keys(vps: &Vps) -> Result<Self> {
        let controller = Controller::start("ssh")?;
        let folder = controller.state().join("ssh");
        fs::create_dir(&folder).map_err(failed(&folder))?;
        let key = folder.join("key");
        run(
            "ssh-keygen",
            &["-q", "-t", "ed25519", "-N", "", "-f", &key.display().to_string()],
        )?
        .ok()?;
        let public = fs::read(folder.join("key.pub")).map_err(failed(&key))?;
        vps.write("/root/.ssh/authorized_keys", &public, 0o600)?;
        let place = folder.display();
        let config = format!(
            "BatchMode yes\nIdentityFile {place}/key\nIdentitiesOnly yes\nUserKnownHostsFile {place}/known\nGlobalKnownHostsFile /dev/null\n"
        );
        fs::write(folder.join("config"), config).map_err(failed(&folder))?;
        let ssh = folder.join("ssh");
        fs::write(&ssh, format!("#!/bin/sh\nexec ssh -F {place}/config \"$@\"\n")).map_err(failed(&ssh))?;
        fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).map_err(failed(&ssh))?;
        let address = vps.address().to_string();
        Ok(Self {
            controller,
            folder,
            address,
        })
    }

    fn trusts(&self, known: &str) -> Result<()> {
        let path = self.folder.join("known");
        fs::write(&path, known).map_err(failed(&path))
    }

    /// `host add --ssh`, every command line that comes of it written down.
    fn command(&self, login: &str, name: &str) -> Command {
        let socket = self.controller.state().join("operator.sock");
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq", "-A", "-s", "65536", "-e", "trace=execve", "-o"])
            .arg(self.folder.join("started"))
            .arg(shipped("chatalotctl"))
            .arg(format!("--socket={}", socket.display()))
            .args(["host", "add", name, "--ssh", &format!("{login}@{}", self.address)])
            .env("CHATALOTCTL_SSH", self.folder.join("ssh"))
            .stdin(Stdio::null());
        command
    }

    fn add(&self, name: &str) -> Result<Output> {
        self.add_as("root", name)
    }

    fn add_as(&self, login: &str, name: &str) -> Result<Output> {
        let output = self.command(login, name).output().map_err(|source| Failed::Run {
            command: "host add".to_owned(),
            source,
        })?;
        Ok(Output {
            command: format!("chatalotctl host add {name} --ssh {login}@…"),
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            bytes: output.stdout,
        })
    }

    fn started(&self) -> Result<String> {
        let path = self.folder.join("started");
        let text = fs::read_to_string(&path).map_err(failed(&path))?;
        assert!(text.contains("/usr/bin/ssh"), "ssh was not watched: {text}");
        Ok(text)
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Failed {
    let path = path.display().to_string();
    move |source| Failed::File { path, source }
}
