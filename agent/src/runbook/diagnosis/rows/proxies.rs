//! What is between the world and chatalot, proxy by proxy.

use super::{ENDED, Row, TOLD};

pub(super) const ROWS: &[Row] = &[
    Row {
        code: "PROXY_ADOPTABLE",
        cause: "a proxy of one's own on ports 80 and 443, which the site could be put into",
        fix: "deploy with `--proxy` and its name, or stop it",
        ..TOLD
    },
    Row {
        code: "PROXY_DOMAIN_TAKEN",
        cause: "a site of somebody else's for this very domain",
        fix: "take that site out of the proxy's configuration, with a copy, then deploy again",
        ..TOLD
    },
    Row {
        code: "FIREWALL_DENIES",
        cause: "a rule of the host's firewall that shuts a port",
        fix: "remove that rule, then deploy again",
        ..TOLD
    },
    Row {
        code: "FIREWALL_REFUSED",
        cause: "a firewall of the host's that does not take the new rule",
        fix: "run the command by hand and mend what it names",
        ..ENDED
    },
    Row {
        code: "SELINUX_REFUSED",
        cause: "`SELinux` that does not take the new setting",
        fix: "run `setsebool -P httpd_can_network_connect 1` by hand and mend what it names",
        ..ENDED
    },
    Row {
        code: "ACME_DIRECTORY_UNTRUSTED",
        cause: "an authority's directory that the host does not trust",
        fix: "add the authority's root to the host's trust store",
        ..ENDED
    },
    Row {
        code: "CERTBOT_FAILED",
        cause: "a certificate that certbot does not get",
        fix: "mend what certbot's last lines name: DNS, port 80, its limits",
        ..ENDED
    },
    Row {
        code: "CERTBOT_TIMER_FAILED",
        cause: "certificates that nobody renews",
        fix: "run `systemctl enable --now` on certbot's timer",
        ..ENDED
    },
    Row {
        code: "NGINX_INVALID",
        cause: "a configuration that nginx refuses",
        fix: "run `nginx -t`, mend what it names, then deploy again",
        ..ENDED
    },
    Row {
        code: "NGINX_WITHOUT_CONF_D",
        cause: "an nginx that does not read conf.d",
        fix: "include conf.d in its http block, then deploy again",
        ..TOLD
    },
    Row {
        code: "TRAEFIK_NOT_RUNNING",
        cause: "no Traefik that runs",
        fix: "start it, or deploy with another proxy",
        ..TOLD
    },
    Row {
        code: "TRAEFIK_WITHOUT_DOCKER",
        cause: "a Traefik that does not look at containers",
        fix: "turn its docker provider on, or deploy with another proxy",
        ..TOLD
    },
    Row {
        code: "TRAEFIK_WITHOUT_HTTPS",
        cause: "a Traefik without an entrypoint for HTTPS",
        fix: "give it one on port 443, or deploy with another proxy",
        ..TOLD
    },
    Row {
        code: "TRAEFIK_ON_BRIDGE",
        cause: "a Traefik in the default network, where names are not known",
        fix: "give it a network of its own",
        ..TOLD
    },
    Row {
        code: "TRAEFIK_ENGINE_MISMATCH",
        cause: "a Traefik that does not speak with this Engine",
        fix: "upgrade Traefik to 3.6.1 or newer",
        ..TOLD
    },
    Row {
        code: "OVERRIDE_PORTS",
        cause: "an override file that chatalot's own port cannot be put into",
        fix: "give the service chatalot the ports by hand that the finding names, or close TCP 8080 in the provider's firewall",
        ..ENDED
    },
    Row {
        code: "OVERRIDE_UNREADABLE",
        cause: "an override file that cannot be merged into",
        fix: "mend the YAML of docker-compose.override.yml",
        ..ENDED
    },
    Row {
        code: "COMPOSE_INVALID",
        cause: "an override that compose refuses",
        fix: "run `docker compose config` in chatalot's folder and mend what it names",
        ..ENDED
    },
    Row {
        code: "TRAEFIK_WITHOUT_RESOLVER",
        cause: "a Traefik that gets no certificates",
        fix: "give it a certificate resolver, or deploy with another proxy",
        ..TOLD
    },
    Row {
        code: "NGINX_RELOAD_FAILED",
        cause: "an nginx that does not take up its configuration",
        fix: "look at its journal, mend what it names, then deploy again",
        ..ENDED
    },
];
