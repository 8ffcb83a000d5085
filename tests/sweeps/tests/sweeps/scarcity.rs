//! Too few of everything but disk: descriptors, memory, threads and processes. Whatever a life comes to with it, the next
//! one finds nothing half done.

use crate::agent::{THREADS, UNITS, next_life_ends_well};
use crate::controller::ENROL;
use crate::strace::{Calls, Fault, Story, copied, hangs, spread};

/// One life under a limit, from hopeless to plenty, and one without.
fn under_limits(story: Story, limits: &[String]) {
    let template = story.prepared();
    let all: Vec<&str> = limits.iter().map(String::as_str).collect();
    let stopped = std::sync::atomic::AtomicUsize::new(0);
    let bad = spread(&all, |limit| {
        let folder = copied(template.path());
        let first = story.live_through(&["prlimit", limit], folder.path());
        if hangs(&first) {
            return Err(format!("{limit}: it does not end"));
        }
        if !first.status.success() {
            stopped.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        next_life_ends_well(story)(folder.path(), &first).map_err(|why| format!("{limit}: {why}"))
    });
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    let stopped = stopped.into_inner();
    eprintln!(
        "{}: {stopped} of {} limits were too low",
        story.name,
        limits.len()
    );
    assert!(
        (1..limits.len()).contains(&stopped),
        "{}: {stopped} of {}",
        story.name,
        limits.len()
    );
}

#[test]
fn f67_with_any_number_of_descriptors_nothing_is_left_half_done() {
    let limits: Vec<String> = (3..40)
        .step_by(2)
        .map(|most| format!("--nofile={most}"))
        .collect();
    for story in [UNITS, THREADS, ENROL] {
        under_limits(story, &limits);
    }
}

/// The least that a life needs, in KiB of address space, found out in steps of a MiB.
fn least(story: Story) -> Option<u64> {
    let template = story.prepared();
    (4..512).map(|mib| mib << 10).find(|kib| {
        let folder = copied(template.path());
        let limit = format!("--as={}", kib << 10);
        story
            .live_through(&["prlimit", &limit], folder.path())
            .status
            .success()
    })
}

/// Below what a life needs it begins, and comes to an end wherever it asks for more; further below it does not begin.
#[test]
fn f67_with_any_amount_of_memory_nothing_is_left_half_done() {
    for story in [UNITS, THREADS, ENROL] {
        let most = least(story).unwrap();
        let limits: Vec<String> = (most - (3 << 10)..=most + (1 << 10))
            .step_by(64)
            .map(|kib| format!("--as={}", kib << 10))
            .collect();
        under_limits(story, &limits);
    }
}

#[test]
fn f67_a_thread_or_a_process_that_is_not_to_be_had_leaves_nothing_half_done() {
    let calls = Calls {
        set: "clone,clone3,vfork",
        stride: 1,
    };
    let none = Fault {
        what: "error=EAGAIN",
        times: 1,
    };
    let mut hit = 0;
    for story in [UNITS, THREADS, ENROL] {
        hit += story.sweep(calls, none, &next_life_ends_well(story));
    }
    assert!(hit > 3, "{hit}");
}

#[test]
fn f67_memory_that_is_not_to_be_had_at_any_call_leaves_nothing_half_done() {
    let calls = Calls {
        set: "mmap,brk",
        stride: 3,
    };
    let none = Fault {
        what: "error=ENOMEM",
        times: 1,
    };
    for story in [UNITS, ENROL] {
        let hit = story.sweep(calls, none, &next_life_ends_well(story));
        assert!(hit > 5, "{hit}");
    }
}
