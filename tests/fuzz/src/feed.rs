//! One input for one target.

use crate::Target;
use chatalot_protocol::frame::MAX_CONTROL;
use peak_alloc::PeakAlloc;

/// Counts what is held; the engines in C (`SQLite`, the fuzzer itself) have memory of their own.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What a decoder may hold for each byte of its input: two bytes of JSON such as `0,` become a value of 32, in a list that
/// has room for twice as many and is copied when it grows; three of TOML such as `[],` three tokens and a value.
const EACH: usize = 128;
/// And never more than so many of the longest frames, however long its input: a frame that is full of `,0` becomes 24.
const CEILING: usize = 32 * MAX_CONTROL;

/// Gives one input to a target; what is longer than it may ever be is cut off. Ends in a panic where something does not
/// hold, the bound of memory included.
pub fn feed(target: &Target, input: &[u8]) {
    let input = &input[..input.len().min(target.longest)];
    (target.prepare)();
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    (target.run)(input);
    let held = MEMORY.peak_usage().saturating_sub(before);
    let most = target.always + CEILING.min(EACH * input.len());
    assert!(
        held <= most,
        "`{}` held {held} bytes for an input of {}, where at most {most} are allowed",
        target.name,
        input.len()
    );
}
