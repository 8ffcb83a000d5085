#!/bin/sh
# Writes man pages and shell completions of both programs, laid out as below /usr/share, into target/share.
set -eu
cd "$(dirname "$0")/.."
cargo run --quiet --locked -p chatalot-pages -- target/share
printf '%s\n' "target/share: copy it with 'cp -R target/share/. /usr/local/share/'"
