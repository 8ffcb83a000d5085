#!/bin/sh
# Builds what is shipped: two static programs, one file for every distribution, in target/<target>/ship/.
set -eu
cd "$(dirname "$0")/.."
target=${1:-$(uname -m)-unknown-linux-gnu}
RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --profile ship --target "$target" -p chatalot-agent -p chatalotctl
ls -l "target/$target/ship/chatalot-agent" "target/$target/ship/chatalotctl"
