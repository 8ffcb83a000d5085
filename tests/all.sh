#!/bin/sh
# Every test there is, on a fresh Debian machine with nothing but a Rust toolchain: installs what is missing (and
# says what), checks format and lints, tests the crates, builds what is shipped, runs the journeys in the sandbox, and
# fuzzes. What needs processors runs beside what waits, and is waited for.
#
#   sh tests/all.sh           what CI runs
#   sh tests/all.sh --quick   without the sandbox
#   sh tests/all.sh --full    with what takes minutes as well
set -eu
cd "$(dirname "$0")/.."

began=$(date +%s)
step() { printf '\n== %s (%s)\n' "$1" "$(date +%H:%M:%S)"; }

quick=''
case "${1-}" in
    '') ;;
    --quick) quick=yes ;;
    --full) export CHATALOT_FULL=1 ;;
    *) echo "all.sh: $1 is none of --quick, --full" >&2; exit 2 ;;
esac

# Jobs run beside the others, each by its name, with what those leave of the processors.
logs=$(mktemp -d)
beside() {
    name=$1
    shift
    timeout 3600 nice "$@" >"$logs/$name.said" 2>&1 &
    echo $! >"$logs/$name.job"
}
# Waits for one, and shows the last lines of what it has said, or all where it has failed.
ended() {
    ended=0
    wait "$(cat "$logs/$1.job")" || ended=$?
    rm "$logs/$1.job"
    if [ "$ended" -ne 0 ]; then
        cat "$logs/$1.said"
        exit 1
    fi
    tail -n "$2" "$logs/$1.said"
}
leave() {
    for running in "$logs"/*.job; do
        [ ! -e "$running" ] || kill "$(cat "$running")" 2>/dev/null || :
    done
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
[ -n "$quick" ] || beside shipped sh -c "sh tests/ahead.sh && sh packaging/build.sh && sh tests/sandbox/build.sh ${CHATALOT_FULL:+--all}"
step "format and lints; beside them what is shipped is built, and the sandbox"
cargo fmt --all --check
cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
cargo clippy --locked --workspace --all-features --test journeys -- -D warnings
git ls-files '*.sh' | xargs shellcheck .ci/run
step "the crates"
tests
if [ -z "$quick" ]; then
    step "what is shipped, and the sandbox"
    beside fuzzed sh tests/fuzz.sh
    ended shipped 4
    step "the journeys; beside them the fuzzer"
    tests --test journeys -- --test-threads $(($(nproc) + 1))
    step "what the fuzzer found"
    ended fuzzed 30
fi
# The budget of what CI runs, on two cores and with nothing built before.
minutes=$((($(date +%s) - began) / 60))
step "all of it took $minutes min"
if [ "$minutes" -ge 60 ] && [ -z "${CHATALOT_FULL-}" ]; then
    echo "all.sh: more than the hour that CI may take" >&2
    exit 1
fi
# Last, so that what is printed ends with a summary of tests.
step "the house rules"
tests --test house_rules
