//! Which containers a site needs, how they stand, and what a crashing one says of why.

use super::evidence;
use crate::host::{Container, HostError, Look, plain_line};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::Site;

/// Where the compose project's name is remembered, which its volumes keep when its containers are gone.
pub const PROJECT: &str = "compose.project";

/// The compose services that must be up at least.
pub fn least(site: &Site) -> Vec<&'static str> {
    let mut services = vec!["chatalot", "postgres"];
    if site.turn.is_some() {
        services.push("coturn");
    }
    if site.updates {
        services.extend(["chatalot-updater", "chatalot-socket-proxy"]);
    }
    if site.tunnel {
        services.push("cloudflared");
    }
    services
}

/// How a site's containers stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stand {
    /// All of them run.
    Up,
    /// These services have no running container; what was seen of them.
    Down(Vec<String>),
    /// This one is ended and started again and again.
    Crashing(Box<Container>),
}

/// Judges the containers of a site's folder against the services that must be up.
pub fn judge<S: AsRef<str>>(services: &[S], containers: &[Container]) -> Stand {
    let crashing = |one: &&Container| one.state == "restarting" || (one.state != "running" && one.oom_killed);
    if let Some(one) = containers.iter().find(crashing) {
        return Stand::Crashing(Box::new(one.clone()));
    }
    let down: Vec<String> = services
        .iter()
        .filter_map(|service| lacking(service.as_ref(), containers))
        .collect();
    if down.is_empty() {
        Stand::Up
    } else {
        Stand::Down(down)
    }
}

fn lacking(service: &str, containers: &[Container]) -> Option<String> {
    let mut ours = containers.iter().filter(|one| one.service == service).peekable();
    if ours.peek().is_none() {
        return Some(format!("{service} (no container)"));
    }
    let mut seen = String::new();
    for one in ours {
        // A service that does its work once is well when it has ended well.
        let done = one.state == "exited" && one.exit_code == 0 && one.restart_policy == "no";
        let ill = one.health.as_deref() == Some("unhealthy");
        if (one.state == "running" && !ill) || done {
            return None;
        }
        // A stopped one keeps the health that it had last.
        let how = if ill && one.state == "running" {
            "unhealthy"
        } else {
            one.state.as_str()
        };
        seen = format!("{service} ({})", plain_line(how));
    }
    Some(seen)
}

struct Cause {
    sign: &'static str,
    saw: &'static str,
    fix: &'static str,
}

/// What the last lines of a crashing chatalot mean: the runbook's own rows, and those that were seen besides.
const CAUSES: &[Cause] = &[
    Cause {
        sign: "No such file or directory (os error 2)",
        saw: "a file missing under secrets/",
        fix: "compare secrets/ with secrets/*.example and restore what is missing from the backup; where there is none, deploy again with --overwrite-env: what is missing is made anew, and the rest is kept",
    },
    Cause {
        sign: "Permission denied (os error 13)",
        saw: "a key under secrets/ that the container's user 999 may not read",
        fix: "run `chown -R 999 secrets && chmod -R u=rwX,go= secrets` in chatalot's folder, then `docker restart chatalot-server`",
    },
    Cause {
        sign: "InvalidKeyFormat",
        saw: "a key under secrets/ that is empty or damaged",
        fix: "restore secrets/ from the backup, then `docker restart chatalot-server`",
    },
    Cause {
        sign: "password authentication failed",
        saw: "a database with another password than the one in .env",
        fix: "restore the .env that belongs to the database volume, or set the database's password to the one in .env: `docker exec -it chatalot-db psql -U chatalot -c '\\password'`",
    },
    Cause {
        sign: "No space left on device",
        saw: "a full disk",
        fix: "free some space (`docker image prune`, `journalctl --vacuum-size=100M`), then `docker restart chatalot-server`",
    },
    Cause {
        sign: "Cannot bind",
        saw: "a TURN server that cannot bind its external address, as behind one-to-one NAT",
        fix: "give the host that address, or deploy without TURN",
    },
];

/// What to do about services that are not up.
pub fn down<S: AsRef<str>>(site: &Site, services: &[S], seen: &[String]) -> Advice {
    let all: Vec<&str> = services.iter().map(AsRef::as_ref).collect();
    Advice::new(
        "CONTAINERS_DOWN",
        format!("not up: {}", seen.join(", ")),
        format!("{} up", all.join(", ")),
        format!(
            "read `docker compose logs --tail 50` in {}, mend what it names, then deploy again",
            site.folder
        ),
    )
}

/// What a crashing container's log says of why.
pub async fn why_crashing(host: &dyn Look, site: &Site, container: &Container) -> Result<Advice, HostError> {
    let log = host.container_log(&container.name, 20).await?;
    let evidence = evidence::masked(host, site, &log, 8).await?;
    Ok(diagnose(container, &log).with_evidence(evidence))
}

/// The same, without asking and without evidence, which may hold secrets.
pub fn diagnose(container: &Container, log: &[String]) -> Advice {
    let name = &container.name;
    let lines: Vec<String> = log.iter().map(|line| plain_line(line)).collect();
    let cause = CAUSES
        .iter()
        .find(|row| lines.iter().any(|line| line.contains(row.sign)));
    let (saw, fix) = match cause {
        Some(cause) => (
            format!("{name} is started again and again: {}", cause.saw),
            cause.fix.to_owned(),
        ),
        None if container.oom_killed => (
            format!("{name} was ended by the kernel for its memory"),
            "give the host more memory, or the container a higher limit".to_owned(),
        ),
        None => (
            format!(
                "{name} is started again and again ({} times, exit code {})",
                container.restarts, container.exit_code
            ),
            format!("read `docker logs --tail 50 {name}`: the cause is in its last line"),
        ),
    };
    Advice::new("CONTAINER_CRASHING", saw, "a container that keeps running", fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(service: &str, state: &str) -> Container {
        Container {
            name: format!("chatalot-{service}"),
            service: service.into(),
            state: state.into(),
            restart_policy: "unless-stopped".into(),
            ..Container::default()
        }
    }

    #[test]
    fn every_service_needs_a_running_container() {
        let up = [one("chatalot", "running"), one("postgres", "running")];
        assert_eq!(judge(&["chatalot", "postgres"], &up), Stand::Up);
        let half = [one("chatalot", "created")];
        let down = vec![
            "chatalot (created)".to_owned(),
            "postgres (no container)".to_owned(),
        ];
        assert_eq!(judge(&["chatalot", "postgres"], &half), Stand::Down(down));
    }

    #[test]
    fn a_service_that_works_once_is_well_when_it_ended_well() {
        let mut once = one("migrate", "exited");
        assert!(matches!(judge(&["migrate"], &[once.clone()]), Stand::Down(_)));
        once.restart_policy = "no".into();
        assert_eq!(judge(&["migrate"], &[once]), Stand::Up);
    }

    #[test]
    fn a_crash_is_explained_by_its_last_line() {
        let log = [
            "\u{1b}[32mMigrations applied\u{1b}[0m".to_owned(),
            "Error: Permission denied (os error 13)".into(),
        ];
        let advice = diagnose(&one("chatalot", "restarting"), &log);
        assert!(advice.fix.contains("chown -R 999 secrets"), "{advice}");
        assert!(
            diagnose(&one("chatalot", "restarting"), &[])
                .fix
                .contains("docker logs")
        );
    }
}
