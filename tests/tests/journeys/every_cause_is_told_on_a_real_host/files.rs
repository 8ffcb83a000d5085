//! `.env`, `secrets/` and the database's password.

use super::case::Case;

pub(crate) const CASES: &[Case] = &[
    Case {
        code: "ENV_MISSING",
        spoil: "rm /srv/chatalot/.env",
        heal: "cp -a /root/env /srv/chatalot/.env",
    },
    Case {
        code: "SECRET_FILE_MISSING",
        spoil: "cd /srv/chatalot/secrets && cp -a jwt_private.pem /root/ && rm jwt_private.pem && docker restart -t 2 chatalot-server",
        heal: "true",
    },
    // A file that compose has put into the container by itself: started again without it, that ends with 127.
    Case {
        code: "SECRET_FILE_MISSING",
        spoil: "cp -a /root/jwt_private.pem /srv/chatalot/secrets/ && cd /srv/chatalot && printf '%s\n' 'services:' '  chatalot:' \
                '    secrets: [turn]' 'secrets:' '  turn:' '    file: ./secrets/turn_secret' >docker-compose.override.yml \
                && docker compose up -d -t 2 chatalot && mv secrets/turn_secret /root/ && ! docker restart -t 2 chatalot-server \
                && docker ps -a --filter name=chatalot-server --format '{{.Status}}' | grep -F 'Exited (127)'",
        heal: "cd /srv/chatalot && mv /root/turn_secret secrets/ && rm docker-compose.override.yml && docker compose up -d -t 2 chatalot",
    },
    Case {
        code: "SECRET_UNREADABLE",
        spoil: "cd /srv/chatalot/secrets && install -o root -g root -m 600 /root/jwt_private.pem jwt_private.pem \
                && docker restart -t 2 chatalot-server",
        heal: "true",
    },
    Case {
        code: "SECRET_DAMAGED",
        spoil: "cd /srv/chatalot/secrets && cp -a /root/jwt_private.pem . && : >jwt_private.pem && docker restart -t 2 chatalot-server",
        heal: "cp -a /root/jwt_private.pem /srv/chatalot/secrets/ && docker restart -t 2 chatalot-server",
    },
    Case {
        code: "DATABASE_PASSWORD",
        spoil: "docker exec chatalot-db psql -q -U chatalot -c \"ALTER USER chatalot PASSWORD 'of-another-day'\" \
                && docker restart -t 2 chatalot-server",
        heal: "docker exec chatalot-db psql -q -U chatalot \
                -c \"ALTER USER chatalot PASSWORD '$(sed -n 's/^DB_PASSWORD=//p' /srv/chatalot/.env)'\" \
               && docker restart -t 2 chatalot-server",
    },
];
