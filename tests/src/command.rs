//! Commands on the machine itself: run to the end, everything they said kept.

use std::{
    error::Error as _,
    ffi::OsStr,
    fmt,
    io::{self, Write},
    process::{Command, Stdio},
};

/// Why something in the sandbox did not work.
#[derive(thiserror::Error)]
pub enum Failed {
    /// The program could not be started or spoken to.
    #[error("cannot run `{command}`")]
    Run {
        /// The command line.
        command: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The program ended with a failure.
    #[error("`{command}` ended with {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")]
    Exit {
        /// The command line.
        command: String,
        /// Its exit code; -1 after a signal.
        code: i32,
        /// What it said.
        stdout: String,
        /// What it complained about.
        stderr: String,
    },
    /// Something did not come true in time.
    #[error("{0} did not come true within {1} s")]
    Late(String, u64),
    /// A file of the sandbox could not be used.
    #[error("cannot use `{path}`")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// All addresses of the sandbox are taken.
    #[error("no address of the sandbox is free")]
    NoAddress,
}

/// As `Display`, with causes: this is what a test that returns it prints.
impl fmt::Debug for Failed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")?;
        self.source().map_or(Ok(()), |cause| write!(out, ": {cause}"))
    }
}

/// The result of anything done to the sandbox.
pub type Result<T> = std::result::Result<T, Failed>;

/// What a command said and how it ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// The exit code; -1 after a signal.
    pub code: i32,
    /// Standard output, invalid UTF-8 replaced.
    pub stdout: String,
    /// Standard error, invalid UTF-8 replaced.
    pub stderr: String,
    /// Standard output, untouched.
    pub bytes: Vec<u8>,
}

impl Output {
    /// Whether it ended with 0.
    pub fn is_ok(&self) -> bool {
        self.code == 0
    }

    /// Itself when it ended with 0, otherwise an error that shows everything.
    pub fn ok(self) -> Result<Self> {
        if self.is_ok() {
            return Ok(self);
        }
        Err(Failed::Exit {
            command: self.command,
            code: self.code,
            stdout: self.stdout,
            stderr: self.stderr,
        })
    }
}

/// Runs a program to its end, with nothing on its standard input.
pub fn run<S: AsRef<OsStr>>(program: &str, args: &[S]) -> Result<Output> {
    run_with_input(program, args, &[])
}

/// Runs a program to its end and feeds it `input`.
pub fn run_with_input<S: AsRef<OsStr>>(program: &str, args: &[S], input: &[u8]) -> Result<Output> {
    let command = line(program, args);
    let ended = feed(Command::new(program).args(args), input);
    let ended = ended.map_err(|source| Failed::Run {
        command: command.clone(),
        source,
    })?;
    Ok(Output {
        command,
        code: ended.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&ended.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
        bytes: ended.stdout,
    })
}

/// Runs a command on this process's own terminal; it must succeed.
pub fn attended(command: &mut Command) -> Result<()> {
    let said = format!("{command:?}");
    let status = command.status().map_err(|source| Failed::Run {
        command: said.clone(),
        source,
    })?;
    if status.success() {
        return Ok(());
    }
    let code = status.code().unwrap_or(-1);
    Err(Failed::Exit {
        command: said,
        code,
        stdout: String::new(),
        stderr: String::new(),
    })
}

/// `docker` with these arguments, which must succeed; its standard output, trimmed.
pub(crate) fn docker(args: &[&str]) -> Result<String> {
    Ok(run("docker", args)?.ok()?.stdout.trim().to_owned())
}

fn feed(command: &mut Command, input: &[u8]) -> io::Result<std::process::Output> {
    if input.is_empty() {
        return command.stdin(Stdio::null()).output();
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let pipe = child.stdin.take();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A program that does not want its input says so by its exit code.
            if let Some(mut pipe) = pipe {
                drop(pipe.write_all(input));
            }
        });
        child.wait_with_output()
    })
}

fn line<S: AsRef<OsStr>>(program: &str, args: &[S]) -> String {
    let args = args
        .iter()
        .map(|each| each.as_ref().to_string_lossy().into_owned());
    std::iter::once(program.to_owned())
        .chain(args)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_shows_what_it_said() {
        let failed = run("sh", &["-c", "echo out; echo err >&2; exit 3"])
            .unwrap()
            .ok()
            .unwrap_err()
            .to_string();
        assert!(
            failed.contains("exit 3") && failed.contains("ended with 3"),
            "{failed}"
        );
        assert!(
            failed.contains("--- stdout\nout") && failed.contains("--- stderr\nerr"),
            "{failed}"
        );
    }

    #[test]
    fn input_larger_than_a_pipe_arrives_whole() {
        let input = vec![b'x'; 1 << 20];
        assert_eq!(run_with_input("cat", &["-"], &input).unwrap().bytes, input);
    }
}
