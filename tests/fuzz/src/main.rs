//! The fuzzer of `tests/fuzz.sh` where it is built for that; else what gives files to a target once more.
#![cfg_attr(fuzzing, no_main)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a tool for the terminal, whose failure is to be seen"
)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    static TARGET: std::sync::LazyLock<&chatalot_fuzz::Target> = std::sync::LazyLock::new(|| {
        let name = std::env::var("CHATALOT_FUZZ_TARGET").expect("CHATALOT_FUZZ_TARGET names a target");
        chatalot_fuzz::named(&name).expect("a target of the table")
    });
    chatalot_fuzz::feed(&TARGET, input);
});

/// `chatalot-fuzz` lists the targets; `chatalot-fuzz TARGET FILE…` gives it the files.
#[cfg(not(fuzzing))]
fn main() {
    let mut args = std::env::args().skip(1);
    let Some(name) = args.next() else {
        for target in chatalot_fuzz::TARGETS {
            println!("{:18} {}", target.name, target.decodes);
        }
        return;
    };
    let target = chatalot_fuzz::named(&name).expect("a target of the table");
    for file in args {
        chatalot_fuzz::feed(target, &std::fs::read(&file).expect("a file"));
        println!("{file}: as it should be");
    }
}
