use super::*;
use std::time::Instant as Clock;

fn sh(script: &str) -> Command {
    Command::new("sh", &["-c", script])
}

async fn asked(command: Command) -> Result<Output, HostError> {
    query(&command).await
}

/// Waits until a process has ended.
async fn gone(pid: i32) {
    let ended = async {
        loop {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if stat.is_empty() || stat.contains(") Z") {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended)
        .await
        .expect("it is still there");
}

#[tokio::test]
async fn a_query_tells_both_streams_and_the_exit_code() {
    let output = asked(sh("echo out; echo err >&2; exit 3")).await.unwrap();
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr.as_str()),
        (3, "out\n", "err\n")
    );
    assert_eq!(asked(sh("kill -9 $$")).await.unwrap().code, 137);
}

#[tokio::test]
async fn a_child_has_a_small_fixed_environment_and_nothing_to_read() {
    let output = asked(sh("env; cat").env("EXTRA", "1").within("/")).await.unwrap();
    let mut lines: Vec<&str> = output
        .stdout
        .lines()
        .filter(|line| !line.starts_with('_'))
        .collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "DEBIAN_FRONTEND=noninteractive",
            "EXTRA=1",
            "HOME=/root",
            "LANG=C.UTF-8",
            &format!("PATH={}", files::PATH),
            "PWD=/",
        ]
    );
}

#[tokio::test]
async fn a_program_that_is_not_there_cannot_be_started() {
    for program in ["no-such-program-here", "/nonexistent/program", "../sh", ""] {
        let failed = asked(Command::new(program, &[])).await;
        assert!(matches!(failed, Err(HostError::Start { .. })), "{program}");
    }
}

#[tokio::test]
async fn f42_a_query_that_floods_is_drained_and_capped() {
    let output = asked(sh("head -c 5000000 /dev/zero; printf '\\377'; echo done >&2"))
        .await
        .unwrap();
    assert_eq!(
        (output.code, output.stdout.len(), output.stderr.as_str()),
        (0, MOST, "done\n")
    );
}

#[tokio::test]
async fn f43_a_query_that_ignores_sigterm_is_killed_with_its_group() {
    let here = tempfile::tempdir().unwrap();
    let script = "trap '' TERM; echo $$ > pid; while :; do sleep 0.1; done";
    let command = sh(script)
        .within(here.path())
        .deadline(Duration::from_millis(300));
    let failed = asked(command).await;
    assert!(matches!(failed, Err(HostError::Deadline { .. })), "{failed:?}");
    let pid = std::fs::read_to_string(here.path().join("pid")).unwrap();
    gone(pid.trim().parse().unwrap()).await;
}

#[tokio::test]
async fn f43_a_daemon_that_keeps_the_pipe_does_not_keep_us() {
    let begun = Clock::now();
    let output = asked(sh("sleep 15 & echo started")).await.unwrap();
    assert_eq!((output.code, output.stdout.as_str()), (0, "started\n"));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_query_that_is_given_up_ends_with_its_group() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("pid");
    let command = sh("sleep 600 & echo $! > new; mv new pid; wait").within(here.path());
    let mut running = Box::pin(query(&command));
    let pid = tokio::select! {
        _ = &mut running => panic!("it ended"),
        pid = async {
            loop {
                if let Ok(pid) = std::fs::read_to_string(&path) {
                    return pid;
                }
                tokio::task::yield_now().await;
            }
        } => pid,
    };
    drop(running);
    gone(pid.trim().parse().unwrap()).await;
}
