//! Chance and the time of day, both decided by a number.
//!
//! Whatever asks the system for randomness in this process (the order of hash maps, `select!`, ids, jitter) and for
//! the time of day gets it from here, because the two functions of the C library through which that goes are defined
//! below. So the code under test needs no dice and no clock of its own.
#![allow(
    unsafe_code,
    clippy::cast_possible_truncation,
    reason = "the two functions of the C library are defined as C defines them"
)]

use nix::libc;
use std::cell::Cell;
use std::ops::Range;
use std::time::Duration;
use tokio::time::Instant;

/// When every simulation begins: milliseconds since 1970.
pub(crate) const BEGIN_MS: i64 = 1_790_000_000_000;

thread_local! {
    static SEED: Cell<u64> = const { Cell::new(0) };
    static SYSTEM: Cell<Option<u64>> = const { Cell::new(None) };
    static SCRIPT: Cell<u64> = const { Cell::new(0) };
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// From now on everything on this thread is decided by `seed`.
pub(crate) fn seed(seed: u64) {
    SYSTEM.set(Some(seed ^ 0x5155_4545_4e00));
    SCRIPT.set(seed);
    SEED.set(seed);
}

/// What everything on this thread is decided by.
pub(crate) fn seeded() -> u64 {
    SEED.get()
}

/// The simulated time begins.
pub(crate) fn begin() {
    BEGAN.set(Some(Instant::now()));
}

/// How long it has lasted.
pub(crate) fn elapsed() -> Duration {
    BEGAN.get().map(|began| began.elapsed()).unwrap_or_default()
}

/// The true time of day, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    BEGIN_MS.saturating_add_unsigned(u64::try_from(elapsed().as_millis()).unwrap_or(u64::MAX))
}

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A number out of a range.
pub(crate) fn among(range: Range<u64>) -> u64 {
    let mut state = SCRIPT.get();
    let drawn = next(&mut state);
    SCRIPT.set(state);
    range.start + drawn % (range.end - range.start).max(1)
}

/// Whether something happens that happens so often in a hundred times.
pub(crate) fn in_hundred(times: u64) -> bool {
    among(0..100) < times
}

/// A time out of a range of milliseconds.
pub(crate) fn millis(range: Range<u64>) -> Duration {
    Duration::from_millis(among(range))
}

/// The C library's function, as every crate here calls it.
///
/// # Safety
/// `buffer` must have room for `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(
    buffer: *mut libc::c_void,
    length: libc::size_t,
    flags: libc::c_uint,
) -> libc::ssize_t {
    let Some(mut state) = SYSTEM.try_with(Cell::get).ok().flatten() else {
        // SAFETY: the arguments are handed on as they came.
        return unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) as libc::ssize_t };
    };
    // SAFETY: the caller promises the room.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&next(&mut state).to_le_bytes()[..chunk.len()]);
    }
    let _ = SYSTEM.try_with(|cell| cell.set(Some(state)));
    length.cast_signed()
}

/// The C library's function; only the time of day is ours.
///
/// # Safety
/// `to` must be valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, to: *mut libc::timespec) -> libc::c_int {
    let began = BEGAN.try_with(Cell::get).ok().flatten();
    if clock != libc::CLOCK_REALTIME || began.is_none() {
        // SAFETY: the arguments are handed on as they came.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, to) as libc::c_int };
    }
    let ms = now_ms();
    let time = libc::timespec {
        tv_sec: ms.div_euclid(1000),
        tv_nsec: ms.rem_euclid(1000) * 1_000_000,
    };
    // SAFETY: the caller promises that it may be written.
    unsafe { to.write(time) };
    0
}
