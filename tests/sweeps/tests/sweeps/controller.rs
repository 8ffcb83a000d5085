//! The controller, hit at every call between a token that is shown and the certificate, events and jobs after it.

use crate::agent::next_life_ends_well;
use crate::strace::{Calls, Fault, Story, WRITES};

/// A controller that admits a host, stores its events and queues a job.
pub(crate) const ENROL: Story = Story {
    name: "enrol",
    seat: None,
    threads: false,
};

#[test]
fn f08_a_controller_killed_anywhere_between_token_and_certificate_has_both_or_neither() {
    let calls = Calls {
        set: WRITES,
        stride: 1,
    };
    let kill = Fault {
        what: "signal=SIGKILL",
        times: 1,
    };
    let hit = ENROL.sweep(calls, kill, &next_life_ends_well(ENROL));
    assert!(hit > 40, "{hit}");
}

#[test]
fn f46_f47_a_controller_without_room_at_any_write_has_what_it_has_promised() {
    let calls = Calls {
        set: "write,pwrite64,rename,mkdir,ftruncate",
        stride: 1,
    };
    for what in ["error=ENOSPC", "error=EDQUOT"] {
        for times in [1, 4] {
            ENROL.sweep(calls, Fault { what, times }, &next_life_ends_well(ENROL));
        }
    }
}

#[test]
fn f48_a_controller_that_loses_any_write_or_sync_has_what_it_has_promised() {
    let calls = Calls {
        set: "fsync,fdatasync,pwrite64,write",
        stride: 1,
    };
    let eio = Fault {
        what: "error=EIO",
        times: 1,
    };
    ENROL.sweep(calls, eio, &next_life_ends_well(ENROL));
}
