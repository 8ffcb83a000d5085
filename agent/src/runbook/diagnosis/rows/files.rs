//! `.env`, `secrets/`, and the password that both database and `.env` must have.

use super::{ENDED, Facts, Find, Row, Seen, TOLD};
use crate::runbook::gone;

pub(super) const ROWS: &[Row] = &[
    Row {
        code: "ENV_MISSING",
        cause: "no `.env` where chatalot was installed",
        shown_by: "the file is gone; compose warns `\"DB_PASSWORD\" variable is not set`",
        fix: "restore .env from the backup, then deploy again; a new one would have another database password than the volume",
        find: Find::Seen(env_missing),
        ..TOLD
    },
    Row {
        code: "DATABASE_WITHOUT_ENV",
        cause: "a database's volume without the `.env` that belongs to it",
        symptom: true,
        fix: "restore the `.env` that the volume was made with",
        ..TOLD
    },
    Row {
        code: "SECRET_FILE_MISSING",
        cause: "a file missing below `secrets/`",
        shown_by: "what was there after the last deployment, and what `secrets/*.example` name; `os error 2` in the log",
        fix: "compare secrets/ with secrets/*.example, restore what is missing from the backup, then `docker restart chatalot-server`",
        find: Find::Seen(secret_missing),
        ..TOLD
    },
    Row {
        code: "SECRET_FILE_MISSING",
        cause: "a file missing below `secrets/` that compose names",
        shown_by: "`bind source path does not exist`",
        find: Find::Ended,
        fix: "restore the missing file from the backup, then deploy again",
        ..TOLD
    },
    Row {
        code: "ENV_NOT_TAKEN_UP",
        cause: "containers that do not start with the secrets that were put back, or made anew, when `.env` was written anew",
        fix: "mend what compose names, then run `docker compose up -d` in chatalot's folder",
        ..ENDED
    },
    Row {
        code: "SECRET_UNREADABLE",
        cause: "a key that the container's user 999 may not read",
        shown_by: "`Permission denied (os error 13)` in the log, owner and mode of the file",
        fix: "run `chown -R 999 secrets && chmod -R u=rwX,go= secrets` in chatalot's folder, then `docker restart chatalot-server`",
        find: Find::Seen(secret_unreadable),
        ..TOLD
    },
    Row {
        code: "SECRET_DAMAGED",
        cause: "a key that is empty or no key",
        shown_by: "`InvalidKeyFormat` in the log",
        fix: "restore it from the backup, then `docker restart chatalot-server`",
        find: Find::Seen(secret_damaged),
        ..TOLD
    },
    Row {
        code: "DATABASE_PASSWORD",
        cause: "a database with another password than the one in `.env`",
        shown_by: "`password authentication failed` in the log",
        fix: "restore the .env that belongs to the database's volume, then deploy again; or give the database the password of this one: `docker exec -it chatalot-db psql -U chatalot -c '\\password'`",
        find: Find::Seen(password),
        ..TOLD
    },
];

/// Whether chatalot itself is down, so that the last lines of its log are about now.
fn ended(facts: &Facts) -> bool {
    facts
        .container("chatalot")
        .is_none_or(|one| one.state != "running")
        // It answers, and says that it is the database.
        || facts
            .found
            .get("verify.local")
            .is_some_and(|advice| advice.code != "HEALTH_DB_DOWN")
}

fn env_missing(facts: &Facts) -> Option<Seen> {
    if !facts.installed || facts.env.is_some() {
        return None;
    }
    Some(Seen::of(format!("no {}/.env", facts.site.folder)))
}

fn secret_missing(facts: &Facts) -> Option<Seen> {
    let there = |name: &&String| facts.secrets.iter().any(|file| file.name == **name);
    let said = facts.ended_with("No such file or directory (os error 2)");
    let mut missing: Vec<&String> = facts.secrets_wanted.iter().filter(|name| !there(name)).collect();
    // An example alone is no sign: not every site needs each of them.
    if missing.is_empty() && said.is_some() && ended(facts) {
        missing.extend(facts.secrets_examples.iter().filter(|name| !there(name)));
    }
    let lines = said.cloned().into_iter().collect();
    let folder = &facts.site.folder;
    let Some(fix) = gone::fix(folder.as_str(), missing.iter().copied(), &facts.secrets_not_made) else {
        let seen = said.filter(|_| ended(facts) && facts.installed)?;
        return Some(Seen {
            saw: "chatalot cannot find a file that it needs; all that are known of are there".to_owned(),
            lines: vec![seen.clone()],
            ..Seen::default()
        });
    };
    Some(Seen {
        saw: gone::missing(folder.as_str(), missing.iter().copied()),
        fix: Some(fix),
        lines,
        ..Seen::default()
    })
}

fn secret_unreadable(facts: &Facts) -> Option<Seen> {
    const CHATALOT: u32 = 999;
    let said = facts
        .ended_with("Permission denied (os error 13)")
        .filter(|_| ended(facts))?;
    let shut = |owner: crate::host::Owner| owner.uid != CHATALOT && owner.mode & 0o004 == 0;
    let files: Vec<&str> = facts
        .secrets
        .iter()
        .filter(|file| shut(file.owner))
        .map(|file| file.name.as_str())
        .collect();
    let folder = &facts.site.folder;
    let saw = if files.is_empty() {
        "a file that chatalot may not read".to_owned()
    } else {
        format!(
            "below {folder}/secrets, not for user {CHATALOT} to read: {}",
            files.join(", ")
        )
    };
    let fix = (!files.is_empty()).then(|| {
        format!(
            "run `cd {folder}/secrets && chown {CHATALOT} {}`, then `docker restart chatalot-server`",
            files.join(" ")
        )
    });
    Some(Seen {
        saw,
        fix,
        lines: vec![said.clone()],
        ..Seen::default()
    })
}

fn secret_damaged(facts: &Facts) -> Option<Seen> {
    let said = facts.ended_with("InvalidKeyFormat").filter(|_| ended(facts))?;
    let odd = |file: &&super::super::facts::SecretFile| {
        file.empty
            || (std::path::Path::new(&file.name)
                .extension()
                .is_some_and(|end| end == "pem")
                && !file.pem)
    };
    let files: Vec<&str> = facts
        .secrets
        .iter()
        .filter(odd)
        .map(|file| file.name.as_str())
        .collect();
    let folder = &facts.site.folder;
    let saw = if files.is_empty() {
        "a key that chatalot cannot use".to_owned()
    } else {
        format!("no key below {folder}/secrets: {}", files.join(", "))
    };
    Some(Seen {
        saw,
        lines: vec![said.clone()],
        ..Seen::default()
    })
}

fn password(facts: &Facts) -> Option<Seen> {
    let said = facts
        .ended_with("password authentication failed")
        .filter(|_| ended(facts))?;
    Some(Seen {
        saw: "the database refuses the password of .env".to_owned(),
        lines: vec![said.clone()],
        ..Seen::default()
    })
}
