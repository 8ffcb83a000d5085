#!/bin/sh
# Every test there is, on a fresh Debian machine with nothing but a Rust toolchain: installs what is missing (and
# says what), checks format and lints, tests the crates, builds what is shipped, runs the journeys in the sandbox, and
# fuzzes. What needs processors runs beside what waits, and is waited for.
#
#   sh tests/all.sh           what CI runs
#   sh tests/all.sh --quick   without the sandbox
set -eu
cd "$(dirname "$0")/.."

step() { printf '\n== %s (%s)\n' "$1" "$(date +%H:%M:%S)"; }

quick=''
[ "${1-}" != --quick ] || quick=yes

# Ends a job that ran beside: its number, what it has said, and how much of that is shown.
ended() {
    if ! wait "$1"; then
        cat "$2"
        exit 1
    fi
    tail -n "$3" "$2"
}

step "what the tests need"
sh tests/setup.sh
logs=$(mktemp -d)
# Nothing is left running, whatever fails.
trap 'wait; rm -rf "$logs"' EXIT
step "format and lints"
cargo fmt --all --check
cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
git ls-files '*.sh' | xargs shellcheck .ci/run
step "the crates; beside them what is shipped is built"
shipping=''
if [ -z "$quick" ]; then
    nice sh packaging/build.sh >"$logs/shipped" 2>&1 &
    shipping=$!
fi
cargo test --locked --workspace --all-features --exclude chatalot-tests
if [ -z "$quick" ]; then
    step "what is shipped"
    ended "$shipping" "$logs/shipped" 2
    nice -n 19 sh tests/fuzz.sh >"$logs/fuzzed" 2>&1 &
    fuzzing=$!
    step "the sandbox"
    sh tests/sandbox/build.sh ${CHATALOT_FULL:+--all}
    step "the journeys; beside them the fuzzer"
    cargo test --locked -p chatalot-tests
    step "what the fuzzer found"
    ended "$fuzzing" "$logs/fuzzed" 30
fi
step "the house rules"
cargo test --locked -p chatalot-tests --lib --test house_rules --test every_fault_is_shown
