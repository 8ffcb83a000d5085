#!/bin/sh
# Builds what is shipped: two static programs, one file for every distribution, in target/<target>/ship/.
set -eu
cd "$(dirname "$0")/.."
target=${1:-$(uname -m)-unknown-linux-gnu}
# What SQLite can do and nobody here asks for: full-text search, R-trees, extensions.
LIBSQLITE3_FLAGS='-USQLITE_ENABLE_FTS3 -USQLITE_ENABLE_FTS3_PARENTHESIS -USQLITE_ENABLE_FTS5 -USQLITE_ENABLE_RTREE
-USQLITE_ENABLE_STAT4 -USQLITE_ENABLE_DBSTAT_VTAB -USQLITE_SOUNDEX -USQLITE_ENABLE_LOAD_EXTENSION -DSQLITE_OMIT_LOAD_EXTENSION
-DSQLITE_OMIT_DEPRECATED -DSQLITE_DQS=0'
export LIBSQLITE3_FLAGS
RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --profile ship --target "$target" -p chatalot-agent -p chatalotctl
ls -l "target/$target/ship/chatalot-agent" "target/$target/ship/chatalotctl"
