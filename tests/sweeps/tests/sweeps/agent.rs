//! The agent, hit at every call.

use crate::strace::{Calls, Fault, Story, WRITES, said};
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A whole job in one thread, its effects in processes of their own.
pub(crate) const UNITS: Story = Story {
    name: "job",
    seat: Some("units"),
    threads: false,
};
/// The same with the ledger in a thread of its own, as in the daemon.
pub(crate) const THREADS: Story = Story {
    seat: Some("threads"),
    threads: true,
    ..UNITS
};
/// The same in one thread and one process: all that is written is written by it.
pub(crate) const ALONE: Story = Story {
    seat: Some("alone"),
    ..UNITS
};
/// Another identity, and the policy that comes with it.
pub(crate) const JOIN: Story = Story {
    name: "join",
    seat: None,
    threads: false,
};

const KILL: Fault = Fault {
    what: "signal=SIGKILL",
    times: 1,
};
const ALL_WRITES: Calls = Calls {
    set: WRITES,
    stride: 1,
};

/// The next life, which nothing disturbs, finds an end in which everything is as it must be.
pub(crate) fn next_life_ends_well(story: Story) -> impl Fn(&Path, &Output) -> Result<(), String> + Sync {
    move |folder, ended| {
        let next = story.live(folder);
        if next.status.success() {
            Ok(())
        } else {
            Err(format!("{}\nafter {}", said(&next), said(ended)))
        }
    }
}

#[test]
fn f36_an_agent_killed_at_any_call_of_a_whole_job_ends_it_once_with_each_effect_once() {
    let calls = Calls {
        set: "all",
        stride: 6,
    };
    let hit = UNITS.sweep(calls, KILL, &next_life_ends_well(UNITS));
    assert!(hit > 100, "{hit}");
}

#[test]
fn f36_an_agent_killed_at_any_write_or_sync_of_ledger_outbox_and_job_files_ends_the_job_once() {
    let hit = THREADS.sweep(ALL_WRITES, KILL, &next_life_ends_well(THREADS));
    assert!(hit > 100, "{hit}");
}

#[test]
fn f15_f65_a_host_killed_at_any_call_that_gives_it_another_identity_has_the_old_one_or_the_new_one() {
    let calls = Calls {
        set: "all",
        stride: 1,
    };
    let hit = JOIN.sweep(calls, KILL, &next_life_ends_well(JOIN));
    assert!(hit > 50, "{hit}");
}

/// What needs room. Not the ledger's thread waking another, which is a write too and needs none.
const STORED: &str = "pwrite64,fsync,fdatasync,rename,mkdir,ftruncate";
/// The same where there is but one thread, and what opens files besides.
const STORED_ALONE: &str = "write,openat,mkdir,rename,symlink,fsync";

fn breaks_nothing(what: &'static str, times: usize, stride: usize) {
    let fault = Fault { what, times };
    for (story, set) in [(THREADS, STORED), (ALONE, STORED_ALONE), (JOIN, STORED_ALONE)] {
        let calls = Calls { set, stride };
        let hit = story.sweep(calls, fault, &next_life_ends_well(story));
        assert!(hit > 5, "{hit}");
    }
}

#[test]
fn f46_a_disk_that_is_full_at_any_write_of_ledger_outbox_identity_and_policy_breaks_nothing() {
    breaks_nothing("error=ENOSPC", 1, 1);
    breaks_nothing("error=ENOSPC", 6, 5);
}

#[test]
fn f47_a_quota_that_is_used_up_at_any_write_breaks_nothing() {
    breaks_nothing("error=EDQUOT", 3, 5);
}

#[test]
fn f48_a_disk_that_fails_once_at_any_write_breaks_nothing() {
    breaks_nothing("error=EIO", 1, 1);
}

#[test]
fn f48_a_sync_of_the_ledger_that_fails_once_ends_the_agent_and_the_next_life_has_all_that_was_told() {
    let eio = Fault {
        what: "error=EIO",
        times: 1,
    };
    let syncs = Calls {
        set: "fsync,fdatasync",
        stride: 1,
    };
    let ends = AtomicUsize::new(0);
    let hit = THREADS.sweep(syncs, eio, &|folder, ended| {
        ends.fetch_add(usize::from(ended.status.code() == Some(3)), Ordering::Relaxed);
        next_life_ends_well(THREADS)(folder, ended)
    });
    let ends = ends.into_inner();
    assert!(ends > 10, "{ends} of {hit} ended the process");
}
