//! Names, the proxy and its certificate.

use super::case::{Case, DOMAIN, Warm};
use chatalot_tests::{Result, Sandbox, phase};
use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) const CASES: &[Case] = &[
    Case {
        code: "PROXY_DOWN",
        spoil: "systemctl stop caddy",
        heal: "systemctl start caddy",
    },
    // It takes connections, for the kernel does, and says nothing.
    Case {
        code: "PROXY_NO_ANSWER",
        spoil: "systemctl kill -s STOP caddy",
        heal: "systemctl kill -s CONT caddy",
    },
    Case {
        code: "PROXY_DOMAIN_TAKEN",
        spoil: "printf 'causes.example.com {\\n respond no\\n}\\n' >/etc/caddy/conf.d/other.caddy",
        heal: "rm /etc/caddy/conf.d/other.caddy",
    },
    Case {
        code: "HOST_DID_NOT_ANSWER",
        spoil: "mv /etc/caddy/Caddyfile /root/ && mkdir /etc/caddy/Caddyfile",
        heal: "rmdir /etc/caddy/Caddyfile && mv /root/Caddyfile /etc/caddy/",
    },
    Case {
        code: "PROXY_BAD_GATEWAY",
        spoil: "cd /etc/caddy/conf.d && cp -a causes.example.com.caddy /root/site.caddy \
                && sed -i s/127.0.0.1:8080/127.0.0.1:9/ causes.example.com.caddy && systemctl reload caddy",
        heal: "cat /root/site.caddy >/etc/caddy/conf.d/causes.example.com.caddy",
    },
    Case {
        code: "WEBSOCKET_NOT_FORWARDED",
        spoil: "sed -i 's|^\\tencode .*|&\\n\\trespond /ws \"no\" 400|' /etc/caddy/conf.d/causes.example.com.caddy \
                && systemctl reload caddy",
        heal: "cat /root/site.caddy >/etc/caddy/conf.d/causes.example.com.caddy",
    },
    Case {
        code: "PROXY_OTHER_CHATALOT",
        spoil: "sed -i 's|^\\tencode .*|&\\n\\theader /api/health Content-Type application/json\\n\\trespond /api/health \
                `{\"status\":\"ok\",\"version\":\"0.1.0\",\"uptime_secs\":1,\"db_healthy\":true}` 200|' \
                /etc/caddy/conf.d/causes.example.com.caddy && systemctl reload caddy",
        heal: "cat /root/site.caddy >/etc/caddy/conf.d/causes.example.com.caddy",
    },
    Case {
        code: "PROXY_WRONG_ANSWER",
        spoil: "sed -i 's|^\\tencode .*|&\\n\\trespond /api/health \"somebody else\" 200|' \
                /etc/caddy/conf.d/causes.example.com.caddy && systemctl reload caddy",
        heal: "cat /root/site.caddy >/etc/caddy/conf.d/causes.example.com.caddy",
    },
    Case {
        code: "CERTIFICATE_UNTRUSTED",
        spoil: "cd /root && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=nobody \
                -addext subjectAltName=DNS:causes.example.com -keyout own.key -out own.crt 2>/dev/null \
                && install -o caddy -m 600 own.key own.crt /etc/caddy/ \
                && printf '%s\\n' 'causes.example.com {' 'tls /etc/caddy/own.crt /etc/caddy/own.key' \
                'reverse_proxy 127.0.0.1:8080' '}' >/etc/caddy/conf.d/causes.example.com.caddy \
                && systemctl reload caddy",
        heal: "true",
    },
    Case {
        code: "CERTIFICATE_ENDING",
        spoil: "cd /root && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=short \
                -addext keyUsage=critical,keyCertSign -keyout ca.key -out ca.crt 2>/dev/null \
                && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=causes.example.com \
                -addext subjectAltName=DNS:causes.example.com -keyout own.key -out own.csr 2>/dev/null \
                && openssl x509 -req -in own.csr -CA ca.crt -CAkey ca.key -copy_extensions copy \
                -not_after \"$(date -u -d '+30 min' +%Y%m%d%H%M%SZ)\" -out own.crt 2>/dev/null \
                && install -o caddy -m 600 own.key own.crt /etc/caddy/ \
                && cp ca.crt /usr/local/share/ca-certificates/short.crt && update-ca-certificates >/dev/null \
                && systemctl restart caddy",
        heal: "rm /usr/local/share/ca-certificates/short.crt && update-ca-certificates --fresh >/dev/null \
               && cat /root/site.caddy >/etc/caddy/conf.d/causes.example.com.caddy && systemctl restart caddy",
    },
    // The authority cannot reach the host, and what it had signed before is gone.
    Case {
        code: "ACME_FAILED",
        spoil: "iptables -I INPUT -s 203.0.113.2 -p tcp -m multiport --dports 80,443 -j REJECT && systemctl stop caddy \
                && mv /var/lib/caddy/.local/share/caddy/certificates /root/certificates && systemctl start caddy",
        heal: "iptables -D INPUT -s 203.0.113.2 -p tcp -m multiport --dports 80,443 -j REJECT && systemctl stop caddy \
               && rm -rf /var/lib/caddy/.local/share/caddy/certificates \
               && mv /root/certificates /var/lib/caddy/.local/share/caddy/ && systemctl start caddy",
    },
    Case {
        code: "PUBLIC_UNREACHABLE",
        spoil: "iptables -I INPUT ! -d 127.0.0.0/8 -p tcp --dport 443 -j REJECT --reject-with tcp-reset",
        heal: "iptables -D INPUT ! -d 127.0.0.0/8 -p tcp --dport 443 -j REJECT --reject-with tcp-reset",
    },
    // By ufw alone: the port of browsers, then the one of callers.
    Case {
        code: "FIREWALL_CLOSED",
        spoil: "apt-get -q update >/dev/null; DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends ufw >/dev/null \
                && for port in 22/tcp 80/tcp 3478 5349 49152:49200/udp; do ufw allow $port; done && ufw --force enable",
        heal: "ufw allow 443/tcp && ! chatalot-agent diagnose | grep -q FIREWALL_CLOSED",
    },
    Case {
        code: "FIREWALL_CLOSED",
        spoil: "ufw delete allow 3478",
        heal: "ufw allow 3478 && ! chatalot-agent diagnose | grep -q FIREWALL_CLOSED",
    },
    Case {
        code: "FIREWALL_DENIES",
        spoil: "ufw deny 443/tcp",
        heal: "ufw delete deny 443/tcp && ufw --force disable",
    },
    Case {
        code: "PUBLIC_NAME_UNKNOWN",
        spoil: "echo 'nameserver 127.0.0.9' >/root/resolv.conf && mount --bind /root/resolv.conf /etc/resolv.conf",
        heal: "umount /etc/resolv.conf",
    },
    // The host's own resolver says that there is no such name, and another one knows it.
    Case {
        code: "DNS_DISAGREE",
        spoil: "sed -i '1i resolvers = [\"203.0.113.2\"]' /etc/chatalot-agent/config.toml \
                && systemd-run --quiet --unit=denier perl -e 'use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalAddr => \
                \"127.0.0.9\", LocalPort => 53, Proto => \"udp\") or die; while (defined(my $from = $s->recv(my $asked, 512))) { \
                substr($asked, 2, 2) = pack(\"n\", 0x8183); $s->send($asked, 0, $from) }' \
                && mount --bind /root/resolv.conf /etc/resolv.conf",
        heal: "umount /etc/resolv.conf && systemctl stop denier && sed -i /^resolvers/d /etc/chatalot-agent/config.toml",
    },
    Case {
        code: "DNS_UNREACHABLE",
        spoil: "for way in udp tcp; do iptables -I OUTPUT -p $way --dport 53 -j REJECT; done",
        heal: "for way in udp tcp; do iptables -D OUTPUT -p $way --dport 53 -j REJECT; done",
    },
];

/// The code, and what the name server says: whether the host's own address, another one, and one of IPv6.
pub(crate) const NAMES: &[(&str, bool, Option<Ipv4Addr>, Option<Ipv6Addr>)] = &[
    ("DNS_NONE", false, None, None),
    ("DNS_WRONG", false, Some(Sandbox::GATEWAY), None),
    ("DNS_CDN", false, Some(Ipv4Addr::new(104, 16, 0, 1)), None),
    (
        "DNS_STALE_AAAA",
        true,
        None,
        Some(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    ),
];

/// Records that lead nowhere, elsewhere and half elsewhere.
pub(crate) fn names(sandbox: &Sandbox, warm: &Warm) -> Result<()> {
    for (code, own, other, aaaa) in NAMES {
        sandbox.dns(DOMAIN, own.then(|| warm.vps.address()).or(*other), *aaaa)?;
        phase(code, || warm.finds(code))?;
    }
    sandbox.dns(DOMAIN, Some(warm.vps.address()), None)?;
    warm.well();
    Ok(())
}
