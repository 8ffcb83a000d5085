# shellcheck shell=sh disable=SC2034,SC2154
# Shared by the scripts beside it; the caller sets $here (this folder).
# Everything made by the sandbox is named chatalot-sandbox…, so that it can be told from what is not ours.
root=$(cd "$here/../.." && pwd)
cache="$root/.cache/sandbox"
label=chatalot-sandbox.recipe
network=chatalot-sandbox
internet=chatalot-sandbox-internet
# A quarter of a documentation range, so that it counts as public; see README.md for why not all of it.
subnet=203.0.113.0/26
mkdir -p "$cache"

say() { printf 'sandbox: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -E "$@"; fi; }

# The Debian mirror that this machine itself uses, or Debian's own.
mirror() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null \
        | sed -n 's/^\(URIs:\|deb\( \[[^]]*\]\)\?\) \+\(https\?:[^ ]*\/debian\)\/\?\( .*\)\?$/\3/p' \
        | head -n 1 | grep . || echo http://deb.debian.org/debian
}

# A hash over files and folders: same hash, same image.
recipe() {
    (cd "$root" && find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16)
}

image_is() { # image hash
    [ "$(docker image inspect -f "{{index .Config.Labels \"$label\"}}" "$1" 2>/dev/null)" = "$2" ]
}

# Runs a noisy command; its output is shown only when it fails.
quietly() { # log command…
    log="$cache/$1.log"
    shift
    "$@" >"$log" 2>&1 || { tail -n 40 "$log" >&2; die "failed: $*"; }
}
