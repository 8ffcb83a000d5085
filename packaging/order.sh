#!/bin/sh
# Writes agent.ld, by which the linker puts together the functions that an agent uses: sh order.sh IDLE BUSY
#
# The kernel maps a program in pieces of 64 KiB. Where what is used lies scattered, nearly all of a program gets resident
# for the sake of a third of it. IDLE and BUSY are what `tests/src/bin/profile.rs` has had valgrind write about the agent of
# `CHATALOT_SYMBOLS=none sh build.sh`: the one watched a site for a few minutes, the other took part in a deployment and
# answered the operator's questions. The idle agent's functions come first. To be made anew when much has changed.
#
# Names are as `build.sh` has them made, with the types that a function was made for. They carry a hash of each crate, and
# count characters; both are left out, so that the list stays of use when dependencies change. The C libraries and ring's
# assembler have no sections for their functions: there it is whole objects, and with each those for processors that
# valgrind does not know. A name that is no longer there does nothing, one that is missing costs memory and nothing else.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Where functions share a section: each with its object, for `nm`'s lines that name such objects.
shared() {
    nm -A --defined-only "$1" 2>/dev/null | sed -n "s/^[^:]*:$2:[0-9a-f]* [TtWi] \([^ ]*\)\$/\2 $3/p"
}
{
    shared "$(cc -print-file-name=libc.a)" '\([^:]*\.o\)' '*libc.a:\1'
    shared "$(dirname "$(cc -print-file-name=libc.a)")"/libm-*.a '\([^:]*\.o\)' '*libm-*.a:\1'
    for ring in ../target/*/ship/deps/libring-*.rlib; do
        shared "$ring" '[0-9a-f]*-\([^:]*-elf\.o\|[^:]*25519[^:]*\.o\)' '*libring-*.rlib:*\1'
    done
} | sed 's/:\([a-z]*\)-\(sse\|ssse\|avx\|evex\|erms\)[^ ]*\.o$/:\1-*.o/' | LC_ALL=C sort -u >"$work/objects"

# The sections that the functions in one profile are in.
sections() {
    sed -n 's/^c\{0,1\}fn=([0-9]*) \([A-Za-z_][A-Za-z0-9_$.]*\).*/\1/p' "$1" | LC_ALL=C sort -u >"$work/used"
    {
        sed -e 's/17h[0-9a-f]\{16\}E.*/17h*/' -e 's/\.llvm\.[0-9]*$/*/' -e 's/Cs[0-9A-Za-z]*_/Cs*_/g' \
            -e 's/B[0-9A-Za-z]\{1,3\}_/B*_/g' -e 's/.*/*(.text*.&)/' "$work/used"
        LC_ALL=C join "$work/used" "$work/objects" | sed 's/^[^ ]* \(.*\)$/\1(.text .text.*)/'
    } | LC_ALL=C sort -u
}
{
    echo '/* Written by order.sh. */'
    echo 'SECTIONS { .text.used : {'
    sections "$1" | tee "$work/idle"
    sections "$2" | LC_ALL=C comm -23 - "$work/idle"
    echo '} } INSERT BEFORE .text;'
} >agent.ld
