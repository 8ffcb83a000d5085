//! A life under `strace`: counted once, then hit at each of its calls.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_chatalot-sweeps");
/// The calls that change what is on a disk, or make it durable.
pub(crate) const WRITES: &str =
    "write,pwrite64,fsync,fdatasync,rename,unlink,unlinkat,rmdir,mkdir,symlink,ftruncate";
/// A life that does not end by itself, in seconds.
const LONGEST: &str = "120";

/// A story that the program can tell.
#[derive(Clone, Copy)]
pub(crate) struct Story {
    /// `job`, `join` or `enrol`.
    pub(crate) name: &'static str,
    /// What comes after its folder.
    pub(crate) seat: Option<&'static str>,
    /// Whether it has more than one thread.
    pub(crate) threads: bool,
}

/// What happens at a point.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    /// As strace calls it: `signal=SIGKILL`, `error=ENOSPC`.
    pub(crate) what: &'static str,
    /// How many calls in a row it hits.
    pub(crate) times: usize,
}

/// Which calls are hit.
#[derive(Clone, Copy)]
pub(crate) struct Calls {
    /// As strace calls them.
    pub(crate) set: &'static str,
    /// One in how many, where not all are tried.
    pub(crate) stride: usize,
}

impl Story {
    /// A folder in which the story can begin. In memory: what a crash leaves is what the kernel has been told.
    pub(crate) fn prepared(self) -> TempDir {
        let folder = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let prepared = Command::new(PROGRAM)
            .arg(format!("prepare-{}", self.name))
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(prepared.status.success(), "{}", said(&prepared));
        folder
    }

    fn command(self, through: &[&str], folder: &Path) -> Command {
        let mut words: Vec<&str> = vec!["timeout", "--kill-after=5", LONGEST];
        words.extend(through);
        words.extend([PROGRAM, self.name]);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(folder).args(self.seat);
        // As under systemd: a trace of a panic would want the memory that there is not.
        command.env("RUST_BACKTRACE", "0");
        command
    }

    /// A life with something between it and the system.
    pub(crate) fn live_through(self, through: &[&str], folder: &Path) -> Output {
        self.command(through, folder).output().unwrap()
    }

    /// A life that nothing disturbs.
    pub(crate) fn live(self, folder: &Path) -> Output {
        self.live_through(&[], folder)
    }

    /// A life under strace.
    pub(crate) fn traced(self, options: &[&str], folder: &Path) -> Output {
        let mut through = vec!["strace", "-qq"];
        if self.threads {
            // Without its filter, which lets signals pass.
            through.push("-f");
        }
        through.extend(options);
        self.live_through(&through, folder)
    }

    /// How often each call of a set happens, in the thread in which it happens most.
    fn count(self, template: &Path, set: &str) -> BTreeMap<String, usize> {
        let folder = copied(template);
        let log = folder.path().join("trace");
        let trace = format!("trace={set}");
        let ended = self.traced(&["-o", log.to_str().unwrap(), "-e", &trace], folder.path());
        assert!(ended.status.success(), "undisturbed: {}", said(&ended));
        let mut each: BTreeMap<(String, String), usize> = BTreeMap::new();
        for line in fs::read_to_string(log).unwrap().lines() {
            let (thread, call) = match line.split_once(' ') {
                Some((thread, call)) if self.threads => (thread, call.trim_start()),
                _ => ("", line),
            };
            if let Some((name, _)) = call.split_once('(')
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            {
                *each.entry((name.to_owned(), thread.to_owned())).or_default() += 1;
            }
        }
        let mut most = BTreeMap::new();
        for ((name, _), count) in each {
            let known: &mut usize = most.entry(name).or_default();
            *known = count.max(*known);
        }
        most
    }

    /// Hits one point after the other, each in a copy of the same beginning; `judge` sees what the hit life has left
    /// and how it has ended. Answers how many points were hit.
    pub(crate) fn sweep(
        self,
        calls: Calls,
        fault: Fault,
        judge: &(dyn Fn(&Path, &Output) -> Result<(), String> + Sync),
    ) -> usize {
        let template = self.prepared();
        let counted = self.count(template.path(), calls.set);
        let stride = if full() { 1 } else { calls.stride };
        let all: Vec<(&str, usize)> = counted
            .iter()
            .flat_map(|(call, count)| (1..=*count).map(move |nth| (call.as_str(), nth)))
            .collect();
        let points: Vec<_> = all.iter().step_by(stride).copied().collect();
        let hit = AtomicUsize::new(0);
        let bad = spread(&points, |(call, nth)| {
            let folder = copied(template.path());
            let log = folder.path().join("trace");
            let (trace, last) = (format!("trace={call}"), nth + fault.times - 1);
            let inject = format!("inject={call}:{}:when={nth}..{last}", fault.what);
            let options = ["-o", log.to_str().unwrap(), "-e", &trace, "-e", &inject];
            let ended = self.traced(&options, folder.path());
            let injected = fs::read_to_string(log).unwrap_or_default().contains("(INJECTED)");
            if injected || ended.status.signal() == Some(9) {
                hit.fetch_add(1, Ordering::Relaxed);
            }
            if hangs(&ended) {
                return Err(format!("{call} {nth}, {}: it does not end", fault.what));
            }
            judge(folder.path(), &ended).map_err(|why| format!("{call} {nth}, {}: {why}", fault.what))
        });
        assert!(
            bad.is_empty(),
            "{} of {}:\n{}",
            bad.len(),
            points.len(),
            bad.join("\n")
        );
        let hit = hit.into_inner();
        eprintln!(
            "{}: {hit} points hit of {} calls (stride {stride}), {}",
            self.name,
            all.len(),
            fault.what
        );
        hit
    }
}

/// Whether every point is wanted.
pub(crate) fn full() -> bool {
    std::env::var_os("CHATALOT_FULL").is_some()
}

/// Whether `timeout` had to end a life.
pub(crate) fn hangs(output: &Output) -> bool {
    output.status.code() == Some(124)
}

/// What a life has said, and how it ended.
pub(crate) fn said(output: &Output) -> String {
    format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr))
}

/// Does the same to each of many, as many at once as there are processors; what went wrong.
pub(crate) fn spread<T: Copy + Sync>(
    all: &[T],
    work: impl Fn(T) -> Result<(), String> + Sync,
) -> Vec<String> {
    let (next, bad) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = work(*one) {
                        bad.lock().unwrap_or_else(PoisonError::into_inner).push(why);
                    }
                }
            });
        }
    });
    bad.into_inner().unwrap()
}

/// A copy of a folder, in memory too.
pub(crate) fn copied(from: &Path) -> TempDir {
    let to = tempfile::tempdir_in(from.parent().unwrap()).unwrap();
    copy(from, to.path());
    to
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&path, &target);
        } else if let Ok(link) = fs::read_link(&path) {
            std::os::unix::fs::symlink(link, target).unwrap();
        } else {
            fs::copy(path, target).unwrap();
        }
    }
}
