#!/bin/sh
# Placeholder: the bootstrap script takes its place.
set -eu

main() {
    [ $# -gt 0 ] || { echo "this script is served by a controller" >&2; exit 2; }
}

main "$@"
