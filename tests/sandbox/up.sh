#!/bin/sh
# Brings the sandbox up: images, the network, and the container that is the internet. Idempotent.
#
#   up.sh [--all]   with the images of the other systems, and Docker's packages
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/sandbox/lib.sh
. "$here/lib.sh"

# One at a time on this machine, whichever checkout it comes from.
exec 9>"${TMPDIR:-/tmp}/chatalot-sandbox.lock"
flock 9

network_up() {
    docker network inspect "$network" >/dev/null 2>&1 && return
    # The route to our subnet must not swallow what this machine itself reaches at addresses of the same range.
    taken=$(getent ahostsv4 deb.debian.org static.crates.io index.crates.io \
        | grep -E '^203\.0\.113\.([0-9]|[1-5][0-9]|6[0-3])( |$)' || true)
    [ -z "$taken" ] || die "this machine uses addresses in $subnet itself: $taken"
    say "network: $subnet"
    docker network create --subnet "$subnet" --gateway 203.0.113.1 --label "$label=network" "$network" >/dev/null
}

internet_up() {
    wanted=$(docker image inspect -f '{{.Id}}' chatalot-sandbox/internet)
    running=$(docker inspect -f '{{if .State.Running}}{{.Image}}{{end}}' "$internet" 2>/dev/null || true)
    [ "$running" = "$wanted" ] && return
    say "internet: starting"
    docker rm -fv "$internet" >/dev/null 2>&1 || true
    docker run -d --init --name "$internet" --hostname internet --network "$network" --ip 203.0.113.2 --cap-add NET_ADMIN \
        -v chatalot-sandbox-registry:/srv/registry -v chatalot-sandbox-mirror:/srv/mirror \
        -p 127.0.0.1::5000 -e "SANDBOX_MIRROR=$(mirror)" chatalot-sandbox/internet >/dev/null
}

answers() {
    docker exec "$internet" sh -c '
        curl -sf --cacert /srv/tls/ca.crt https://acme.example.net:14000/dir --resolve acme.example.net:14000:203.0.113.2 &&
        curl -sf --cacert /srv/tls/ca.crt https://forge.example.net/chatalot.git/HEAD --resolve forge.example.net:443:203.0.113.2 &&
        curl -sf http://127.0.0.1:5000/v2/' >/dev/null 2>&1
}

wait_for_internet() {
    deadline=$(($(date +%s) + 30))
    until answers; do
        [ "$(docker inspect -f "{{.State.Running}}" "$internet")" = true ] || deadline=0
        [ "$(date +%s)" -lt "$deadline" ] || { docker logs --tail 40 "$internet" >&2; die "the internet did not come up"; }
        sleep 0.2
    done
}

# Over loopback, where the engine wants no certificate; the VPSes pull the same images over TLS.
publish() { # image name:tag
    id=$(docker image inspect -f '{{.Id}}' "chatalot-sandbox/$1")
    docker exec "$internet" grep -qsx "$id" "/srv/registry/published-$1" && return
    say "registry: publishing $2"
    here_it_is="$(docker port "$internet" 5000/tcp | head -n 1)/chatalot/$2"
    docker tag "chatalot-sandbox/$1" "$here_it_is"
    quietly "push-$1" docker push "$here_it_is"
    docker rmi "$here_it_is" >/dev/null
    docker exec "$internet" sh -c "echo $id >/srv/registry/published-$1"
}

# The mirror of Docker's packages, where the internet serves it from.
publish_mirror() {
    id=$(docker image inspect -f '{{.Id}}' chatalot-sandbox/docker-mirror)
    docker exec "$internet" grep -qsx "$id" /srv/docker-mirror/published && return
    say "mirror: publishing Docker's packages"
    docker run --rm chatalot-sandbox/docker-mirror | docker exec -i "$internet" sh -c \
        "rm -rf /srv/docker-mirror && mkdir /srv/docker-mirror && tar -C /srv/docker-mirror -x && echo $id >/srv/docker-mirror/published"
}

"$here/build.sh" "$@"
network_up
internet_up
wait_for_internet
publish server server:0.24.0
publish postgres postgres:17
publish turn turn:0.24.0
publish tunnel tunnel:0.24.0
publish traefik traefik:3.7.15
publish traefik-old traefik:3.5.3
[ "${1-}" != --all ] || publish_mirror
say "up"
