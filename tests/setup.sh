#!/bin/sh
# Prepares a Debian machine that has a Rust toolchain for the tests: packages and a running Docker Engine.
# Run it as root or as someone who may use sudo. Running it again is quick and changes nothing.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
cache="$here/.cache"
packages="ca-certificates curl debootstrap shellcheck busybox-static dash iproute2 iptables strace openssh-client openssl git gcc g++ libc6-dev"

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -E "$@"; fi
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

install_packages() {
    missing=""
    for package in $packages; do installed "$package" || missing="$missing $package"; done
    if ! engine_answers && ! command -v dockerd >/dev/null; then missing="$missing docker.io"; fi
    python3 -m pip --version >/dev/null 2>&1 || missing="$missing python3-pip"
    if [ -z "$missing" ]; then say "packages: all there"; return; fi
    say "packages: installing$missing"
    root apt-get -q -o Acquire::Retries=3 update >"$cache/apt.log" 2>&1 || die "apt-get update failed, see $cache/apt.log"
    # shellcheck disable=SC2086 # a list of package names is meant to be split
    root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $missing \
        >>"$cache/apt.log" 2>&1 || die "apt-get install failed, see $cache/apt.log"
}

engine_answers() { root timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

wait_for_engine() {
    deadline=$(($(date +%s) + 60))
    until engine_answers; do
        [ "$(date +%s)" -lt "$deadline" ] || die "the engine did not answer within 60 s, see $cache/dockerd.log"
        sleep 0.2
    done
}

start_engine() {
    if engine_answers; then
        say "engine: $(root docker version --format '{{.Server.Version}}') answers"
        return
    fi
    if [ -d /run/systemd/system ]; then
        say "engine: starting by systemd"
        root systemctl start docker
    else
        say "engine: starting dockerd, log in $cache/dockerd.log"
        # A pid file left by a machine that was copied or cut off names a process that is not there.
        root rm -f /var/run/docker.pid /var/run/docker/containerd/containerd.pid
        root sh -c "setsid nohup dockerd >'$cache/dockerd.log' 2>&1 </dev/null &"
    fi
    wait_for_engine
    say "engine: $(root docker version --format '{{.Server.Version}}') answers"
}

[ -r /etc/debian_version ] || die "this script knows Debian and Ubuntu only"
mkdir -p "$cache"
install_packages
start_engine
command -v cargo >/dev/null || say "rust: cargo is not in PATH; install the toolchain of rust-toolchain.toml"
say "done"
