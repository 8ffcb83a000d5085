//! A real Traefik in Caddy's place: what it lacks, and what becomes of our labels.

use super::case::{Stop, Warm};
use chatalot_tests::{Result, phase};

const IMAGE: &str = "registry.example.net/chatalot/traefik";

/// What a plan is refused for.
pub(crate) const BARRED: &[Stop] = &[
    Stop {
        code: "TRAEFIK_NOT_RUNNING",
        spoil: "true",
        flags: "--proxy traefik",
        heal: "true",
    },
    Stop {
        code: "TRAEFIK_WITHOUT_DOCKER",
        spoil: "traefik v3.7.15 --entrypoints.websecure.address=:443",
        flags: "--proxy traefik",
        heal: "docker rm -f edge",
    },
    Stop {
        code: "TRAEFIK_WITHOUT_HTTPS",
        spoil: "traefik v3.7.15 --providers.docker",
        flags: "--proxy traefik",
        heal: "docker rm -f edge",
    },
    Stop {
        code: "TRAEFIK_WITHOUT_RESOLVER",
        spoil: "traefik v3.7.15 --providers.docker --entrypoints.websecure.address=:443",
        flags: "--proxy traefik",
        heal: "docker rm -f edge",
    },
    Stop {
        code: "TRAEFIK_ON_BRIDGE",
        spoil: "NETWORK=bridge traefik v3.7.15 --providers.docker --entrypoints.websecure.address=:443 \
                --certificatesresolvers.le.acme.tlschallenge",
        flags: "--proxy traefik",
        heal: "docker rm -f edge",
    },
    // An Engine that speaks no older API than those of today do, and a Traefik of before that.
    Stop {
        code: "TRAEFIK_ENGINE_MISMATCH",
        spoil: "mkdir -p /run/systemd/system/docker.service.d \
                && printf '[Service]\\nEnvironment=DOCKER_MIN_API_VERSION=1.44\\n' >/run/systemd/system/docker.service.d/api.conf \
                && systemctl daemon-reload && systemctl restart docker \
                && traefik v3.5.3 --providers.docker --entrypoints.websecure.address=:443 \
                --certificatesresolvers.le.acme.tlschallenge \
                && timeout 30 sh -c 'until docker logs edge 2>&1 | grep \"client version 1.24 is too old\"; do sleep 0.2; done'",
        flags: "--proxy traefik",
        heal: "rm /run/systemd/system/docker.service.d/api.conf && systemctl daemon-reload && docker rm -f edge \
               && systemctl restart docker \
               && until curl -sf -m 5 -o /dev/null http://127.0.0.1:8080/api/health; do sleep 0.5; done",
    },
];

/// What a deployment ends with, once it is a Traefik that the site can be put behind.
pub(crate) const STOPS: &[Stop] = &[
    Stop {
        code: "OVERRIDE_UNREADABLE",
        spoil: "PUBLISH='-p 80:80 -p 443:443' traefik v3.7.15 --providers.docker --providers.docker.exposedbydefault=false \
                --entrypoints.websecure.address=:443 --certificatesresolvers.le.acme.tlschallenge \
                && echo 'services: {postgres: {shm_size: 128m}}' >/srv/chatalot/docker-compose.override.yml",
        flags: "--proxy traefik",
        heal: "rm /srv/chatalot/docker-compose.override.yml",
    },
    Stop {
        code: "COMPOSE_UP_FAILED",
        spoil: "printf '%s\\n' 'services:' '  chatalot:' '    devices: [\"/dev/nowhere:/dev/nowhere\"]' \
                >/srv/chatalot/docker-compose.override.yml",
        flags: "--proxy traefik",
        heal: "docker rm -f edge && cd /srv/chatalot && rm docker-compose.override.yml && docker compose up -d",
    },
];

/// Runs one of these Traefiks with its arguments, beside the Engine's socket, in a network of its own or another one.
const TRAEFIK: &str = "#!/bin/sh\nset -eu\nversion=$1\nshift\n\
    docker run -d --name edge --network \"${NETWORK:-edge}\" ${PUBLISH:-} -v /var/run/docker.sock:/var/run/docker.sock:ro \
    \"traefik:$version\" \"$@\"\n";

pub(crate) fn each_is_told(warm: &Warm) -> Result<()> {
    let vps = &warm.vps;
    phase("a Traefik's images", || {
        vps.write("/usr/local/bin/traefik", TRAEFIK.as_bytes(), 0o755)?;
        for version in ["3.7.15", "3.5.3"] {
            vps.must(&format!(
                "docker pull -q {IMAGE}:{version} && docker tag {IMAGE}:{version} traefik:v{version}"
            ))?;
        }
        vps.must("docker network create edge && systemctl stop caddy")
    })?;
    warm.bar(BARRED)?;
    warm.stop(STOPS)?;
    vps.must("rm /usr/local/bin/traefik && systemctl start caddy")?;
    Ok(())
}

/// Every one of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Stop> {
    BARRED.iter().chain(STOPS)
}
