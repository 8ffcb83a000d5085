//! Joining a host over the operator's own ssh: his keys, his known hosts, his configuration.

use crate::model::Added;
use chatalot_console::exit::Failure;
use chatalot_console::output::{Format, Output};
use chatalot_protocol::advice::Advice;
use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Runs the line on the host. The token goes over standard input: an argument would be seen by every user there.
pub(super) async fn over_ssh(destination: &str, added: &Added, out: &mut Output) -> Result<(), Failure> {
    if out.format == Format::Text {
        out.note(&format!("Joining {} over ssh ({destination}) …", added.name))?;
    }
    let program = std::env::var_os("CHATALOTCTL_SSH").unwrap_or_else(|| OsString::from("ssh"));
    match run(&program, destination, added).await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::Blocked(vec![Advice::new(
            "SSH_FAILED",
            format!("ssh to {destination} ended with {status}"),
            "a host that has joined",
            "read what ssh and the script have said above; then run the same command again",
        )])),
        Err(error) => Err(Failure::Blocked(vec![Advice::new(
            "SSH_MISSING",
            format!("{}: {error}", program.to_string_lossy()),
            "an ssh client on this machine",
            "install one, or run `chatalotctl host add` without --ssh and its line on the host",
        )])),
    }
}

async fn run(program: &OsString, destination: &str, added: &Added) -> io::Result<ExitStatus> {
    let mut ssh = Command::new(program)
        .args(["-T", "--", destination, &remote(&added.fetch)])
        .stdin(Stdio::piped())
        // Standard output is for what this command says itself.
        .stdout(io::stderr())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = ssh.stdin.take() {
        let line = format!("{}\n", added.token);
        match stdin.write_all(line.as_bytes()).await {
            // It has ended before it read: its status says more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written?,
        }
    }
    ssh.wait().await
}

/// What the host's shell is told to do, whatever shell that is. Without root, sudo must ask for no password.
fn remote(fetch: &str) -> String {
    let script = format!(
        "set -eu; read -r CHATALOT_JOIN; d=$(mktemp -d); trap 'rm -rf \"$d\"' EXIT; cd \"$d\"; {fetch}; \
         if [ \"$(id -u)\" = 0 ]; then export CHATALOT_JOIN; sh chatalot-join.sh; \
         else printf '%s\\n' \"$CHATALOT_JOIN\" | \
         sudo -n sh -c 'read -r CHATALOT_JOIN; export CHATALOT_JOIN; exec sh chatalot-join.sh'; fi"
    );
    format!("exec sh -c '{}'", script.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    fn tool(folder: &Path, name: &str, script: &str) {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs the remote half here, with a curl that fetches a script which tells what it was given.
    fn joined_as(uid: u32) -> String {
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("told");
        let script = format!("echo \"$CHATALOT_JOIN as $AS\" >> {}", told.display());
        tool(
            folder.path(),
            "curl",
            &format!("echo '{script}' > chatalot-join.sh"),
        );
        tool(folder.path(), "id", &format!("echo {uid}"));
        tool(
            folder.path(),
            "sudo",
            "[ \"$1\" = -n ] || exit 1; shift; AS=sudo exec \"$@\"",
        );
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let mut shell = std::process::Command::new("sh")
            .args(["-c", &remote("curl --pinnedpubkey 'sha256//x'")])
            .env("PATH", path)
            .env("AS", "root")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        shell.stdin.take().unwrap().write_all(b"cja1_secret\n").unwrap();
        assert!(shell.wait().unwrap().success());
        fs::read_to_string(told).unwrap()
    }

    #[test]
    fn the_token_reaches_the_script_by_standard_input_and_the_environment() {
        assert_eq!(joined_as(0), "cja1_secret as root\n");
        assert_eq!(joined_as(1000), "cja1_secret as sudo\n");
    }
}
