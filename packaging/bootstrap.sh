#!/bin/sh
# Puts the chatalot agent onto this host: fetches it, verifies it, and lets it install itself.
#
#   sh bootstrap.sh --standalone [--url URL --sha256 HEX]     without a controller
#   (a controller serves this file with its own last line)    with one
#
# A file cut short does nothing: only its last line does anything, and nothing without explicit arguments.
# What the host joins with comes in the environment, as CHATALOT_JOIN, and is the agent's business alone: a token, or only
# a pin, and then the agent shows six words and waits until they are approved at the controller.

say() { printf '%s\n' "chatalot: $*"; }
fail() { printf '%s\n' "chatalot: $1" "  wanted: $2" "  fix:    $3" >&2; exit 1; }

main() {
    set -eu
    umask 022
    controller='' pin='' url='' sha256='' sha256_x86_64='' sha256_aarch64='' standalone=''
    parse "$@"
    judge_host
    judge_arguments
    work=''
    trap '[ -z "$work" ] || rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM HUP PIPE
    new_folder
    agent=$work/chatalot-agent
    if [ -n "$controller" ]; then
        say "fetching the agent from $controller"
        fetch "https://$controller/agent/$arch" --tlsv1.3 --http1.1 -k --pinnedpubkey "$pin"
        set -- install --controller "$controller"
    else
        if [ -n "$url" ]; then say "fetching $url"; fetch "$url" --tlsv1.2; else cp "$beside" "$agent"; fi
        set -- install --standalone
    fi
    [ -z "$sha256" ] || verify
    judge_program
    chmod 0755 "$agent"
    trap '' HUP PIPE # a connection lost now does not stop the agent half-way
    code=0
    "$agent" "$@" || code=$?
    [ "$code" -ne 126 ] ||
        fail "programs in /usr/local are not run" "a folder without noexec" "mount -o remount,exec it and run the line again"
    exit "$code"
}

parse() {
    [ $# -gt 0 ] || fail "no arguments" "--standalone, or a controller's script" "run the whole line that chatalotctl has printed"
    while [ $# -gt 0 ]; do
        case "$1" in
            --standalone) standalone=yes; shift; continue ;;
            --controller | --pin | --url | --sha256 | --sha256-x86_64 | --sha256-aarch64) ;;
            *) fail "an unknown argument $1" "--standalone [--url URL --sha256 HEX]" "run the line as it was printed" ;;
        esac
        [ -n "${2-}" ] || fail "nothing after $1" "a value" "run the line as it was printed"
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
}

judge_host() {
    [ "$(id -u)" -eq 0 ] ||
        fail "this is user $(id -un), not root" "root" "become root first (su - or sudo -i) and run the whole line again"
    [ -d /run/systemd/system ] ||
        fail "the first process is not systemd" "systemd" "use a host with systemd, for example Debian 13"
    case "$(uname -m)" in
        x86_64 | amd64) arch=x86_64 machine=3e00 ;;
        aarch64 | arm64) arch=aarch64 machine=b700 ;;
        *) fail "a processor of kind $(uname -m)" "x86_64 or aarch64" "use another host" ;;
    esac
    for tool in sha256sum cut od tr; do
        command -v "$tool" >/dev/null || fail "no $tool" "coreutils" "install the package coreutils"
    done
}

judge_arguments() { # before anything is made or asked for
    if [ -n "$standalone" ]; then
        [ -z "$controller$pin" ] || fail "--standalone and a controller" "one of them" "run the line as it was printed"
        [ -z "$url" ] || [ -n "$sha256" ] ||
            fail "--url without --sha256" "both" "add --sha256 with the published SHA-256"
        beside=$(dirname "$0")/chatalot-agent
        [ -n "$url" ] || [ -f "$beside" ] ||
            fail "no file $beside" "the agent beside this script, or --url" "put it there, or add --url and --sha256"
    else
        if [ -z "$controller" ] || [ -z "$pin" ]; then
            fail "no controller or no pin" "both" "run the whole line that chatalotctl has printed"
        fi
        case "$controller" in
            *[!][0-9A-Za-z.:_-]*) fail "a controller $controller" "host:port" "run the line as it was printed" ;;
        esac
        case "$pin" in
            sha256//*) ;; # curl takes anything else for the name of a file
            *) fail "a pin $pin" "sha256//…" "run the line as it was printed" ;;
        esac
        if [ "$arch" = x86_64 ]; then sha256=$sha256_x86_64; else sha256=$sha256_aarch64; fi
        [ -n "$sha256" ] ||
            fail "the controller has no agent for $arch" "one" "give it one with: chatalotctl serve --agent-binary"
    fi
    case "$sha256" in
        *[!0-9a-f]*) fail "a SHA-256 $sha256" "64 digits, 0-9 and a-f" "copy it again" ;;
    esac
    [ -z "$sha256" ] || [ ${#sha256} -eq 64 ] ||
        fail "a SHA-256 of ${#sha256} digits" "64" "copy all of it"
    [ -z "$controller$url" ] || command -v curl >/dev/null ||
        fail "no curl" "curl" "apt-get update && apt-get install -y curl, then run the line again"
}

new_folder() { # where the agent will live: the folder for temporary files may forbid programs
    # What a run left that was killed outright.
    find /usr/local/lib -maxdepth 1 -name 'chatalot-bootstrap.??????' -mmin +60 -exec rm -rf {} + 2>/dev/null || :
    work=$(mktemp -d /usr/local/lib/chatalot-bootstrap.XXXXXX) ||
        fail "no folder can be made in /usr/local/lib" "one that can be written" "mend what mktemp says and run the line again"
}

fetch() { # URL CURL-OPTION…
    from=$1
    shift
    status=$(curl --proto '=https' -gfsS --connect-timeout 20 --speed-limit 1 --speed-time 60 "$@" \
        -w '%{http_code}' -o "$agent" --url "$from") ||
        fail "$from cannot be fetched" "an https address that answers, under the pinned key if there is one" \
            "check the address, and that it can be reached from here"
    [ "$status" = 200 ] ||
        fail "$from answers with $status" "200; redirects are not followed" "use the address that it leads to"
}

verify() {
    seen=$(sha256sum <"$agent" | cut -d ' ' -f 1)
    [ "$seen" = "$sha256" ] ||
        fail "an agent with SHA-256 $seen" "$sha256" "run the line again; if it stays so, somebody is in between"
}

judge_program() { # a shell would run what the kernel refuses as a script, an empty file with success
    case "$(od -An -tx1 -N20 "$agent" | tr -d ' \n')" in
        7f454c4602*"$machine") ;;
        *) fail "a file that is no program for $arch" "the agent for $arch" "copy all of the right one" ;;
    esac
}

main "$@"
