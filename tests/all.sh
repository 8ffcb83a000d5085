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

# One job at a time may run beside the others, with what they leave of the processors.
logs=$(mktemp -d)
job=''
beside() {
    timeout 3600 nice "$@" >"$logs/said" 2>&1 &
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

# All of them with the same crates and features, so that nothing is compiled in two ways.
tests() { cargo test --locked --workspace --all-features "$@"; }

step "what the tests need"
sh tests/setup.sh
[ -n "$quick" ] || beside sh -c "sh packaging/build.sh && sh tests/sandbox/build.sh ${CHATALOT_FULL:+--all}"
step "format and lints; beside them what is shipped is built, and the sandbox"
cargo fmt --all --check
cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
cargo clippy --locked --workspace --all-features --test journeys -- -D warnings
git ls-files '*.sh' | xargs shellcheck .ci/run
step "the crates"
tests
if [ -z "$quick" ]; then
    step "what is shipped, and the sandbox"
    ended 4
    beside sh tests/fuzz.sh
    step "the journeys; beside them the fuzzer"
    tests --test journeys -- --test-threads $(($(nproc) + 1))
    step "what the fuzzer found"
    ended 30
fi
# Last, so that what is printed ends with a summary of tests.
step "the house rules"
tests --test house_rules
