#!/bin/sh
# Puts the chatalot agent onto this host: fetches it, verifies it, and lets it install itself.
#
#   sh bootstrap.sh --standalone [--url URL --sha256 HEX]     without a controller
#   (a controller serves this file with its own last line)    with one
#
# Does nothing without explicit arguments, so that a file cut short does nothing either.
set -eu

say() { printf '%s\n' "chatalot: $*"; }
fail() { printf '%s\n' "chatalot: $1" "  wanted: $2" "  fix:    $3" >&2; exit 1; }

judge_host() {
    [ "$(id -u)" -eq 0 ] ||
        fail "this is user $(id -un), not root" "root" "become root (su -, or put sudo before sh) and run the line again"
    [ -d /run/systemd/system ] ||
        fail "the first process is not systemd" "systemd" "use Debian 13 or Ubuntu 24.04"
    case "$(uname -m)" in
        x86_64 | amd64) arch=x86_64 ;;
        aarch64 | arm64) arch=aarch64 ;;
        *) fail "a processor of kind $(uname -m)" "x86_64 or aarch64" "use another host" ;;
    esac
    command -v sha256sum >/dev/null || fail "no sha256sum" "coreutils" "install the package coreutils"
}

need_curl() {
    command -v curl >/dev/null || fail "no curl" "curl" "install the package curl and run the line again"
}

verify() { # FILE HEX
    seen=$(sha256sum "$1" | cut -d ' ' -f 1)
    [ "$seen" = "$2" ] ||
        fail "an agent with SHA-256 $seen" "$2" "run the line again; if it stays so, somebody is in between"
}

main() {
    controller='' pin='' url='' sha256='' sha256_x86_64='' sha256_aarch64='' standalone=''
    [ $# -gt 0 ] || fail "no arguments" "--controller … or --standalone" "run the whole line that chatalotctl has printed"
    while [ $# -gt 0 ]; do
        case "$1" in
            --standalone) standalone=yes; shift; continue ;;
            --controller | --pin | --url | --sha256 | --sha256-x86_64 | --sha256-aarch64) ;;
            *) fail "an argument $1" "one of those above" "run the line as it was printed" ;;
        esac
        [ $# -ge 2 ] || fail "nothing after $1" "a value" "run the line as it was printed"
        case "$1" in
            --controller) controller=$2 ;;
            --pin) pin=$2 ;;
            --url) url=$2 ;;
            --sha256) sha256=$2 ;;
            --sha256-x86_64) sha256_x86_64=$2 ;;
            --sha256-aarch64) sha256_aarch64=$2 ;;
        esac
        shift 2
    done
    judge_host
    work=$(mktemp -d /usr/local/lib/chatalot.XXXXXX) # the folder for temporary files may forbid programs
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM HUP
    agent=$work/chatalot-agent
    if [ -n "$standalone" ]; then
        fetch_standalone
        set -- install --standalone
    else
        fetch_from_controller
        set -- install --controller "$controller"
    fi
    chmod 0755 "$agent"
    "$agent" "$@"
}

fetch_standalone() {
    if [ -n "$url" ]; then
        [ -n "$sha256" ] || fail "--url without --sha256" "both" "add --sha256 with the published SHA-256"
        need_curl
        say "fetching $url"
        curl --proto '=https' --tlsv1.2 -fsS "$url" -o "$agent" ||
            fail "$url cannot be fetched" "an https address that answers" "check the address and the network"
        verify "$agent" "$sha256"
    else
        beside=$(dirname "$0")/chatalot-agent
        [ -f "$beside" ] || fail "no file $beside" "the agent beside this script, or --url" "put it there, or add --url and --sha256"
        cp "$beside" "$agent"
        [ -z "$sha256" ] || verify "$agent" "$sha256"
    fi
}

fetch_from_controller() {
    if [ -z "$controller" ] || [ -z "$pin" ]; then
        fail "no controller or no pin" "both" "run the whole line that chatalotctl has printed"
    fi
    case "$arch" in
        x86_64) sha256=$sha256_x86_64 ;;
        aarch64) sha256=$sha256_aarch64 ;;
    esac
    [ -n "$sha256" ] || fail "the controller has no agent for $arch" "one" "give it one with: chatalotctl serve --agent-binary"
    need_curl
    say "fetching the agent from $controller"
    curl --proto '=https' --tlsv1.3 --http1.1 -fsSk --pinnedpubkey "$pin" "https://$controller/agent/$arch" -o "$agent" ||
        fail "the agent cannot be fetched from $controller" "an answer under the pinned key" "check that the controller runs and can be reached from here"
    verify "$agent" "$sha256"
}

main "$@"
