//! The operating system's name and version.

use crate::host::{HostError, System, plain_line};
use std::path::Path;

/// Where os-release is, in the order of its manual page.
const OS_RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// This system.
pub(super) fn system() -> Result<System, HostError> {
    let uname = nix::sys::utsname::uname().map_err(|e| HostError::Unknown {
        what: "the kernel's name",
        why: e.desc().to_owned(),
    })?;
    let mut release = String::new();
    for path in OS_RELEASE {
        if let Some(content) = super::files::read(Path::new(path))? {
            release = String::from_utf8_lossy(&content).into_owned();
            break;
        }
    }
    let boot_id = super::files::read(Path::new("/proc/sys/kernel/random/boot_id"))?.unwrap_or_default();
    Ok(System {
        architecture: plain_line(&uname.machine().to_string_lossy()),
        hostname: plain_line(&uname.nodename().to_string_lossy()),
        boot_id: plain_line(String::from_utf8_lossy(&boot_id).trim()),
        systemd: Path::new("/run/systemd/system").is_dir(),
        root: nix::unistd::getuid().is_root(),
        ..os_release(&release)
    })
}

/// What os-release says; what it leaves out stays empty, and control characters are dropped.
pub fn os_release(text: &str) -> System {
    let mut system = System::default();
    for line in text.lines() {
        let Some((key, value)) = line.trim().split_once('=') else {
            continue;
        };
        let value = plain_line(&unquoted(value));
        match key {
            "ID" => system.id = value,
            "ID_LIKE" => system.id_like = value.split_whitespace().map(str::to_owned).collect(),
            "VERSION_ID" => system.version = value,
            "VERSION_CODENAME" => system.codename = value,
            "PRETTY_NAME" => system.pretty = value,
            _ => {}
        }
    }
    system
}

/// A value as the shell would read it: quotes and backslashes resolved.
fn unquoted(value: &str) -> String {
    let mut plain = String::new();
    let mut chars = value.trim().chars();
    let mut quote = None;
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => plain.extend(chars.next()),
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (c, _) => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Debian's are those of its own images; the others are assumed, after os-release(5) and their distributions' pages.
    const DEBIAN_12: &str = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\nHOME_URL=\"https://www.debian.org/\"\n";
    const DEBIAN_13: &str = "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\nDEBIAN_VERSION_FULL=13.1\nID=debian\n";
    const UBUNTU_22: &str = "PRETTY_NAME=\"Ubuntu 22.04.4 LTS\"\nNAME=\"Ubuntu\"\nVERSION_ID=\"22.04\"\nVERSION_CODENAME=jammy\nID=ubuntu\nID_LIKE=debian\nUBUNTU_CODENAME=jammy\n";
    const UBUNTU_24: &str = "PRETTY_NAME=\"Ubuntu 24.04 LTS\"\nVERSION_ID=\"24.04\"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n";
    const FEDORA: &str = "NAME=\"Fedora Linux\"\nVERSION=\"44 (Server Edition)\"\nID=fedora\nVERSION_ID=44\nVERSION_CODENAME=\"\"\nPRETTY_NAME=\"Fedora Linux 44 (Server Edition)\"\n";
    const ROCKY: &str =
        "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\nPRETTY_NAME='Rocky Linux 9.4'\n";
    const ARCH: &str = "NAME=\"Arch Linux\"\nPRETTY_NAME=\"Arch Linux\"\nID=arch\nBUILD_ID=rolling\n";

    #[test]
    fn os_release_of_every_distribution_is_read() {
        for (text, id, version, codename, like) in [
            (DEBIAN_12, "debian", "12", "bookworm", ""),
            (DEBIAN_13, "debian", "13", "trixie", ""),
            (UBUNTU_22, "ubuntu", "22.04", "jammy", "debian"),
            (UBUNTU_24, "ubuntu", "24.04", "noble", "debian"),
            (FEDORA, "fedora", "44", "", ""),
            (ROCKY, "rocky", "9.4", "", "rhel centos fedora"),
            (ARCH, "arch", "", "", ""),
        ] {
            let system = os_release(text);
            assert_eq!(
                (
                    system.id.as_str(),
                    system.version.as_str(),
                    system.codename.as_str()
                ),
                (id, version, codename)
            );
            assert_eq!(system.id_like.join(" "), like);
        }
        assert_eq!(os_release(ROCKY).pretty, "Rocky Linux 9.4");
    }

    #[test]
    fn f69_a_hostile_os_release_leaves_no_control_characters() {
        let system = os_release(
            "PRETTY_NAME=\"\u{1b}[31mevil\u{1b}[0m\u{7} \\\"quoted\\\" <script>\"\nID=deb\u{0}ian\nnonsense\n=\n",
        );
        assert_eq!(system.pretty, "evil \"quoted\" <script>");
        assert_eq!(system.id, "debian");
    }

    #[test]
    fn this_system_says_what_it_is() -> Result<(), HostError> {
        let system = system()?;
        assert_eq!(system.architecture, std::env::consts::ARCH);
        assert!(!system.hostname.is_empty());
        assert_eq!(system.boot_id.len(), 36);
        Ok(())
    }
}
