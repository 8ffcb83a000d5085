#!/bin/sh
# Writes agent.ld, which lays what a running agent uses side by side in the program: `sh packaging/order.sh CALLGRIND…`.
#
# The kernel maps a program in pieces of 64 KiB. Where what is used lies scattered, nearly all of a program gets resident
# for the sake of a third of it. CALLGRIND is what `valgrind --tool=callgrind --demangle=no chatalot-agent run` has written
# about an unstripped agent (CARGO_PROFILE_SHIP_STRIP=none) that was started on a host with a site, joined, watched it for
# a few minutes, and ended. Names carry a hash of what they were built from; it is left out, so that the list stays of use
# when dependencies change. A name that is no longer there does nothing, one that is missing costs memory and nothing else.
set -eu
cd "$(dirname "$0")"
{
    echo '/* Written by order.sh. */'
    echo 'SECTIONS { .text.used : {'
    sed -n 's/^c\{0,1\}fn=([0-9]*) \([A-Za-z_][A-Za-z0-9_$.]*\).*/\1/p' "$@" |
        sed -e 's/17h[0-9a-f]\{16\}E.*/17h*/' -e 's/\.llvm\.[0-9]*$/*/' -e 's/Cs[0-9A-Za-z]*_/Cs*_/g' -e 's/.*/*(.text*.&)/' |
        LC_ALL=C sort -u
    echo '} } INSERT BEFORE .text;'
} >agent.ld
