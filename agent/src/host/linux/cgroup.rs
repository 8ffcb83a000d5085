//! Which unit or container a process belongs to.

/// What a process's cgroups say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Home {
    /// Its systemd service.
    pub unit: Option<String>,
    /// Its container's id.
    pub container: Option<String>,
}

/// Reads `/proc/PID/cgroup`, of either version.
pub fn home(text: &str) -> Home {
    let mut home = Home::default();
    for line in text.lines() {
        // `0::/path` in version 2, `7:name=systemd:/path` or `4:memory:/path` in version 1.
        let mut fields = line.splitn(3, ':');
        let (Some(id), Some(kind), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        if home.container.is_none() {
            home.container = path.split('/').rev().find_map(container_id);
        }
        if (id == "0" && kind.is_empty()) || kind == "name=systemd" {
            let unit = path.split('/').rev().find(|part| is_service(part));
            home.unit = home.unit.or(unit.map(str::to_owned));
        }
    }
    home
}

fn is_service(part: &str) -> bool {
    part.strip_suffix(".service")
        .is_some_and(|name| !name.is_empty() && !name.chars().any(char::is_control))
}

/// The id in `docker-<id>.scope` or `<id>`.
fn container_id(part: &str) -> Option<String> {
    let bare = part
        .strip_prefix("docker-")
        .and_then(|rest| rest.strip_suffix(".scope"))
        .unwrap_or(part);
    (bare.len() == 64 && bare.bytes().all(|b| b.is_ascii_hexdigit())).then(|| bare.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f1c0e0d9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d";

    fn unit(name: &str) -> Home {
        Home {
            unit: Some(name.to_owned()),
            container: None,
        }
    }

    #[test]
    fn the_unit_of_a_process_is_read_from_both_versions_of_cgroups() {
        assert_eq!(home("0::/system.slice/caddy.service\n"), unit("caddy.service"));
        assert_eq!(
            home(
                "12:memory:/system.slice/nginx.service\n1:name=systemd:/system.slice/nginx.service\n0::/x\n"
            ),
            unit("nginx.service")
        );
        assert_eq!(
            home("0::/user.slice/user-0.slice/user@0.service/app.slice/web.service\n"),
            unit("web.service")
        );
        assert_eq!(
            home("0::/user.slice/user-0.slice/session-3.scope\n"),
            Home::default()
        );
        assert_eq!(home("0::/\nnonsense\n::\n"), Home::default());
    }

    #[test]
    fn a_container_is_recognised_under_systemd_and_under_cgroupfs() {
        for line in [
            format!("0::/system.slice/docker-{ID}.scope\n"),
            format!("4:pids:/docker/{ID}\n1:name=systemd:/docker/{ID}\n"),
        ] {
            assert_eq!(home(&line).container.as_deref(), Some(ID));
        }
    }

    #[test]
    fn f69_a_hostile_cgroup_name_is_no_unit() {
        assert_eq!(home("0::/system.slice/\u{1b}[31mx.service\n"), Home::default());
    }
}
