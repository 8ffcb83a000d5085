//! Voice and video, and the updater.

use super::case::Case;

pub(crate) const CASES: &[Case] = &[
    Case {
        code: "TURN_ADDRESS_PRIVATE",
        spoil: "sed -i 's/^TURN_EXTERNAL_IP=.*/TURN_EXTERNAL_IP=10.0.0.5/' /srv/chatalot/.env",
        // By the command that it names.
        heal: "chatalot-agent diagnose | sed -n 's/.*`\\(sed -i [^`]*\\)`.*/\\1/p' | sh && cmp /root/env /srv/chatalot/.env",
    },
    // What chatalot's own command does behind NAT: it binds an address that the host does not have.
    Case {
        code: "TURN_BEHIND_NAT",
        spoil: "cd /srv/chatalot && sed -i 's/^TURN_EXTERNAL_IP=.*/TURN_EXTERNAL_IP=198.51.100.7/' .env \
                && docker compose up -d -t 1 coturn",
        heal: "cd /srv/chatalot && cp -a /root/env .env && docker compose up -d -t 1 coturn",
    },
    Case {
        code: "TURN_NOT_LISTENING",
        spoil: "cd /srv/chatalot && printf '%s\\n' 'services:' '  coturn:' \
                '    command: [turnserver, -n, --log-file=stdout, --no-cli, --listening-port=13478, --no-tls, --no-dtls]' \
                >docker-compose.override.yml && docker compose up -d -t 1 coturn",
        heal: "cd /srv/chatalot && rm docker-compose.override.yml && docker compose up -d -t 1 coturn",
    },
    // An updater that was refused says so in its log, and no more once it was started anew with credentials.
    Case {
        code: "UPDATER_REGISTRY_DENIED",
        spoil: "cd /srv/chatalot && printf '%s\\n' 'services:' '  chatalot-updater:' \
                '    image: registry.example.net/chatalot/postgres:17' '    entrypoint: []' \
                '    volumes: [\"./secrets:/secrets:ro\"]' \
                '    command: [sh, -c, \"test -s /secrets/registry_creds || echo pull phase: 401 Unauthorized; exec sleep 600\"]' \
                >docker-compose.override.yml && docker compose up -d -t 1 chatalot-updater",
        heal: "cd /srv/chatalot && echo '{\"username\":\"reader\",\"password\":\"p\",\"serveraddress\":\"registry.example.net\"}' >secrets/registry_creds \
               && docker compose restart -t 1 chatalot-updater && ! chatalot-agent diagnose | grep -q UPDATER_REGISTRY_DENIED \
               && rm secrets/registry_creds docker-compose.override.yml && docker compose up -d -t 1 chatalot-updater",
    },
];
