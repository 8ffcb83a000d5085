//! The containers, and who else is in their way.

use super::case::Case;

/// Who is in their way.
pub(crate) const IN_THE_WAY: &[Case] = &[
    Case {
        code: "CONTAINER_NAME_TAKEN",
        spoil: "docker rename chatalot-turn ours && docker create --name chatalot-turn registry.example.net/chatalot/server:0.24.0",
        heal: "docker rm chatalot-turn && docker rename ours chatalot-turn",
    },
    Case {
        code: "PORT_TAKEN",
        spoil: "docker stop -t 2 chatalot-server && systemd-run --quiet --unit=thief perl -e 'use IO::Socket::INET; \
                $s = IO::Socket::INET->new(LocalPort => 8080, Listen => 1, ReuseAddr => 1) or die; \
                while ($c = $s->accept) { close $c }'",
        heal: "systemctl stop thief && docker start chatalot-server",
    },
];

/// What becomes of themselves.
pub(crate) const CASES: &[Case] = &[
    Case {
        code: "DATABASE_DOWN",
        spoil: "docker kill chatalot-db",
        heal: "docker start chatalot-db",
    },
    Case {
        code: "DATABASE_DOWN",
        spoil: "docker pause chatalot-db",
        heal: "docker unpause chatalot-db",
    },
    // One that runs and is not well.
    Case {
        code: "DATABASE_DOWN",
        spoil: "cd /srv/chatalot && printf '%s\n' 'services:' '  postgres:' '    healthcheck:' '      test: [CMD, \"false\"]' \
                '      interval: 1s' '      retries: 1' >docker-compose.override.yml && docker compose up -d -t 2 postgres",
        heal: "cd /srv/chatalot && rm docker-compose.override.yml && docker compose up -d -t 2 postgres",
    },
    Case {
        code: "CONTAINERS_DOWN",
        spoil: "cd /srv/chatalot && printf '%s\n' 'services:' '  chatalot-updater:' '    healthcheck:' '      test: [CMD, \"false\"]' \
                '      interval: 1s' '      retries: 1' >docker-compose.override.yml && docker compose up -d -t 2 chatalot-updater",
        heal: "cd /srv/chatalot && rm docker-compose.override.yml && docker compose up -d -t 2 chatalot-updater",
    },
    // One more container of the project, which outgrows its limit.
    Case {
        code: "CONTAINER_OUT_OF_MEMORY",
        spoil: "docker run -d --name hog --memory 32m --memory-swap 32m --label com.docker.compose.project=chatalot \
                --label com.docker.compose.service=hog --label com.docker.compose.project.working_dir=/srv/chatalot \
                --entrypoint tail registry.example.net/chatalot/postgres:17 /dev/zero",
        heal: "docker rm -f hog",
    },
    // Another one, which fills its disk.
    Case {
        code: "DISK_FULL",
        spoil: "docker run -d --name full --tmpfs /full:size=64k --label com.docker.compose.project=chatalot \
                --label com.docker.compose.service=full --label com.docker.compose.project.working_dir=/srv/chatalot \
                --entrypoint cp registry.example.net/chatalot/postgres:17 /proc/kallsyms /full",
        heal: "docker rm -f full",
    },
    Case {
        code: "CONTAINER_CRASHING",
        spoil: "docker stop -t 2 chatalot-server && docker exec chatalot-db psql -q -U chatalot -d postgres \
                -c 'ALTER DATABASE chatalot RENAME TO elsewhere' && docker start chatalot-server",
        heal: "docker exec chatalot-db psql -q -U chatalot -d postgres -c 'ALTER DATABASE elsewhere RENAME TO chatalot' \
               && docker restart -t 2 chatalot-server",
    },
    Case {
        code: "CONTAINER_KILLED",
        spoil: "docker kill chatalot-server",
        heal: "docker start chatalot-server",
    },
    Case {
        code: "CONTAINERS_DOWN",
        spoil: "docker stop -t 2 chatalot-server",
        heal: "docker start chatalot-server",
    },
    Case {
        code: "RESTART_POLICY",
        spoil: "docker update --restart=no chatalot-server",
        heal: "docker update --restart=unless-stopped chatalot-server",
    },
    Case {
        code: "BOOT_NOT_ENABLED",
        spoil: "systemctl disable --quiet docker.service",
        heal: "systemctl enable --quiet docker.service",
    },
];
