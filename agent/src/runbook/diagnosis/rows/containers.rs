//! The containers, where neither Engine nor files explain them.

use super::super::facts::not_running;
use super::{ENDED, Facts, Find, Row, Seen, TOLD};
use crate::host::{Container, Engine};
use crate::runbook::containers::least;

pub(super) const ROWS: &[Row] = &[
    Row {
        code: "CONTAINER_OUT_OF_MEMORY",
        cause: "a container that the kernel ended for its memory",
        shown_by: "the Engine's own word for how it ended",
        fix: "give the host more memory, or the container a higher limit",
        find: Find::Seen(out_of_memory),
        ..TOLD
    },
    Row {
        code: "DATABASE_DOWN",
        cause: "a database that is stopped, paused or ill",
        shown_by: "the state and the health of chatalot-db; chatalot says `db_healthy` false",
        fix: "run `docker start chatalot-db`, or `docker unpause chatalot-db` where it is paused, and look at `docker logs --tail 50 chatalot-db`",
        ours: true,
        find: Find::Seen(database),
        ..TOLD
    },
    Row {
        code: "CONTAINER_KILLED",
        cause: "a container that was ended by SIGKILL: by somebody, by a stop that took too long, or for the whole host's want of memory",
        shown_by: "exit code 137, and not for its own memory limit",
        fix: "run `docker start` on it; if it comes again, see whether `journalctl -k` tells of a process killed for memory",
        ours: true,
        find: Find::Seen(killed),
        ..TOLD
    },
    Row {
        code: "COMPOSE_UP_FAILED",
        cause: "containers that do not come up with our part of the override",
        fix: "run `docker compose up -d` in chatalot's folder and mend what it names",
        ..ENDED
    },
    Row {
        code: "CONTAINER_CRASHING",
        cause: "a container that is started again and again",
        shown_by: "its state; the cause is in the last line of its log",
        symptom: true,
        find: Find::Seen(crashing),
        ..TOLD
    },
    Row {
        code: "CONTAINERS_DOWN",
        cause: "a container that is not up",
        shown_by: "no running container of a service; nobody answers on 127.0.0.1:8080",
        fix: "run `docker unpause` on it where it is paused; else deploy again, which starts it, or read `docker compose logs --tail 50` in chatalot's folder",
        ours: true,
        symptom: true,
        find: Find::Seen(down),
    },
    Row {
        code: "RESTART_POLICY",
        cause: "a container that a boot does not start again",
        fix: "run `docker update --restart unless-stopped` on it",
        ..TOLD
    },
    Row {
        code: "BOOT_NOT_ENABLED",
        cause: "a unit that a boot does not start",
        fix: "run `systemctl enable` on it",
        ..TOLD
    },
];

fn out_of_memory(facts: &Facts) -> Option<Seen> {
    let one = facts.containers.iter().find(|one| one.oom_killed)?;
    Some(Seen::of(format!(
        "{} was ended for its memory ({} restarts)",
        one.name, one.restarts
    )))
}

fn database(facts: &Facts) -> Option<Seen> {
    let one = facts.container("postgres")?;
    let ill = one.health.as_deref() == Some("unhealthy");
    if one.state == "running" && !ill {
        return None;
    }
    let name = &one.name;
    // What runs or is paused a deployment leaves as it is.
    let (how, fix, ours) = match one.state.as_str() {
        "paused" => ("paused", unpause(name), Some(false)),
        "running" => (
            "unhealthy",
            format!(
                "look at `docker logs --tail 50 {name}`, mend what it names, then run `docker restart {name}`"
            ),
            Some(false),
        ),
        state => (
            state,
            format!(
                "run `docker start {name}`; if it does not stay up, look at `docker logs --tail 50 {name}`"
            ),
            None,
        ),
    };
    Some(Seen {
        saw: format!("{} is {how}", one.name),
        fix: Some(fix),
        lines: facts
            .logs
            .get("postgres")
            .and_then(|log| log.last())
            .cloned()
            .into_iter()
            .collect(),
        ours,
    })
}

fn unpause(names: &str) -> String {
    format!("run `docker unpause {names}`, which a deployment does not do")
}

/// By SIGKILL. The database has a row of its own, whatever has ended it.
fn killed(facts: &Facts) -> Option<Seen> {
    let of_kill = |one: &&Container| one.exit_code == 137 && !one.oom_killed && one.service != "postgres";
    let one = facts
        .containers
        .iter()
        .filter(|one| one.state == "exited")
        .find(of_kill)?;
    Some(Seen {
        saw: format!("{} was ended by SIGKILL (exit code 137)", one.name),
        fix: Some(format!(
            "run `docker start {}`; if it comes again, see whether `journalctl -k` tells of a process killed for memory",
            one.name
        )),
        ..Seen::default()
    })
}

fn crashing(facts: &Facts) -> Option<Seen> {
    let one = facts.containers.iter().find(|one| one.state == "restarting")?;
    let log = facts.logs.get(&one.service).cloned().unwrap_or_default();
    Some(Seen {
        saw: format!(
            "{} is started again and again ({} times, exit code {})",
            one.name, one.restarts, one.exit_code
        ),
        fix: Some(format!(
            "read `docker logs --tail 50 {}`: the cause is in its last line",
            one.name
        )),
        lines: log[log.len().saturating_sub(6)..].to_vec(),
        ..Seen::default()
    })
}

/// What the check has found besides: one that runs and is unhealthy, or one that the site need not have.
fn ill(facts: &Facts) -> Option<Seen> {
    let mut told = facts.found.values();
    let told = told.find(|advice| advice.code == "CONTAINERS_DOWN")?;
    Some(Seen {
        saw: told.saw.clone(),
        fix: Some(told.fix.clone()),
        ours: Some(false),
        lines: told.evidence.clone(),
    })
}

fn down(facts: &Facts) -> Option<Seen> {
    if !facts.installed || !matches!(facts.engine, Engine::Up { .. }) {
        return None;
    }
    let seen = not_running(facts);
    let Some(first) = seen.first().and_then(|first| first.split(' ').next()) else {
        return ill(facts);
    };
    let log = facts.logs.get(first).cloned().unwrap_or_default();
    let is_paused = |service: &&str| facts.container(service).filter(|one| one.state == "paused");
    let paused: Vec<&str> = least(&facts.site)
        .iter()
        .filter_map(is_paused)
        .map(|one| one.name.as_str())
        .collect();
    let is_any = !paused.is_empty();
    Some(Seen {
        saw: format!("not up: {}", seen.join(", ")),
        fix: is_any.then(|| unpause(&paused.join(" "))),
        ours: is_any.then_some(false),
        lines: log[log.len().saturating_sub(6)..].to_vec(),
    })
}
