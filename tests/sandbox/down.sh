#!/bin/sh
# Removes the sandbox's containers and network; with --all its images and volumes too.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/sandbox/lib.sh
. "$here/lib.sh"
docker ps -aq --filter "label=$label" | xargs -r docker rm -fv >/dev/null
docker rm -fv "$internet" >/dev/null 2>&1 || true
docker network rm "$network" >/dev/null 2>&1 || true
if [ "${1:-}" = --all ]; then
    docker volume ls -q --filter name=chatalot-sandbox | xargs -r docker volume rm >/dev/null
    docker images --format '{{.Repository}}:{{.Tag}}' --filter "reference=chatalot-sandbox/*" | xargs -r docker rmi -f >/dev/null
    # What earlier recipes left; every image of ours inherits the label from the base.
    docker image prune -f --filter "label=$label" >/dev/null
fi
say "down"
