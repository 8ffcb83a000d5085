//! Real limits: a disk of so many pages or files, and files of no more than so many bytes.

use crate::agent::{THREADS, UNITS};
use crate::controller::ENROL;
use crate::strace::{Story, copied, hangs, said, spread};
use std::path::Path;
use std::process::Command;

/// What a process that was ended for writing too much leaves: 128 and `SIGXFSZ`.
const TOO_LONG: i32 = 128 + 25;

/// A host whose state folder is a small disk in memory; gone with its value.
struct Small(tempfile::TempDir);

impl Small {
    /// Nothing where nothing may be mounted, or where not even the beginning has room.
    fn begun(options: &str, template: &Path) -> Option<Self> {
        let small = Self(copied(template));
        let state = small.0.path().join("state");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "small"])
            .arg(&state)
            .output()
            .unwrap();
        if !mounted.status.success() {
            return None;
        }
        let copied = Command::new("cp")
            .arg("-a")
            .arg(template.join("state/."))
            .arg(&state)
            .output()
            .unwrap();
        copied.status.success().then_some(small)
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let state = self.0.path().join("state");
        let done = Command::new("mount").args(["-o", &options]).arg(state).status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Nothing is mounted where nothing may be.
        let _ = Command::new("umount")
            .args(["-q", "-l"])
            .arg(self.0.path().join("state"))
            .status();
    }
}

/// Each of these disks is too small, or just large enough; then it grows.
fn on_small_disks(story: Story, disks: &[String], enough: &str) {
    let template = story.prepared();
    let mounted = Small::begun("size=8M", template.path()).is_some();
    let tried = std::sync::atomic::AtomicUsize::new(0);
    let all: Vec<&str> = disks.iter().map(String::as_str).collect();
    let bad = spread(&all, |options| {
        let Some(small) = Small::begun(options, template.path()) else {
            return Ok(());
        };
        let folder = small.0.path();
        tried.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let first = story.live(folder);
        if hangs(&first) {
            return Err(format!("{options}: it does not end"));
        }
        small.remount(enough);
        let next = story.live(folder);
        if next.status.success() {
            return Ok(());
        }
        Err(format!("{options}: {}\nafter {}", said(&next), said(&first)))
    });
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    let tried = tried.into_inner();
    eprintln!("{}: {tried} small disks", story.name);
    assert!(tried > 5 || !mounted, "{tried}");
}

#[test]
fn f46_a_disk_of_any_size_fills_up_and_everything_goes_on_when_there_is_room() {
    let sizes: Vec<_> = (16..=720).step_by(32).map(|kib| format!("size={kib}k")).collect();
    on_small_disks(UNITS, &sizes, "size=8M");
    on_small_disks(ENROL, &sizes, "size=8M");
}

#[test]
fn f47_a_disk_that_holds_no_more_files_breaks_nothing() {
    let counts: Vec<_> = (5..30)
        .map(|inodes| format!("size=8M,nr_inodes={inodes}"))
        .collect();
    on_small_disks(UNITS, &counts, "nr_inodes=1000");
    on_small_disks(ENROL, &counts, "nr_inodes=1000");
}

#[test]
fn f47_files_that_may_be_no_longer_than_so_many_bytes_break_nothing_and_kill_nobody() {
    for story in [THREADS, ENROL] {
        let template = story.prepared();
        let limits: Vec<u64> = (0..24).map(|at| at * 8 * 1024 + at % 3 * 500).collect();
        let bad = spread(&limits, |limit| {
            let folder = copied(template.path());
            let first = story.live_through(&["prlimit", &format!("--fsize={limit}")], folder.path());
            if hangs(&first) || first.status.code() == Some(TOO_LONG) {
                return Err(format!("{limit} bytes: {}", said(&first)));
            }
            let next = story.live(folder.path());
            if next.status.success() {
                return Ok(());
            }
            Err(format!("{limit} bytes: {}\nafter {}", said(&next), said(&first)))
        });
        assert!(bad.is_empty(), "{}", bad.join("\n"));
    }
}

#[test]
fn f50_on_a_disk_that_may_only_be_read_nothing_is_done_and_everything_goes_on_once_it_may_be_written() {
    for story in [UNITS, THREADS, ENROL] {
        let template = story.prepared();
        let Some(disk) = Small::begun("size=8M", template.path()) else {
            continue;
        };
        disk.remount("ro");
        let folder = disk.0.path();
        let first = story.live(folder);
        assert!(
            !hangs(&first) && !first.status.success(),
            "{}: {}",
            story.name,
            said(&first)
        );
        disk.remount("rw");
        let next = story.live(folder);
        assert!(next.status.success(), "{}: {}", story.name, said(&next));
    }
}
