use super::*;
use chatalot_protocol::secret::Secret;
use std::path::PathBuf;

/// A sink in a folder of its own.
struct Bench {
    _folder: tempfile::TempDir,
    path: PathBuf,
    sink: Sink,
}

impl Bench {
    fn new(secrets: &[Secret]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        let sink = Sink::open(&path, secrets).unwrap();
        Self {
            _folder: folder,
            path,
            sink,
        }
    }

    async fn sh(&self, script: &str, patience: Patience) -> Result<Output, HostError> {
        run(&Command::new("sh", &["-c", script]), &self.sink, patience).await
    }

    fn written(&self) -> Vec<u8> {
        self.sink.finish().unwrap();
        std::fs::read(&self.path).unwrap()
    }
}

const CALM: Patience = Patience {
    left: Duration::from_mins(1),
    idle: Duration::from_mins(1),
    grace: Duration::from_millis(200),
};

#[tokio::test]
async fn both_streams_are_written_in_the_order_they_came() {
    let bench = Bench::new(&[]);
    let output = bench
        .sh("echo one; echo two >&2; echo three; exit 4", CALM)
        .await
        .unwrap();
    assert_eq!((output.code, output.stdout.as_str()), (4, "one\ntwo\nthree\n"));
    bench.sink.say("four");
    assert_eq!(bench.written(), b"one\ntwo\nthree\nfour\n");
}

#[tokio::test]
async fn f42_an_installer_that_floods_without_a_newline_is_streamed_and_its_end_kept() {
    let bench = Bench::new(&[]);
    let script = "head -c 9000000 /dev/zero; printf '\\033[31m\\377\\000end'";
    let output = bench.sh(script, CALM).await.unwrap();
    assert!(output.ok() && output.stdout.ends_with("end") && output.stdout.len() <= 66_000);
    assert_eq!(output.last_lines(1), ["\u{fffd}end"]);
    assert_eq!(bench.written().len(), 9_000_000 + 5 + 1 + 1 + 3);
}

#[test]
fn a_line_that_was_written_over_again_and_again_is_shown_as_it_was_left() {
    let output = Output {
        stdout: "(Reading database ... 5%\r(Reading database ... 100%\r\nUnpacking curl\r\n".into(),
        ..Output::default()
    };
    assert_eq!(
        output.last_lines(9),
        ["(Reading database ... 100%", "Unpacking curl"]
    );
}

#[tokio::test]
async fn f43_an_installer_that_hangs_silently_is_ended_for_its_silence() {
    let bench = Bench::new(&[]);
    let patience = Patience {
        idle: Duration::from_millis(200),
        ..CALM
    };
    let failed = bench.sh("echo begun; sleep 600", patience).await;
    assert!(matches!(failed, Err(HostError::Idle { .. })), "{failed:?}");
    assert_eq!(bench.written(), b"begun\n");
}

#[tokio::test]
async fn f43_an_installer_that_ignores_sigterm_is_killed_when_the_steps_time_is_over() {
    let bench = Bench::new(&[]);
    let patience = Patience {
        left: Duration::from_millis(300),
        ..CALM
    };
    let failed = bench
        .sh("trap '' TERM; while :; do echo x; sleep 0.05; done", patience)
        .await;
    assert!(matches!(failed, Err(HostError::Deadline { .. })), "{failed:?}");
}

#[tokio::test]
async fn f43_an_installer_that_leaves_a_daemon_behind_is_done_when_it_exits() {
    let bench = Bench::new(&[]);
    let output = bench.sh("sleep 15 & echo started", CALM).await.unwrap();
    assert_eq!((output.code, output.stdout.as_str()), (0, "started\n"));
}

#[tokio::test]
async fn f59_a_secret_that_a_command_prints_is_in_no_sink() {
    let secret = Secret::new("s3cret-Token/42");
    let bench = Bench::new(std::slice::from_ref(&secret));
    let script = "printf 's3cret-'; sleep 0.05; echo 'Token/42'; printf %s s3cret-Token/42 | base64";
    let output = bench.sh(script, CALM).await.unwrap();
    assert!(
        output.stdout.starts_with("[secret]\n[secret]"),
        "{}",
        output.stdout
    );
    assert_eq!(bench.written(), output.stdout.as_bytes());
}

#[tokio::test]
async fn what_is_written_is_in_the_file_while_the_command_still_runs() {
    let bench = Bench::new(&[]);
    let path = bench.path.clone();
    let mut running = Box::pin(bench.sh("echo early; sleep 600", CALM));
    let seen = async {
        while std::fs::read(&path).unwrap() != b"early\n" {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = &mut running => panic!("{ended:?}"),
        seen = tokio::time::timeout(Duration::from_secs(20), seen) => seen.unwrap(),
    }
}
