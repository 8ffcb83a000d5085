//! What a deployment ends with, or its plan is refused for, and what is told of it until the next.

use super::case::{Stop, Warm};
use super::{installer, traefik};
use chatalot_tests::{Result, phase};

/// Its proxy, its containers, its steps.
pub(crate) const STOPS: &[Stop] = &[
    Stop {
        code: "REF_UNKNOWN",
        spoil: "true",
        flags: "--ref v9.9.9",
        heal: "true",
    },
    Stop {
        code: "CHECKOUT_DIRTY",
        spoil: "echo '# mine' >>/srv/chatalot/docker-compose.yml",
        flags: "--ref v0.17.0",
        heal: "git -C /srv/chatalot checkout --quiet docker-compose.yml",
    },
    Stop {
        code: "FIREWALL_REFUSED",
        spoil: "ufw --force enable && mount --bind /etc/ufw/user.rules /etc/ufw/user.rules && mount -o remount,ro,bind /etc/ufw/user.rules",
        flags: "",
        heal: "umount /etc/ufw/user.rules && ufw --force disable",
    },
    Stop {
        code: "CADDY_INVALID",
        spoil: "echo 'nonsense {' >/etc/caddy/conf.d/other.caddy && cd /etc/caddy/conf.d && cp -a causes.example.com.caddy /root/site.caddy \
                && sed -i s/127.0.0.1:8080/127.0.0.1:9/ causes.example.com.caddy",
        flags: "",
        heal: "rm /etc/caddy/conf.d/other.caddy && cat /root/site.caddy >/etc/caddy/conf.d/causes.example.com.caddy",
    },
    Stop {
        code: "CADDY_RELOAD_FAILED",
        spoil: "mkdir -p /run/systemd/system/caddy.service.d \
                && printf '[Service]\\nExecReload=\\nExecReload=/bin/false\\n' >/run/systemd/system/caddy.service.d/reload.conf \
                && systemctl daemon-reload && sed -i s/127.0.0.1:8080/127.0.0.1:9/ /etc/caddy/conf.d/causes.example.com.caddy",
        flags: "",
        heal: "rm -r /run/systemd/system/caddy.service.d && systemctl daemon-reload \
               && cat /root/site.caddy >/etc/caddy/conf.d/causes.example.com.caddy && systemctl reload caddy",
    },
    Stop {
        code: "INSTALLER_KEPT_ENV",
        spoil: "true",
        flags: "--registration open",
        heal: "true",
    },
    Stop {
        code: "COMPOSE_INVALID",
        spoil: "printf 'services:\\n  postgres:\\n    networks: [nowhere]\\n' >/srv/chatalot/docker-compose.override.yml",
        flags: "--loopback-only",
        heal: "rm /srv/chatalot/docker-compose.override.yml",
    },
    Stop {
        code: "OVERRIDE_PORTS",
        spoil: "echo 'services: {}' >/srv/chatalot/docker-compose.override.yml",
        flags: "--loopback-only",
        heal: "rm /srv/chatalot/docker-compose.override.yml",
    },
    Stop {
        code: "DOCKER_GROUP_FAILED",
        spoil: "useradd bob && mount --bind /etc/group /etc/group",
        flags: "--docker-group bob",
        heal: "umount /etc/group",
    },
    Stop {
        code: "STEP_HAD_NO_EFFECT",
        spoil: "mount --bind /bin/true /usr/sbin/usermod",
        flags: "--docker-group bob",
        heal: "umount /usr/sbin/usermod",
    },
    Stop {
        code: "STEP_DID_NOT_FINISH",
        spoil: "printf '#!/bin/sh\\nsystemctl kill -s KILL \"chatalot-step-*\"\\nexec sleep 60\\n' >/root/killed && chmod 755 /root/killed \
                && mount --bind /root/killed /usr/sbin/usermod",
        flags: "--docker-group bob",
        heal: "umount /usr/sbin/usermod",
    },
];

/// The package manager, once something has to be installed again.
pub(crate) const PACKAGES: &[Stop] = &[
    Stop {
        code: "PACKAGES_FAILED",
        spoil: "dpkg -r --force-depends curl && echo garbage >/etc/apt/apt.conf.d/99garbage",
        flags: "",
        heal: "rm /etc/apt/apt.conf.d/99garbage",
    },
    Stop {
        code: "PACKAGE_UNKNOWN",
        spoil: "mv /etc/apt/sources.list.d/debian.sources /root/ && mv /var/lib/apt/lists /root/lists && mkdir /var/lib/apt/lists",
        flags: "",
        heal: "mv /root/debian.sources /etc/apt/sources.list.d/",
    },
    // Without lists of before, what is not signed by a known key cannot be installed from.
    Stop {
        code: "PACKAGES_UNSIGNED",
        spoil: "sed -i.bak 's,^Signed-By:.*,Signed-By: /usr/share/keyrings/debian-archive-removed-keys.gpg,' \
                /etc/apt/sources.list.d/debian.sources",
        flags: "",
        heal: "cd /etc/apt/sources.list.d && mv debian.sources.bak debian.sources \
               && rm -r /var/lib/apt/lists && mv /root/lists /var/lib/apt/lists",
    },
    Stop {
        code: "PACKAGES_UNREACHABLE",
        spoil: "echo 'Acquire::Retries \"0\";' >/etc/apt/apt.conf.d/99once \
                && sed -i.bak 's,^URIs:.*,URIs: http://127.0.0.1:9/debian,' /etc/apt/sources.list.d/debian.sources",
        flags: "",
        heal: "rm /etc/apt/apt.conf.d/99once && cd /etc/apt/sources.list.d && mv debian.sources.bak debian.sources",
    },
    Stop {
        code: "PACKAGES_CONFLICT",
        spoil: "mkdir -p /root/squatter/DEBIAN /root/squatter/usr/bin && cd /root && cp /bin/true squatter/usr/bin/curl \
                && printf 'Package: squatter\\nVersion: 1\\nArchitecture: all\\n\
                Maintainer: nobody <nobody@example.com>\\nDescription: squatter\\n' >squatter/DEBIAN/control \
                && dpkg-deb -b squatter squatter.deb && dpkg -i squatter.deb",
        flags: "",
        heal: "dpkg -P squatter",
    },
    Stop {
        code: "APT_LOCKED",
        spoil: "systemd-run --quiet --unit=another perl -e 'use Fcntl; open F, \">>\", \"/var/cache/apt/archives/lock\" or die; \
                my $lock = pack(\"s s x4 q q i x4\", F_WRLCK, 0, 0, 0, 0); fcntl(F, F_SETLK, $lock) or die; \
                open G, \">\", \"/root/held\"; close G; sleep 600' && timeout 10 sh -c 'until [ -e /root/held ]; do sleep 0.1; done'",
        flags: "",
        heal: "systemctl stop another",
    },
    Stop {
        code: "PACKAGES_BROKEN",
        spoil: "mkdir -p /root/needy/DEBIAN && cd /root \
                && printf 'Package: needy\\nVersion: 1\\nArchitecture: all\\nDepends: nowhere-to-be-had\\n\
                Maintainer: nobody <nobody@example.com>\\nDescription: needy\\n' >needy/DEBIAN/control \
                && dpkg-deb -b needy needy.deb && dpkg -i --force-depends needy.deb",
        flags: "",
        heal: "dpkg -P --force-all needy",
    },
];

/// What the plan is refused for, before anything is done.
pub(crate) const BARRED: &[Stop] = &[
    Stop {
        code: "REMOTE_DIFFERS",
        spoil: "git -C /srv/chatalot remote set-url origin https://forge.example.net/other.git",
        flags: "",
        heal: "git -C /srv/chatalot remote set-url origin https://forge.example.net/chatalot.git",
    },
    Stop {
        code: "FOLDER_TAKEN",
        spoil: "mv /srv/chatalot/.git /root/git",
        flags: "",
        heal: "mv /root/git /srv/chatalot/.git",
    },
    Stop {
        code: "ACME_DIRECTORY_ODD",
        spoil: "true",
        flags: "--acme https://acme.example.net:14000/{env.SECRET}",
        heal: "true",
    },
    Stop {
        code: "LOGIN_UNKNOWN",
        spoil: "true",
        flags: "--docker-group nobody-of-that-name",
        heal: "true",
    },
    Stop {
        code: "PROXY_ADOPTABLE",
        spoil: "true",
        flags: "--proxy nginx",
        heal: "true",
    },
    Stop {
        code: "DATABASE_WITHOUT_ENV",
        spoil: "cd /srv/chatalot && docker compose down -t 2 && rm .env",
        flags: "",
        heal: "cd /srv/chatalot && cp -a /root/env .env && docker compose up -d \
               && until curl -sf -m 5 -o /dev/null http://127.0.0.1:8080/api/health; do sleep 0.5; done",
    },
];

/// nginx in Caddy's place, and certbot.
pub(crate) const NGINX: &[Stop] = &[
    Stop {
        code: "CERTBOT_TIMER_FAILED",
        spoil: "systemctl stop caddy && systemctl mask certbot.timer",
        flags: "--proxy nginx",
        heal: "systemctl unmask certbot.timer",
    },
    Stop {
        code: "ACME_DIRECTORY_UNTRUSTED",
        spoil: "cp /usr/local/share/ca-certificates/sandbox.crt /root/ && rm /usr/local/share/ca-certificates/sandbox.crt \
                && update-ca-certificates --fresh >/dev/null",
        flags: "--proxy nginx",
        heal: "cp /root/sandbox.crt /usr/local/share/ca-certificates/ && update-ca-certificates >/dev/null",
    },
    Stop {
        code: "CERTBOT_FAILED",
        spoil: "echo 'nonsense = yes' >>/etc/letsencrypt/cli.ini",
        flags: "--proxy nginx",
        heal: "sed -i /nonsense/d /etc/letsencrypt/cli.ini",
    },
    Stop {
        code: "NGINX_INVALID",
        spoil: "echo 'nonsense;' >/etc/nginx/conf.d/nonsense.conf",
        flags: "--proxy nginx",
        heal: "rm /etc/nginx/conf.d/nonsense.conf",
    },
    Stop {
        code: "NGINX_RELOAD_FAILED",
        spoil: "mkdir -p /run/systemd/system/nginx.service.d \
                && printf '[Service]\\nExecReload=\\nExecReload=/bin/false\\n' >/run/systemd/system/nginx.service.d/reload.conf \
                && systemctl daemon-reload",
        flags: "--proxy nginx",
        heal: "rm -r /run/systemd/system/nginx.service.d && systemctl daemon-reload",
    },
];

/// The plan for an nginx that reads other folders, its http block written in a way of its own.
pub(crate) const NGINX_BARRED: &[Stop] = &[Stop {
    code: "NGINX_WITHOUT_CONF_D",
    spoil: "sed -i.bak -e s,conf.d/,nowhere/, -e 's/^http {/http\\n{/' /etc/nginx/nginx.conf",
    flags: "--proxy nginx",
    heal: "mv /etc/nginx/nginx.conf.bak /etc/nginx/nginx.conf && systemctl disable --now nginx && systemctl start caddy",
}];

/// What a deployment ends with that is told as something else once it is asked again: as why the proxy is not reached.
pub(crate) const UNSERVED: &[Stop] = &[Stop {
    code: "PROXY_NOT_SERVING",
    spoil: "iptables -I INPUT -p tcp --dport 443 -j REJECT --reject-with tcp-reset",
    flags: "",
    heal: "iptables -D INPUT -p tcp --dport 443 -j REJECT --reject-with tcp-reset",
}];

/// All of them, and a good deployment at the end, which heals what is left.
pub(crate) fn each_is_told(warm: &Warm) -> Result<()> {
    phase("plans", || warm.bar(BARRED))?;
    phase("deployments", || warm.stop(STOPS))?;
    phase("the proxy", || warm.bar(UNSERVED))?;
    phase("the installer", || warm.stop(installer::STOPS))?;
    phase("traefik", || traefik::each_is_told(warm))?;
    phase("packages", || warm.stop(PACKAGES))?;
    phase("nginx", || warm.stop(NGINX).and_then(|()| warm.bar(NGINX_BARRED)))?;
    phase("all is well", || warm.deploy("")?.ok())?;
    warm.well();
    Ok(())
}

/// Every one of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Stop> {
    [
        BARRED,
        STOPS,
        UNSERVED,
        installer::STOPS,
        PACKAGES,
        NGINX,
        NGINX_BARRED,
    ]
    .into_iter()
    .flatten()
    .chain(traefik::all())
}
