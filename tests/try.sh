#!/bin/sh
# The main job for a person to watch: a controller on this machine, a fresh Debian VPS in a sandbox, the printed line
# pasted into it, a deployment, the handover. Real parts throughout; only chatalot itself is a stand-in, because its
# own forge and images cannot be had everywhere. Installs what is missing and says so; removes what it started.
set -eu
cd "$(dirname "$0")/.."
sh tests/setup.sh
sh packaging/build.sh
sh tests/sandbox/build.sh
exec cargo run --quiet --locked -p chatalot-tests --bin try-it
