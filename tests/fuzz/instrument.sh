#!/bin/sh
# What cargo calls in place of rustc for the crates of this workspace, and for no other: puts in the counters and
# comparisons that the fuzzer learns by, and says that it is the fuzzer that is built. What only builds is left alone.
set -eu
case " $* " in
    *" --crate-name build_script_"*) exec "$@" ;;
    *)
        exec "$@" --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
            -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
            -Cllvm-args=-sanitizer-coverage-trace-compares
        ;;
esac
