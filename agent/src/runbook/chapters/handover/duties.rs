//! The five durable duties, each with how it stands as far as that can be seen from the host.

use crate::host::Look;
use crate::runbook::chapters::preflight;
use crate::runbook::{Cx, Step, StepError, firewalls, outside};
use chatalot_protocol::handover::{Duty, DutyStanding};
use chatalot_protocol::report::Verdict;
use std::path::Path;

/// Every duty, in the runbook's order.
pub(super) async fn all(cx: &Cx<'_>) -> Result<Vec<Duty>, StepError> {
    Ok(vec![
        dns(cx).await,
        firewall(cx).await?,
        secrets(cx),
        backups(cx).await?,
        updates(cx).await?,
    ])
}

fn duty(name: &str, standing: DutyStanding, saw: impl Into<String>, todo: impl Into<String>) -> Duty {
    Duty {
        name: name.to_owned(),
        standing,
        saw: saw.into(),
        todo: todo.into(),
    }
}

async fn dns(cx: &Cx<'_>) -> Duty {
    let domain = &cx.site.domain;
    let todo = if cx.site.tunnel {
        format!("keep {domain} at Cloudflare as the tunnel's public hostname")
    } else {
        format!("keep the A and AAAA records of {domain} at your registrar on this host's addresses")
    };
    let (standing, saw) = match preflight::Dns.check(cx).await {
        Ok(Verdict::Satisfied { saw, .. }) => (DutyStanding::InPlace, saw),
        Ok(Verdict::Needed { why }) => (DutyStanding::NotInPlace, why),
        Ok(Verdict::Blocked { advice }) => (DutyStanding::NotInPlace, advice.saw),
        Err(_) => (DutyStanding::CannotBeTold, "no resolver could tell".to_owned()),
    };
    duty("DNS", standing, saw, todo)
}

async fn firewall(cx: &Cx<'_>) -> Result<Duty, StepError> {
    let turn = if cx.site.turn.is_some() {
        ", and for voice and video UDP and TCP 3478 and 5349 and the relay ports UDP 49152 to 49200"
    } else {
        ""
    };
    let door = if cx.site.tunnel {
        "nothing has to be open for the tunnel"
    } else {
        "keep TCP 80 and 443 open in the provider's firewall and on the host"
    };
    let direct = if cx.site.loopback_only {
        ""
    } else {
        "; TCP 8080 should be closed there, for Docker publishes it past ufw (deploying with --loopback-only does it here)"
    };
    let todo = format!("{door}{turn}{direct}");
    let world = outside::look(cx).await?;
    if let Some((standing, saw)) = from_outside(world) {
        return Ok(duty("Firewall", standing, saw, todo));
    }
    let closed = firewalls::closed(cx.host, cx.site).await?;
    let (standing, saw) = if let Some(first) = closed.first() {
        let shut: Vec<_> = closed.iter().map(|one| one.opening).collect();
        let saw = format!("{} keeps {} shut", first.firewall, firewalls::listed(&shut));
        (DutyStanding::NotInPlace, saw)
    } else {
        (
            DutyStanding::CannotBeTold,
            "a firewall before the host cannot be seen from the host; `chatalotctl verify HOST` has the controller look".to_owned(),
        )
    };
    Ok(duty("Firewall", standing, saw, todo))
}

/// How the firewall before the host stands, where the controller could tell.
fn from_outside(world: outside::Standing) -> Option<(DutyStanding, String)> {
    match world {
        outside::Standing::Reached { saw, notes } => {
            let wrong: Vec<String> = notes
                .iter()
                .filter(|note| note.is_certain)
                .map(|note| note.advice.saw.clone())
                .collect();
            let untold = notes.iter().filter(|note| !note.is_certain);
            let untold: Vec<&str> = untold.map(|note| note.advice.saw.as_str()).collect();
            Some(match (wrong.is_empty(), untold.is_empty()) {
                (false, _) => (DutyStanding::NotInPlace, wrong.join("; ")),
                (true, true) => (DutyStanding::InPlace, saw),
                (true, false) => (
                    DutyStanding::CannotBeTold,
                    format!("{saw}; {}", untold.join("; ")),
                ),
            })
        }
        outside::Standing::Shut(advice) => Some((DutyStanding::NotInPlace, advice.saw)),
        outside::Standing::Untold(_) => None,
    }
}

fn secrets(cx: &Cx<'_>) -> Duty {
    let folder = &cx.site.folder;
    duty(
        "Secrets backup",
        DutyStanding::CannotBeTold,
        "a copy elsewhere cannot be seen from the host",
        format!(
            "keep an encrypted offline copy of {folder}/secrets/ and {folder}/.env: `tar -C {folder} -cz .env secrets | openssl enc -aes-256-cbc -pbkdf2 -out chatalot-secrets.tgz.enc`"
        ),
    )
}

/// Places where somebody would have put a backup on a schedule.
const SCHEDULES: &[&str] = &[
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/var/spool/cron/crontabs",
    "/etc/systemd/system",
];

async fn backups(cx: &Cx<'_>) -> Result<Duty, StepError> {
    let todo = "back up the database and the uploads on a schedule, by `chatalot-snapshot create` or `docker exec chatalot-db pg_dump -U chatalot --format=custom chatalot`, and keep copies elsewhere";
    let (standing, saw) = match scheduled(cx.host).await? {
        Some(path) => (DutyStanding::InPlace, format!("{path} runs one")),
        None => (
            DutyStanding::NotInPlace,
            "no cron job or timer with chatalot-snapshot or pg_dump".to_owned(),
        ),
    };
    Ok(duty("Database backups", standing, saw, todo))
}

async fn scheduled(host: &dyn Look) -> Result<Option<String>, StepError> {
    let mut paths = vec!["/etc/crontab".to_owned()];
    for folder in SCHEDULES {
        let names = host.list(Path::new(folder)).await?;
        paths.extend(names.into_iter().map(|name| format!("{folder}/{name}")));
    }
    for path in paths {
        // A folder or a file that cannot be read is no schedule that can be told.
        let content = host
            .read(Path::new(&path))
            .await
            .ok()
            .flatten()
            .unwrap_or_default();
        if runs_a_backup(&String::from_utf8_lossy(&content)) {
            return Ok(Some(crate::host::plain_line(&path)));
        }
    }
    Ok(None)
}

fn runs_a_backup(text: &str) -> bool {
    text.lines()
        .filter(|line| !line.trim_start().starts_with(['#', ';']))
        .any(|line| line.contains("chatalot-snapshot") || line.contains("pg_dump"))
}

async fn updates(cx: &Cx<'_>) -> Result<Duty, StepError> {
    if !cx.site.updates {
        return Ok(duty(
            "Updates",
            DutyStanding::NotInPlace,
            "managed updates were not asked for",
            "watch chatalot's releases and deploy a newer reference yourself",
        ));
    }
    let there = cx.host.containers(Some(cx.site.folder.as_str())).await?;
    let up = there
        .iter()
        .any(|one| one.service == "chatalot-updater" && one.state == "running");
    let (standing, saw) = if up {
        (DutyStanding::InPlace, "chatalot-updater is up")
    } else {
        (DutyStanding::NotInPlace, "chatalot-updater is not up")
    };
    let todo = "open the admin panel's Updates tab every few weeks, and approve the releases there";
    Ok(duty("Updates", standing, saw, todo))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatalot_protocol::advice::Advice;

    #[test]
    fn only_a_schedule_that_runs_a_backup_counts() {
        assert!(runs_a_backup(
            "0 3 * * * root docker exec chatalot-db pg_dump -U chatalot chatalot > /b\n"
        ));
        assert!(runs_a_backup(
            "ExecStart=/usr/local/bin/chatalot-snapshot create\n"
        ));
        assert!(!runs_a_backup("# pg_dump some day\n"));
    }

    #[test]
    fn the_firewall_is_in_place_only_where_the_controller_has_seen_all_of_it_and_nothing_wrong() {
        let note = |is_certain| outside::Note {
            advice: Advice::new("PORT_8080_PUBLIC", "TCP 8080 is open", "shut", "shut it"),
            is_certain,
        };
        let reached = |notes| outside::Standing::Reached {
            saw: "health".to_owned(),
            notes,
        };
        let standing = |world| from_outside(world).map(|(standing, _)| standing);
        let untold = outside::Standing::Untold(Advice::new("OUTSIDE_X", "x", "y", "z"));
        assert_eq!(standing(reached(vec![])), Some(DutyStanding::InPlace));
        assert_eq!(
            standing(reached(vec![note(false)])),
            Some(DutyStanding::CannotBeTold)
        );
        assert_eq!(
            standing(reached(vec![note(true)])),
            Some(DutyStanding::NotInPlace)
        );
        assert_eq!(standing(untold), None);
    }
}
