#!/bin/sh
# Builds the two programs as they might be one protocol version later (see protocol/src/ahead.rs), in target/ahead/debug,
# for the journey that shows that they work with the ones of today.
set -eu
cd "$(dirname "$0")/.."
RUSTFLAGS='--cfg chatalot_ahead' CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_STRIP=symbols \
    exec cargo build --quiet --locked --target-dir target/ahead -p chatalot-agent -p chatalotctl
