#!/bin/sh
# Every test there is, on a fresh Debian machine with nothing but a Rust toolchain: installs what is missing (and
# says what), checks format and lints, tests the crates, builds what is shipped, and runs the journeys in the sandbox.
#
#   sh tests/all.sh           what CI runs
#   sh tests/all.sh --quick   without the sandbox
set -eu
cd "$(dirname "$0")/.."

step() { printf '\n== %s (%s)\n' "$1" "$(date +%H:%M:%S)"; }

quick=''
[ "${1-}" != --quick ] || quick=yes

step "what the tests need"
sh tests/setup.sh
step "format and lints"
cargo fmt --all --check
cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
git ls-files '*.sh' | xargs shellcheck .ci/run
step "the crates"
cargo test --locked --workspace --all-features --exclude chatalot-tests
if [ -z "$quick" ]; then
    step "what is shipped"
    sh packaging/build.sh
    step "the sandbox"
    sh tests/sandbox/build.sh ${CHATALOT_FULL:+--all}
    step "the journeys"
    cargo test --locked -p chatalot-tests
else
    step "the house rules"
    cargo test --locked -p chatalot-tests --lib --test house_rules --test every_fault_is_shown
fi
