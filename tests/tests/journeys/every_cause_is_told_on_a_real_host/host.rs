//! The host itself and its Engine.

use super::case::Case;

pub(crate) const CASES: &[Case] = &[
    Case {
        code: "DISTRO_UNSUPPORTED",
        spoil: "sed s/13/11/ /etc/os-release >/root/os-release && mount --bind /root/os-release /etc/os-release",
        heal: "umount /etc/os-release",
    },
    Case {
        code: "TOOLS_MISSING",
        spoil: "mv /usr/bin/apt-get /root/",
        heal: "mv /root/apt-get /usr/bin/",
    },
    Case {
        code: "DISK_FULL",
        spoil: "mkdir -p /mnt/small && mount -t tmpfs -o size=900m tmpfs /mnt/small && cp -a /srv/chatalot/. /mnt/small/ \
                && mount --bind /mnt/small /srv/chatalot",
        heal: "umount /srv/chatalot /mnt/small",
    },
    Case {
        code: "INODES_SHORT",
        spoil: "mount -t tmpfs -o size=2g,nr_inodes=20000 tmpfs /mnt/small && cp -a /srv/chatalot/. /mnt/small/ \
                && mount --bind /mnt/small /srv/chatalot",
        heal: "umount /srv/chatalot /mnt/small",
    },
    Case {
        code: "DISK_READ_ONLY",
        spoil: "mount --bind /srv/chatalot /srv/chatalot && mount -o remount,bind,ro /srv/chatalot",
        heal: "umount /srv/chatalot",
    },
    Case {
        code: "MEMORY_SHORT",
        spoil: "sed 's/^MemTotal:.*/MemTotal: 600000 kB/' /proc/meminfo >/root/meminfo && mount --bind /root/meminfo /proc/meminfo",
        heal: "umount /proc/meminfo",
    },
    Case {
        code: "FOLDER_NOT_ROOTS",
        spoil: "chmod o+w /srv/chatalot",
        heal: "chmod o-w /srv/chatalot",
    },
    Case {
        code: "PACKAGES_BROKEN",
        spoil: "mkdir -p /root/half/DEBIAN && cd /root && printf 'Package: half\\nVersion: 1\\nArchitecture: all\\n\
                Maintainer: nobody <nobody@example.com>\\nDescription: half\\n' >half/DEBIAN/control \
                && dpkg-deb -b half half.deb && dpkg --unpack half.deb",
        heal: "dpkg -P half",
    },
    Case {
        code: "ENGINE_DOWN",
        spoil: "systemctl stop docker.service docker.socket",
        heal: "true",
    },
    Case {
        code: "ENGINE_ABSENT",
        spoil: "mv /usr/sbin/dockerd /root/dockerd && rm -f /run/docker.sock",
        heal: "mv /root/dockerd /usr/sbin/dockerd && systemctl start docker.socket docker.service",
    },
    Case {
        code: "COMPOSE_MISSING",
        spoil: "file=$(ls -d /usr/*/docker/cli-plugins/docker-compose | head -n 1) && echo \"$file\" >/root/compose.path \
                && mv \"$file\" /root/compose.plugin",
        heal: "mv /root/compose.plugin \"$(cat /root/compose.path)\"",
    },
];
