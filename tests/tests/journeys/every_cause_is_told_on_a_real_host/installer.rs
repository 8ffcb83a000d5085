//! The checkout, the installer and what compose makes of it.

use super::case::Stop;

/// What a new deployment has to run the installer for.
const CHANGED: &str = "--registration open";

pub(crate) const STOPS: &[Stop] = &[
    Stop {
        code: "CHECKOUT_FAILED",
        spoil: "cd /srv/chatalot/.git && echo garbage >index",
        flags: "--ref v0.17.0",
        heal: "rm /srv/chatalot/.git/index && git -C /srv/chatalot reset --quiet",
    },
    Stop {
        code: "INSTALLER_TOO_OLD",
        spoil: "true",
        flags: "--ref v0.17.0",
        heal: "git -C /srv/chatalot checkout --quiet v0.24.0",
    },
    // One that wants more than the runbook knows of, as a newer one may.
    Stop {
        code: "INSTALLER_MISSING_FLAGS",
        spoil: "sed -i 's/^judge$/judge; refuse \"missing more flags: --accept-terms\"/' /srv/chatalot/scripts/install.sh",
        flags: CHANGED,
        heal: "git -C /srv/chatalot checkout --quiet -- scripts/install.sh",
    },
    Stop {
        code: "INSTALLER_FAILED",
        spoil: "mkdir -p /etc/chatalot-stand-in && echo installer_exit=1 >/etc/chatalot-stand-in/knobs",
        flags: CHANGED,
        heal: "rm /etc/chatalot-stand-in/knobs",
    },
    Stop {
        code: "INSTALLER_NO_SUMMARY",
        spoil: "echo installer_without_block=1 >/etc/chatalot-stand-in/knobs",
        flags: CHANGED,
        heal: "rm /etc/chatalot-stand-in/knobs",
    },
    // Its summary is of somebody else's installation.
    Stop {
        code: "INSTALLER_MISMATCH",
        spoil: "echo installer_forged_end=1 >/etc/chatalot-stand-in/knobs",
        flags: CHANGED,
        heal: "rm /etc/chatalot-stand-in/knobs",
    },
    Stop {
        code: "SECRET_FILE_MISSING",
        spoil: "cd /srv/chatalot && printf '%s\\n' 'services:' '  chatalot:' '    secrets: [key]' 'secrets:' '  key:' \
                '    file: ./secrets/nowhere.pem' >docker-compose.override.yml",
        flags: CHANGED,
        heal: "cd /srv/chatalot && rm docker-compose.override.yml && docker compose up -d",
    },
];
