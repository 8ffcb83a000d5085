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

# One job at a time may run beside the others; `timeout` has its children in a group, and ends them all when it is ended.
logs=$(mktemp -d)
job=''
beside() {
    timeout 3600 "$@" >"$logs/said" 2>&1 &
    job=$!
}
# Waits for it, and shows the last lines of what it has said, or all where it has failed.
ended() {
    if ! wait "$job"; then
        job=''
        cat "$logs/said"
        exit 1
    fi
    job=''
    tail -n "$1" "$logs/said"
}
leave() {
    [ -z "$job" ] || kill "$job" 2>/dev/null || :
    wait
    rm -rf "$logs"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step "what the tests need"
sh tests/setup.sh
step "format and lints"
cargo fmt --all --check
cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
git ls-files '*.sh' | xargs shellcheck .ci/run
step "the crates; beside them what is shipped is built"
[ -n "$quick" ] || beside nice sh packaging/build.sh
cargo test --locked --workspace --all-features --exclude chatalot-tests
if [ -z "$quick" ]; then
    step "what is shipped"
    ended 2
    beside nice sh tests/fuzz.sh
    step "the sandbox"
    sh tests/sandbox/build.sh ${CHATALOT_FULL:+--all}
    step "the journeys; beside them the fuzzer"
    cargo test --locked -p chatalot-tests
    step "what the fuzzer found"
    ended 30
fi
# Last, so that what is printed ends with a summary of tests.
step "the house rules"
cargo test --locked -p chatalot-tests --lib --test house_rules --test every_fault_is_shown
