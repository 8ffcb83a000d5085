#!/bin/sh
# Builds what is shipped for aarch64, and has an emulator run it and the agent's own tests: sh tests/aarch64.sh
# Not a part of CI's run: rustup fetches that processor's standard library, Debian has the compiler and the emulator.
set -eu
cd "$(dirname "$0")/.."
target=aarch64-unknown-linux-gnu
as_root=''
[ "$(id -u)" -eq 0 ] || as_root='sudo -E'

$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
rustup target add "$target"
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER='qemu-aarch64 -L /usr/aarch64-linux-gnu'
sh packaging/build.sh "$target"
for program in chatalot-agent chatalotctl; do qemu-aarch64 "target/$target/ship/$program" --version; done
# The emulator has no sockets that the kernel lists, and starts programs that are not there.
cargo test --locked --target "$target" -p chatalot-protocol -p chatalot-agent --lib -- \
    --skip a_program_that_is_not_there_cannot_be_started --skip the_kernel_names_the_socket_that_listens
