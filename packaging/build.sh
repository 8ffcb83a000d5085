#!/bin/sh
# Builds what is shipped: two static programs, one file for every distribution, in target/<target>/ship/.
set -eu
cd "$(dirname "$0")/.."
target=${1:-$(uname -m)-unknown-linux-gnu}
# What SQLite can do and nobody here asks for: full-text search, R-trees, extensions, caches that are shared, hooks. And
# it may sync what was written without the time at which it was, which it does not believe it can.
LIBSQLITE3_FLAGS='-USQLITE_ENABLE_FTS3 -USQLITE_ENABLE_FTS3_PARENTHESIS -USQLITE_ENABLE_FTS5 -USQLITE_ENABLE_RTREE
-USQLITE_ENABLE_STAT4 -USQLITE_ENABLE_DBSTAT_VTAB -USQLITE_SOUNDEX -USQLITE_ENABLE_LOAD_EXTENSION -DSQLITE_OMIT_LOAD_EXTENSION
-USQLITE_ENABLE_COLUMN_METADATA -DSQLITE_OMIT_SHARED_CACHE -DSQLITE_OMIT_PROGRESS_CALLBACK -DSQLITE_UNTESTABLE
-DSQLITE_OMIT_AUTHORIZATION -DSQLITE_OMIT_TRACE -DSQLITE_OMIT_COMPILEOPTION_DIAGS -DSQLITE_OMIT_INTROSPECTION_PRAGMAS
-DSQLITE_OMIT_DEPRECATED -DSQLITE_DQS=0 -DHAVE_FDATASYNC=1'
export LIBSQLITE3_FLAGS
# A panic ends the program: nothing walks the stack, in Rust or in C. See no-unwinding.ld for what brings its tables
# anyway.
CFLAGS='-fno-asynchronous-unwind-tables -fno-unwind-tables'
export CFLAGS
# What a running agent uses lies together (see order.sh), and relocations are written down in a few bytes each, which a C
# library of 2.36 or newer can read at the start.
RUSTFLAGS="-C target-feature=+crt-static -C force-unwind-tables=no -C symbol-mangling-version=v0"
RUSTFLAGS="$RUSTFLAGS -C strip=${CHATALOT_SYMBOLS:-symbols}"
RUSTFLAGS="$RUSTFLAGS -C link-arg=-Wl,-T,packaging/agent.ld -C link-arg=-Wl,-T,packaging/no-unwinding.ld"
RUSTFLAGS="$RUSTFLAGS -C link-arg=-Wl,-z,pack-relative-relocs"
export RUSTFLAGS
# cargo does not know of the linker's scripts.
for program in chatalot-agent chatalotctl; do
    built="target/$target/ship/$program"
    [ ! -e "$built" ] || [ -z "$(find packaging -name '*.ld' -newer "$built")" ] ||
        cargo clean --quiet --locked --profile ship --target "$target" -p "$program"
done
cargo build --locked --profile ship --target "$target" -p chatalot-agent -p chatalotctl
ls -l "target/$target/ship/chatalot-agent" "target/$target/ship/chatalotctl"
