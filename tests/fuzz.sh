#!/bin/sh
# Fuzzes every decoder that sees foreign bytes: the targets of tests/fuzz, each from its committed corpus.
#
#   sh tests/fuzz.sh                 15 seconds a target: what CI runs
#   sh tests/fuzz.sh --long N        N minutes a target
#   sh tests/fuzz.sh --target NAME   only this one; may be repeated
#   sh tests/fuzz.sh --grow          keep what was found: the least inputs that reach as much are added to the corpus
#
# What breaks a target is left in .cache/fuzz/found/NAME; give it to the target again, without the fuzzer, with
# `cargo run -p chatalot-fuzz -- NAME FILE`, mend it, and keep it in the corpus as `bug-…`.
set -eu
cd "$(dirname "$0")/.."

cache="$PWD/.cache/fuzz"
found="$cache/found"
seconds=15
level=0
targets=""
grow=""

say() { printf 'fuzz: %s\n' "$*"; }
die() { printf 'fuzz: %s\n' "$*" >&2; exit 1; }

while [ $# -gt 0 ]; do
    case "$1" in
        --long)
            seconds=$((${2:?minutes} * 60))
            level=1
            shift 2
            ;;
        --target)
            [ -d "tests/fuzz/corpus/${2:?a target}" ] || die "no target $2; they are: $(ls tests/fuzz/corpus)"
            targets="$targets $2"
            shift 2
            ;;
        --grow) grow=yes; shift ;;
        *) die "unknown: $1" ;;
    esac
done
[ -n "$targets" ] || targets=$(ls tests/fuzz/corpus)

# The fuzzer learns by counters and comparisons that the compiler of every day can put in. Only what is ours is built with
# them; all else is what the tests were built with, for which the same crates and features are asked for. What fuzzes for
# minutes is worth the time to make our own crates faster.
fuzzer="$cache/chatalot-fuzz"
build() {
    CARGO_PROFILE_DEV_OPT_LEVEL=$level RUSTC_WORKSPACE_WRAPPER="$PWD/tests/fuzz/instrument.sh" \
        cargo build --locked -q --workspace --all-features --bin chatalot-fuzz
    mkdir -p "$cache"
    cp target/debug/chatalot-fuzz "$fuzzer"
}
say "building the fuzzer"
build

# What a target keeps on a disk is on none, where there is a choice.
TMPDIR=$(mktemp -d -p /dev/shm chatalot-fuzz.XXXXXX 2>/dev/null || mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

# One target: a corpus of its own to grow in, begun with the committed one. Where the machine has so much else to do that
# hardly more than the corpus was read, it gets its time again.
fuzz() {
    name=$1
    mkdir -p "$cache/corpus/$name" "$found/$name"
    kept=$(find "$cache/corpus/$name" "tests/fuzz/corpus/$name" -type f | wc -l)
    runs=0
    for _ in 1 2 3; do
        CHATALOT_FUZZ_TARGET=$name "$fuzzer" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=2048 \
            -print_final_stats=1 -verbosity=1 -close_fd_mask=1 -artifact_prefix="$found/$name/" \
            "$cache/corpus/$name" "tests/fuzz/corpus/$name" >"$found/$name.log" 2>&1 || return 1
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$found/$name.log")
        if [ "$runs" -gt $((kept * 2)) ]; then
            say "$name: $runs inputs, $kept of them kept ones; none broke it"
            return 0
        fi
    done
    say "$name: $runs inputs are hardly more than the $kept that are kept" | tee -a "$found/$name.log"
    return 1
}

# Adds the least inputs that reach what the committed corpus does not, if they are short enough to be kept.
merge() {
    name=$1
    short="$cache/short/$name"
    rm -rf "$short"
    mkdir -p "$short"
    find "$cache/corpus/$name" -type f -size -3 -exec cp {} "$short" \;
    CHATALOT_FUZZ_TARGET=$name "$fuzzer" -merge=1 -timeout=20 "tests/fuzz/corpus/$name" "$short" \
        >"$found/$name.merge.log" 2>&1 || return 1
}

# As many at a time as there are processors; each says how it ended.
broken=""
running=0
at_once=$(nproc)
results="$TMPDIR/results"
mkdir "$results"
for name in $targets; do
    if [ "$running" -ge "$at_once" ]; then
        wait
        running=0
    fi
    { if fuzz "$name"; then : >"$results/$name"; fi; } &
    running=$((running + 1))
done
wait
for name in $targets; do
    [ -e "$results/$name" ] || broken="$broken $name"
done
for name in $broken; do
    say "$name broke; the end of $found/$name.log:"
    tail -n 25 "$found/$name.log"
done
[ -z "$broken" ] || die "broken:$broken; the inputs are in $found"
if [ -n "$grow" ]; then
    for name in $targets; do merge "$name" || die "the corpus of $name could not be merged"; done
fi
say "all targets hold"
